"""The protocol against a server of the test's own; the real one is in tests/functional/test_openvswitch.py."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host.ovsdb import NoDatabase, Ovsdb, many


class Server:
    """Answers each request with the next of its answers, in pieces, asking whether the client lives in between."""

    def __init__(self, path: Path, *answers: Any, ask: bool = True) -> None:
        self.answers, self.ask = list(answers), ask
        self.heard: list[Any] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        link, _ = self._listener.accept()
        with link:
            for message in self._messages(link):
                self.heard.append(message)
                if "method" in message:
                    self._answer(link, message["id"])
                if not self.answers and (not self.ask or "method" not in message):
                    return

    def _messages(self, link: socket.socket) -> Iterator[Any]:
        buffer = ""
        while more := link.recv(65536).decode():
            buffer += more
            while buffer:
                try:
                    message, end = json.JSONDecoder().raw_decode(buffer)
                except ValueError:
                    break
                buffer = buffer[end:]
                yield message

    def _answer(self, link: socket.socket, number: int) -> None:
        text = json.dumps({"method": "echo", "params": [], "id": "echo"}) if self.ask else ""
        text += json.dumps({"id": number, "error": None, "result": self.answers.pop(0)})
        for half in (text[:60], text[60:]):
            link.sendall(half.encode())

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "db.sock"


def test_select_gives_plain_values_whatever_comes_in_between(place: Path) -> None:
    row = {"name": "br-ex", "ports": ["set", [["uuid", "a"], ["uuid", "b"]]], "external_ids": ["map", [["k", "v"]]]}
    server = Server(place, [{"rows": [row]}])
    with Ovsdb(str(place)) as database:
        found = database.select("Bridge", ["name", "ports", "external_ids"])
    server.close()
    assert found == [{"name": "br-ex", "ports": ["a", "b"], "external_ids": {"k": "v"}}]
    assert server.heard[0]["params"] == [
        "Open_vSwitch",
        {"op": "select", "table": "Bridge", "where": [], "columns": ["name", "ports", "external_ids"]},
    ]


def test_one_element_of_a_set_comes_bare() -> None:
    assert (many("a"), many(["a", "b"]), many([])) == (["a"], ["a", "b"], [])


def test_commit_waits_for_the_switch(place: Path) -> None:
    answers = [[{"count": 1}, {"rows": [{"next_cfg": 7}]}], [{"rows": [{"cur_cfg": 6}]}], [{"rows": [{"cur_cfg": 7}]}]]
    server = Server(place, *answers)
    slept: list[float] = []
    with Ovsdb(str(place)) as database:
        database.commit(clock=lambda: 0.0, sleep=slept.append)
    server.close()
    assert len(slept) == 1


def test_a_switch_that_does_not_follow_is_named(place: Path) -> None:
    server = Server(place, [{}, {"rows": [{"next_cfg": 7}]}], [{"rows": [{"cur_cfg": 6}]}])
    with Ovsdb(str(place)) as database, pytest.raises(SalternError, match="docker logs openvswitch_vswitchd"):
        database.commit(patience=0, clock=lambda: 1.0, sleep=lambda seconds: None)
    server.close()


def test_refusals_and_silence(place: Path) -> None:
    with pytest.raises(NoDatabase, match="docker logs openvswitch_db"), Ovsdb(str(place)):
        pass
    refusal = [None, {"error": "constraint violation", "details": "twice the same name"}]
    server = Server(place, refusal, [], ask=False)
    with Ovsdb(str(place)) as database:
        with pytest.raises(SalternError, match="constraint violation: twice the same name"):
            database.transact({"op": "insert"})
        database.transact()
        with pytest.raises(NoDatabase):
            database.transact()
    server.close()
