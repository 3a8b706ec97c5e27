"""Events reach the master or wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saltern.contract import events
from saltern.host import courier as couriers
from saltern.host.courier import Courier
from saltern.host.store import Shelf


class Line:
    """A connection to a master that can be cut."""

    def __init__(self, directory: Path) -> None:
        self.up, self.broken, self.now = True, False, 100.0
        self.got: list[dict[str, Any]] = []
        self.backs: list[float] = []
        self.outbox = Shelf(directory / "outbox")
        self.courier = Courier(self._fire, self.outbox, lambda: self.up, self.backs.append)

    def _fire(self, tag: str, data: dict[str, Any]) -> None:
        if self.broken:
            raise OSError("the minion's bus is away")
        if self.up:
            self.got.append(data)

    def send(self, number: int, kind: str = "failed") -> None:
        tag = events.health_tag("ctl1", "keystone", kind) if kind != "snapshot" else events.snapshot_tag("ctl1")
        self.courier.send(tag, {"n": number, "at": self.now}, self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self.courier.tick(self.now)

    def numbers(self) -> list[int]:
        return [data["n"] for data in self.got]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_sent_at_once_while_connected(line: Line) -> None:
    line.send(1)
    assert line.numbers() == [1] and line.courier.waiting() == 0


def test_kept_in_order_while_away_and_sent_when_back(line: Line) -> None:
    line.wait(1)
    line.up = False
    for number in range(5):
        line.send(number)
        line.wait(1)
    assert line.numbers() == [] and line.courier.waiting() == 5
    line.up = True
    line.wait(4)
    assert line.numbers() == [0, 1, 2, 3, 4] and all(data["late"] for data in line.got)
    assert line.backs[-1] > 105 and line.courier.waiting() == 0


def test_what_waits_goes_before_what_is_new(line: Line) -> None:
    line.wait(1)
    line.up = False
    line.wait(1)
    line.send(1)
    line.up = True
    line.courier.tick(line.now + 1)
    line.now += 1 + couriers.SETTLE
    line.send(2)
    assert line.numbers() == [1, 2]


def test_a_new_connection_gets_a_moment_to_settle(line: Line) -> None:
    line.wait(1)
    line.up = False
    line.wait(2)
    line.up = True
    line.wait(1)
    line.send(1)
    assert line.numbers() == []
    line.wait(3)
    assert line.numbers() == [1]


def test_what_was_sent_just_before_the_break_is_sent_again(line: Line) -> None:
    line.send(1)
    line.wait(couriers.DOUBTFUL + 5)
    line.send(2)
    line.up = False
    line.wait(2)
    line.up = True
    line.wait(4)
    assert line.numbers() == [1, 2, 2]
    assert line.got[1]["at"] == line.got[2]["at"]


def test_a_minion_whose_bus_is_away_loses_nothing(line: Line) -> None:
    line.broken = True
    line.send(1)
    line.wait(2)
    line.broken = False
    line.wait(2)
    assert line.numbers() == [1]


def test_a_snapshot_is_not_kept(line: Line) -> None:
    line.up = False
    line.send(1, "snapshot")
    assert line.courier.waiting() == 0


def test_the_outbox_outlives_the_engine(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.up = False
    line.send(1)
    again = Line(tmp_path)
    again.wait(3)
    assert again.numbers() == [1]


def test_a_cut_letter_blocks_nobody(line: Line) -> None:
    line.up = False
    line.wait(1)
    line.send(1)
    (line.outbox.directory / "000000000000000-000000.json").write_text('{"tag": ')
    line.up = True
    line.wait(4)
    assert line.numbers() == [1] and line.courier.waiting() == 0


def test_the_outbox_is_bounded(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "OUTBOX_MOST", 10)
    line.up = False
    for number in range(25):
        line.send(number)
    line.up = True
    line.wait(5)
    assert line.numbers() == list(range(15, 25))


def test_a_storm_of_unimportant_events_is_thinned_but_no_failure(line: Line) -> None:
    for number in range(500):
        line.send(number, "mended")
    assert len(line.got) == couriers.BURST and line.courier.dropped == 500 - couriers.BURST
    line.send(1000, "failed")
    assert line.numbers()[-1] == 1000


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["send", "cut", "mend", "wait"]), max_size=40))
def test_every_failure_arrives_at_least_once(tmp_path_factory, steps: list[str]) -> None:
    line, sent = Line(tmp_path_factory.mktemp("line")), 0
    for step in steps:
        if step == "send":
            line.send(sent)
            sent += 1
        elif step == "wait":
            line.wait(2)
        else:
            line.up = step == "mend"
    line.up = True
    line.wait(6)
    assert set(line.numbers()) == set(range(sent))
    assert line.courier.waiting() == 0
