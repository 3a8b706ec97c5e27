"""The keeper looks where there is an Open vSwitch, tells what it did, and never ends."""

import logging
from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.host import bridgekeeper, bridges
from saltern.host.ovsdb import NoDatabase


def look(monkeypatch: pytest.MonkeyPatch, socket: Path, answer: list[str] | Exception) -> int:
    asked = []

    def restore(world: bridges.World) -> list[str]:
        asked.append(world)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(bridgekeeper, "restore", restore)
    bridgekeeper.look(bridges.World(), str(socket))
    return len(asked)


def test_nothing_is_asked_where_no_open_vswitch_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, tmp_path / "db.sock", []) == 0


@pytest.mark.parametrize(
    "answer,told",
    [
        ([], []),
        (["br-ex is up again"], ["br-ex is up again"]),
        (NoDatabase("no answer"), []),
        (SalternError("ip: no"), ["Bridges were not looked after: ip: no"]),
        (ValueError("x"), ["Bridges were not looked after"]),
    ],
)
def test_what_was_done_and_what_went_wrong_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: list[str] | Exception,
    told: list[str],
) -> None:
    socket = tmp_path / "db.sock"
    socket.touch()
    with caplog.at_level(logging.WARNING):
        assert look(monkeypatch, socket, answer) == 1
    assert [record.message.rstrip(". ") for record in caplog.records] == told


def test_a_restarted_switch_is_another_one(tmp_path: Path) -> None:
    socket = tmp_path / "ovs-vswitchd.ctl"
    assert bridgekeeper._switch(str(socket)) == ""
    socket.touch()
    first = bridgekeeper._switch(str(socket))
    assert first and bridgekeeper._switch(str(socket)) == first
    (tmp_path / "keep").touch()
    (tmp_path / "new").touch()
    (tmp_path / "new").replace(socket)
    assert bridgekeeper._switch(str(socket)) != first
