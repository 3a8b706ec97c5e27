"""What the engine answers, and that it does not, in the library's own errors. A real socket, a pretended engine."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import EngineRefused, EngineUnavailable, ImageMissing
from saltern.host.engine import Conflict, Engine, NotThere, image_ids

Answers = dict[str, tuple[int, Any]]


class Pretended(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    answers: Answers
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        server: Any = self.server
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        status, value = next((a for p, a in server.answers.items() if path.endswith(p)), (404, {"message": "no route"}))
        if value is None:
            server.stuck.wait(10)
            return
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pretended(tmp_path: Path) -> Iterator[Any]:
    server = Pretended(str(tmp_path / "s"), Handler)
    server.answers, server.asked, server.stuck = {}, [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stuck.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def engine(pretended: Any) -> Iterator[Engine]:
    with Engine(f"unix://{pretended.server_address}", timeout=2) as engine:
        yield engine


def test_the_version_is_pinned_and_lists_are_one_call(pretended: Any, engine: Engine) -> None:
    pretended.answers = {"/containers/json": (200, []), "/images/json": (200, [])}
    assert engine.containers("test") == []
    assert engine.images() == []
    assert len(pretended.asked) == 2
    assert pretended.asked[0].startswith("GET /v1.41/containers/json?")
    assert "saltern.cloud%3Dtest" in pretended.asked[0]


def test_an_engine_that_wants_a_newer_client_gets_one(pretended: Any, engine: Engine) -> None:
    text = "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client"
    pretended.answers = {"/v1.41/images/json": (400, {"message": text}), "/v1.44/images/json": (200, [])}
    assert engine.images() == []
    assert engine.images() == []
    assert [asked.split("/")[1] for asked in pretended.asked] == ["v1.41", "v1.44", "v1.44"]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No such container: web", NotThere),
        (404, "No such image: a:1", ImageMissing),
        (409, "name is in use", Conflict),
        (500, "unable to apply caps", EngineRefused),
        (400, "bad parameter", EngineRefused),
    ],
)
def test_refusals_in_the_engine_s_own_words(
    pretended: Any, engine: Engine, status: int, message: str, kind: type[Exception]
) -> None:
    pretended.answers = {"/containers/web/start": (status, {"message": message})}
    with pytest.raises(kind) as caught:
        engine.start("web")
    assert str(caught.value) == f"start web: {message}"


def test_what_is_absent_is_none_where_one_asks_and_fine_where_it_should_go(pretended: Any, engine: Engine) -> None:
    pretended.answers = {
        "/containers/web/json": (404, {"message": "No such container: web"}),
        "/containers/web": (404, {"message": "No such container: web"}),
        "/images/a:1/json": (404, {"message": "No such image: a:1"}),
        "/volumes/v": (404, {"message": "no such volume"}),
    }
    assert engine.inspect("web") is None
    assert engine.inspect_image("a:1") is None
    engine.remove("web", force=True)
    engine.remove_volume("v")


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no Docker Engine answers \(ping: no such file or directory\)"):
        Engine(f"unix://{tmp_path}/none").ping()


def test_an_engine_that_does_not_answer(pretended: Any) -> None:
    pretended.answers = {"/info": (200, None), "/wait": (200, None)}
    with Engine(f"unix://{pretended.server_address}", timeout=1) as engine:
        with pytest.raises(EngineUnavailable, match="no answer to info in time"):
            engine.info()
        assert engine.wait("web", 0.2) is None


def test_references_of_images() -> None:
    found = image_ids(
        [{"Id": "sha256:1", "RepoTags": ["a:1", "b:2"], "RepoDigests": ["a@sha256:9"]}, {"Id": "sha256:2"}]
    )
    assert found["a:1"] == found["b:2"] == found["a@sha256:9"] == found["sha256:1"] == "sha256:1"
    assert found["sha256:2"] == "sha256:2"
