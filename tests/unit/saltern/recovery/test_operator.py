"""What operators and the reactor write down for the recovery engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.recovery import files, operator
from saltern.recovery.history import History
from unit.saltern.recovery.scene import Master


def test_pause_dry_run_and_resume_are_settings_with_a_past(tmp_path: Path) -> None:
    assert operator.pause(tmp_path, 1.0, why="a network change")["paused"] is True
    assert operator.pause(tmp_path, 2.0, dry_run=True)["dry_run"] is True
    settings = operator.resume(tmp_path, 3.0)
    assert (settings["paused"], settings["dry_run"]) == (False, False)
    assert files.read(tmp_path / "heal" / "settings.json") == settings
    lines = History(tmp_path / "heal" / "history.jsonl").read()
    assert [(line["kind"], line["at"], line["paused"]) for line in lines] == [
        ("setting", 1.0, True),
        ("setting", 2.0, False),
        ("setting", 3.0, False),
    ]


def test_reset_is_written_down(tmp_path: Path) -> None:
    operator.reset(tmp_path, 1.0, "keystone", "ctl1")
    (line,) = History(tmp_path / "heal" / "history.jsonl").read()
    assert (line["kind"], line["host"], line["container"]) == ("reset", "ctl1", "keystone")


def test_the_reactors_way_reaches_the_engine(tmp_path: Path) -> None:
    master = Master(tmp_path)
    event = master.failure("ctl1", "keystone")
    assert operator.enqueue(tmp_path, event, "ctl1", master.now) is True
    assert operator.enqueue(tmp_path, event, "ctl1", master.now) is False
    master.recoverer.tick(master.now)
    assert master.calls() == [("ctl1", "heal", "keystone")]
    queued = [line for line in master.recoverer.history.read() if line["kind"] == "queued"]
    assert [(line["via"], line["new"]) for line in queued] == [("reactor", True), ("reactor", False)]


@pytest.mark.parametrize(
    ("event", "sender"),
    [
        (None, "ctl1"),
        ("text", "ctl1"),
        ({}, "ctl1"),
        ({"container": "keystone"}, "ctl1"),
        ({"container": "key/stone", "event": "a-1"}, "ctl1"),
        ({"container": "keystone", "event": "../a"}, "ctl1"),
        ({"container": "keystone", "event": "a-1", "host": "ctl2"}, "ctl1"),
    ],
)
def test_what_is_no_failure_of_the_sender_is_refused(tmp_path: Path, event: object, sender: str) -> None:
    with pytest.raises(SalternError):
        operator.enqueue(tmp_path, event, sender, 1.0)
