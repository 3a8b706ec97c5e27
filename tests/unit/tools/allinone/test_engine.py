"""The engine's small client, on a real Unix socket."""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from allinone import engine, objects
from allinone.layout import Layout

CONTAINERS = [
    {"Id": "c1", "State": "running", "Mounts": [{"Type": "volume", "Name": "mariadb_data"}, {"Type": "bind"}]},
    {"Id": "c2", "State": "exited", "Mounts": []},
]


class Handler(http.server.BaseHTTPRequestHandler):
    calls: list[str]

    def address_string(self) -> str:
        return "engine"

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        type(self).calls.append(f"GET {self.path}")
        answers: dict[str, object] = {
            "/version": {"Version": "20.10.24"},
            "/containers/json": CONTAINERS,
            "/volumes": {"Volumes": None},
        }
        self._answer(200, answers.get(self.path.partition("?")[0], []))

    def do_DELETE(self) -> None:
        type(self).calls.append(f"DELETE {self.path}")
        self._answer(204, None)

    def do_POST(self) -> None:
        type(self).calls.append(f"POST {self.path}")
        self._answer(204, None)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    address = str(tmp_path / "d.sock")
    Handler.calls = []
    with socketserver.ThreadingUnixStreamServer(address, Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        ask = engine.ask
        monkeypatch.setattr(engine, "ask", lambda *a, **k: ask(*a, **{**k, "address": address}))
        yield Handler.calls
        server.shutdown()


def test_it_tells_the_version(calls: list[str]) -> None:
    assert engine.version() == "20.10.24"


def test_no_engine_is_no_version(tmp_path: Path) -> None:
    assert engine.version(str(tmp_path / "none.sock")) == ""


def test_containers_are_asked_for_by_the_clouds_label(calls: list[str]) -> None:
    assert [each["Id"] for each in objects.containers("blue")] == ["c1", "c2"]
    assert "saltern.cloud%3Dblue" in calls[0]


def test_only_what_runs_is_stopped(calls: list[str]) -> None:
    objects.stop(objects.containers("blue"))
    assert [call for call in calls if call.startswith("POST")] == ["POST /containers/c1/stop"]


def test_volumes_of_lost_containers_are_known_by_their_specs(calls: list[str], tmp_path: Path) -> None:
    (tmp_path / "desired").mkdir()
    spec = {"mounts": [{"type": "volume", "source": "glance_images"}, {"type": "bind", "source": "/x"}]}
    (tmp_path / "desired" / "glance_api.json").write_text(json.dumps({"spec": spec}))
    (tmp_path / "desired" / "broken.json").write_text("{")
    assert objects.volumes("blue", tmp_path) == ["glance_images", "mariadb_data"]


def test_removal_counts_what_it_removed(calls: list[str]) -> None:
    assert objects.remove_containers("blue") == 2
    assert objects.remove_volumes(["a b"]) == 1
    assert "DELETE /volumes/a%20b" in calls


def test_an_engine_of_others_is_not_ours(layout: Layout) -> None:
    layout.make()
    engine.pid_file(layout).write_text("1")
    assert engine.running(layout) == 0
