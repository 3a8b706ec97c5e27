"""Probes against real sockets on loopback: what is good, and the words for what is not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from saltern.host.probes import probe


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/cut":
            self.connection.close()
            return
        self.send_response(int(self.path.strip("/?")[:3]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(("status", "ok"), [(200, True), (300, True), (399, True), (401, False), (503, False)])
def test_http(server: str, status: int, ok: bool) -> None:
    answer = probe({"http": f"{server}/{status}"})
    assert answer.ok is ok
    assert answer.text == f"GET {server}/{status} → {status}"


def test_http_cut(server: str) -> None:
    answer = probe({"http": f"{server}/cut"})
    assert not answer.ok
    assert answer.text.startswith(f"GET {server}/cut → ")


def test_refused_and_silent(closed: int, silent: int) -> None:
    assert probe({"http": f"http://127.0.0.1:{closed}/"}).text.endswith("→ connection refused")
    assert probe({"tcp": f"127.0.0.1:{closed}"}).text == f"connect 127.0.0.1:{closed} → connection refused"
    assert probe({"tcp": f"127.0.0.1:{silent}"}).ok
    assert probe({"http": f"http://127.0.0.1:{silent}/", "timeout": 0.05}).text.endswith("→ no answer in time")


def test_unix(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert probe({"unix": path}).text == f"connect {path} → no such file or directory"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        assert probe({"unix": path}).ok


@pytest.mark.parametrize("check", [{}, {"http": "nonsense"}, {"http": "http://[::1/"}, {"tcp": "x:y"}, {"tcp": ""}])
def test_nonsense_is_an_answer_and_no_traceback(check: dict[str, str]) -> None:
    assert not probe(check, 0.05).ok
