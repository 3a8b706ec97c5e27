"""Hosts that have just come: who gets into the queue, when they are decided on, and who is deployed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from saltern.plan import lock
from saltern.plan.ask import Answers
from saltern.plan.lock import Holder, RunLock
from saltern.recovery import joining
from saltern.recovery.history import History
from saltern.recovery.joining import Joiner


class Master:
    def __init__(self, root: Path) -> None:
        self.root, self.now = root, 1000.0
        self.known: set[str] = set()
        self.calls: list[list[str]] = []
        self.start()

    def start(self) -> None:
        self.joiner = Joiner(self.root, lambda host, now: host in self.known, self.calls.append)

    def minion(self, host: str, tag: str = "") -> None:
        self.joiner.event(tag or f"salt/minion/{host}/start", host, self.now)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self.joiner.tick(self.now)


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


def test_hosts_that_come_together_are_one_call_and_are_called_once(master: Master) -> None:
    master.minion("cmp3")
    master.minion("cmp4")
    assert master.calls == []
    master.pass_time(joining.AGAIN - 10)
    assert master.calls == [["cmp3", "cmp4"]]


def test_a_start_that_follows_another_waits_again(master: Master) -> None:
    for _ in range(4):
        master.minion("cmp3")
        master.pass_time(joining.SETTLE - 1)
    assert master.calls == []
    master.pass_time(5)
    assert master.calls == [["cmp3"]]


def test_a_host_that_has_just_reported_containers_is_not_new(master: Master) -> None:
    master.known.add("cmp3")
    master.minion("cmp3")
    master.pass_time(60)
    assert master.calls == []


@pytest.mark.parametrize("tag", ["salt/minion/cmp4/start", "salt/minion/cmp3/stop", "salt/minion//start", "x"])
def test_only_a_minions_own_start_counts(master: Master, tag: str) -> None:
    master.minion("cmp3", tag)
    master.pass_time(60)
    assert master.calls == []


def test_while_a_run_is_open_they_wait_for_its_end(master: Master) -> None:
    run = RunLock(master.root)
    run.take(Holder("20260101-000000-abcd", os.getpid(), "m", "deploy", 0.0))
    try:
        master.minion("cmp3")
        master.pass_time(120)
        assert master.calls == []
        run.close("20260101-000000-abcd")
    finally:
        lock.release()
    master.joiner.run_ended()
    master.pass_time(1)
    assert master.calls == [["cmp3"]]


def test_a_run_that_was_faster_is_waited_for_too(master: Master) -> None:
    master.minion("cmp3")
    master.pass_time(20)
    master.joiner.run_ended()  # the verb found it open, and left the host in the queue
    master.pass_time(3)
    assert master.calls == [["cmp3"], ["cmp3"]]


def test_the_queue_outlives_the_engine_until_it_is_decided(master: Master) -> None:
    master.minion("cmp3")
    master.start()
    master.pass_time(20)
    assert master.calls == [["cmp3"]]
    joining.decided(master.root, "cmp3", "started", "run x", master.now, since=master.now, run="x")
    master.start()
    master.pass_time(60)
    assert master.calls == [["cmp3"]]
    (line,) = History(master.root / "heal" / "history.jsonl").read()
    assert (line["kind"], line["host"], line["what"], line["run"]) == ("join", "cmp3", "started", "x")


def test_a_decision_about_a_former_start_does_not_take_a_newer_one_from_the_queue(master: Master) -> None:
    master.minion("cmp3")
    master.pass_time(20)
    begun = master.now
    master.pass_time(1)
    master.minion("cmp3")
    joining.decided(master.root, "cmp3", "nothing", "too early", master.now, since=begun)
    master.pass_time(20)
    assert master.calls == [["cmp3"], ["cmp3"]]


def test_a_verb_that_died_is_called_again_and_one_at_work_is_not(master: Master) -> None:
    master.minion("cmp3")
    master.pass_time(joining.SETTLE + joining.AGAIN + 5)
    assert master.calls == [["cmp3"], ["cmp3"]]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # a lock of the same process would be none
        with joining.alone(master.root) as free:
            os.write(writer, b"y" if free else b"n")
            signal.pause()
        os._exit(0)
    try:
        assert os.read(reader, 1) == b"y"
        master.pass_time(joining.AGAIN * 3)
        assert len(master.calls) == 2
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    master.pass_time(5)
    assert len(master.calls) == 3


PLAN: dict[str, Any] = {
    "hosts": {
        "cmp3": {"containers": ["nova_compute"]},
        "cmp4": {"containers": ["nova_compute"]},
        "bare": {"containers": []},
    }
}


def test_who_is_deployed_and_why_the_others_are_not() -> None:
    asked: list[list[str]] = []

    def ask(hosts: Any, function: str, *_: Any, **__: Any) -> Answers:
        asked.append(list(hosts))
        assert function == "openstack_container.list"
        return Answers(returns={"cmp3": {"mine": {}}, "cmp4": {"nova_compute": {"state": "running"}}})

    new, rest = joining.sift(PLAN, ["cmp3", "cmp4", "bare", "stranger"], ask)
    assert new == ["cmp3"] and asked == [["cmp3", "cmp4"]]
    assert "nova_compute" in rest["cmp4"] and "no container" in rest["bare"]
    assert rest["stranger"] == "it is not in openstack:hosts"


@pytest.mark.parametrize("how", ["silent", "lost"])
def test_a_minion_without_our_modules_is_new_and_a_silent_one_is_not(how: str) -> None:
    answers = Answers(returns={"cmp3": "'openstack_container.list' is not available."}, **{how: ["cmp4"]})
    new, rest = joining.sift(PLAN, ["cmp3", "cmp4"], lambda *_, **__: answers)
    assert new == ["cmp3"] and rest == {"cmp4": "it does not answer"}
