"""The story of an outage, and how it looks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from saltern.recovery import operator
from saltern.recovery.why import story
from saltern.terminal import render
from unit.saltern.recovery.scene import Master


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


def told(master: Master, host: str = "ctl1", container: str = "keystone") -> dict:
    return story(master.recoverer.history.about(host, container), host, container, master.now)


def test_a_healed_container(master: Master) -> None:
    event = master.fail("ctl1", "keystone", died_at=master.now - 0.02, signal="9")
    master.now += 0.2
    master.recoverer.returned("job 1", {"result": "healed", "why": "started again", "seconds": 0.1}, master.now)
    master.now += 3.5
    master.say("ctl1", "keystone", "healthy", event=event, seconds=3.72)
    found = told(master)
    assert found["state"] == "healthy" and found["healed_today"] == 1
    assert [(step["what"], step["by"].split(" ")[0]) for step in found["steps"]] == [
        ("died", "Docker"),
        ("reported", "health"),
        ("decided", "recovery"),
        ("started", "order"),
        ("healthy", "health"),
    ]
    lines = render({"kind": "why", "stories": [found]}).splitlines()
    assert lines[0] == "● keystone on ctl1: healthy, healed 1 time today"
    assert re.fullmatch(r"  \d\d:\d\d:\d\d\.980  died      docker kill \(signal 9\) .*Docker", lines[1])
    assert lines[-1] == "Nothing asked of you."
    assert all(len(line) <= 100 for line in lines)


def test_only_the_last_outage_is_told(master: Master) -> None:
    for _ in range(2):
        event = master.fail("ctl1", "keystone")
        master.say("ctl1", "keystone", "healthy", event=event, seconds=1)
        master.now += 60
    assert [step["what"] for step in told(master)["steps"]] == ["died", "reported", "decided", "healthy"]


def test_an_outage_with_several_heals_is_told_whole(master: Master) -> None:
    master.fail("ctl1", "keystone")
    master.now += 1
    master.fail("ctl1", "keystone", attempts=1, not_before=master.now + 1)
    master.now += 1
    event = master.fail("ctl1", "keystone", attempts=5)
    master.say("ctl1", "keystone", "crashloop", event=event, until=None, why="5 heals in a row did not last 30 s")
    found = told(master)
    assert found["state"] == "crash loop" and len(found["steps"]) == 10
    assert "heal_reset keystone host=ctl1" in found["next"]
    assert render({"kind": "why", "stories": [found]}).startswith("✗ keystone on ctl1: crash loop")


def test_paused_names_the_way_on(master: Master) -> None:
    operator.pause(master.root, master.now)
    master.fail("ctl1", "keystone")
    assert told(master)["next"].endswith("salt-run openstack.heal_resume")


def test_mended_by_docker(master: Master) -> None:
    master.say("ctl1", "keystone", "mended", exit_code=1, restarts=3)
    found = told(master)
    assert (found["state"], found["mended_today"], len(found["steps"])) == ("healthy", 1, 1)


def test_nothing_known(master: Master) -> None:
    found = told(master, container="nobody")
    assert found["state"] == "nothing known"
    assert "No failure of it is on record." in render({"kind": "why", "stories": [found]})
