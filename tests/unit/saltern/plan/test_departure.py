"""A host leaves the cloud: when it may, in which order, and what a call that is made again finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import LockHeld, SalternError
from saltern.plan import lock, runs
from saltern.plan.ask import Answers
from saltern.plan.departure import Departure, Refusal, Wish, would
from saltern.plan.lock import RunLock

from .planmaker import make_plan


def plan() -> dict[str, Any]:
    hosts = {
        "ctl1": {"roles": ["control", "network"], "containers": ["keystone"]},
        "cmp3": {"roles": ["compute"], "containers": ["nova_libvirt", "nova_compute"]},
        "cmp4": {"roles": ["compute"], "containers": ["nova_compute"]},
        "net1": {"roles": ["network"], "containers": ["neutron_l3_agent"]},
        "bld1": {"roles": ["builder"], "containers": []},
    }
    return {**make_plan(), "hosts": hosts}


def change(kind: str, name: str, what: str = "update", field: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "name": name, "what": what, "field": field}


WEB = {"id": "i1", "name": "web", "status": "ACTIVE", "host": "cmp3"}


class Cloud:
    """Answers of hosts; what is asked, in order."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.instances: list[dict[str, Any]] = []
        self.up, self.elsewhere = True, 1
        self.silent: set[str] = set()
        self.rounds = 1  # calls that moving takes
        self.answers: dict[str, Any] = {}
        self.failed: set[str] = set()
        self.during: Callable[[str], None] = lambda function: None

    def ask(self, hosts: Any, function: str, args: Any = (), kwargs: Any = None, **_: Any) -> Answers:
        (host,) = hosts
        self.asked.append((host, function, kwargs or {}))
        self.during(function)
        if host in self.silent:
            return Answers(silent=[host])
        name = function.rpartition(".")[2]
        found = self.answers.get(name) or getattr(self, name)(**(kwargs or {}))
        return Answers(returns={host: found}, failed={host} if name in self.failed else set())

    def ping(self) -> bool:
        return True

    def host_empty(self, **fields: Any) -> dict[str, Any]:
        changes = [change("compute service", "cmp3", field="disabled")]
        if fields.get("move") and not fields.get("dry_run"):
            self.rounds -= 1
            if self.rounds <= 0:
                changes += [change("instance", "web", field="moved live")] if self.instances else []
                self.instances = []
        return {"services": ["nova-compute"], "agents": [], "instances": list(self.instances), "up": self.up,
                "elsewhere": self.elsewhere, "changes": changes, "cold": ["i9"], "errors": []}  # fmt: skip

    def sls(self, **_: Any) -> dict[str, Any]:
        gone = {"nova_compute": {"action": "remove"}, "nova_libvirt": {"action": "remove"}}
        return {"openstack_container_|-gone_|-gone_|-converged": {"result": True, "changes": gone}}

    def host_forget(self) -> dict[str, Any]:
        return {"changes": [change("compute service", "cmp3", "delete")], "errors": []}

    def functions(self) -> list[str]:
        return [function.rpartition(".")[2] for _, function, _ in self.asked]


@pytest.fixture
def cloud() -> Any:
    yield Cloud()
    lock.release()


def leaving(cloud: Cloud, root: Path, host: str = "cmp3", **wish: Any) -> Departure:
    return Departure(root, plan(), Wish(host, **wish), cloud.ask, lambda: cloud.now)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("ctl1", "also has the roles control"),
        ("bld1", "neither role compute nor network"),
        ("cmp9", "no host cmp9"),
    ],
)
def test_only_compute_and_network_hosts_leave_this_way(cloud: Cloud, tmp_path: Path, host: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        leaving(cloud, tmp_path, host).look()
    assert cloud.asked == []


def test_the_only_network_host_stays_unless_forced(cloud: Cloud, tmp_path: Path) -> None:
    alone = plan()
    del alone["hosts"]["ctl1"]
    only = Departure(tmp_path, alone, Wish("net1"), cloud.ask, lambda: cloud.now)
    with pytest.raises(Refusal, match="only host with the role network"):
        only.look()
    assert leaving(cloud, tmp_path, "net1").look()["instances"] == []


@pytest.mark.parametrize(
    ("setting", "wish", "words"),
    [
        ({}, {}, r"1 instance on cmp3: web \(ACTIVE\)"),
        ({"up": False}, {"move": True}, "the hypervisor of cmp3 is down"),
        ({"elsewhere": 0}, {"move": True}, "no other hypervisor"),
        ({"instances": [], "silent": {"cmp3"}}, {}, "does not answer"),
    ],
)
def test_what_refuses_before_anything_is_changed(
    cloud: Cloud, tmp_path: Path, setting: dict[str, Any], wish: dict[str, Any], words: str
) -> None:
    cloud.instances = [WEB]
    vars(cloud).update(setting)
    with pytest.raises(Refusal, match=words) as caught:
        leaving(cloud, tmp_path, **wish).look()
    assert caught.value.hint
    assert all(kwargs.get("dry_run") for _, function, kwargs in cloud.asked if function.endswith("host_empty"))


def test_instances_are_never_given_up(cloud: Cloud, tmp_path: Path) -> None:
    cloud.instances, cloud.silent, cloud.up = [WEB], {"cmp3"}, False
    with pytest.raises(Refusal, match="web"):
        leaving(cloud, tmp_path, force=True).look()


def test_a_cloud_that_cannot_be_asked_is_an_error(cloud: Cloud, tmp_path: Path) -> None:
    cloud.silent = {"ctl1"}
    with pytest.raises(SalternError, match="ctl1 does not answer"):
        leaving(cloud, tmp_path).look()
    cloud.silent, cloud.answers = set(), {"host_empty": {"services": {}, "errors": ["compute unreachable: x"]}}
    with pytest.raises(SalternError, match="compute unreachable"):
        leaving(cloud, tmp_path).look()


def test_closed_emptied_cleared_forgotten_in_this_order_under_the_lock(cloud: Cloud, tmp_path: Path) -> None:
    cloud.instances, cloud.rounds = [WEB], 3
    holders = []
    cloud.during = lambda function: holders.append(getattr(RunLock(tmp_path).read(), "verb", None))
    going = leaving(cloud, tmp_path, move=True)
    found = going.look()
    assert would(found) == ["compute service cmp3: disabled"]
    assert holders == [None, None]
    assert going.go(found)
    assert cloud.functions() == ["host_empty", "ping", *["host_empty"] * 3, "sls", "host_forget"]
    assert set(holders[2:]) == {"host_remove"} and RunLock(tmp_path).read() is None
    # what one call could not move live, the next does not try again
    assert [kwargs["cold"] for _, f, kwargs in cloud.asked[2:] if f.endswith("host_empty")] == [[], ["i9"], ["i9"]]
    (step,) = [kwargs["pillar"]["saltern_step"] for _, f, kwargs in cloud.asked if f == "state.sls"]
    (run,) = runs.summaries(tmp_path)
    assert (step["run"], step["mode"], step["containers"], step["volumes"]) == (run["run"], "destroy", None, False)
    assert (run["verb"], run["state"], run["summary"]) == ("host_remove", "ok", "cmp3 has left the cloud")


@pytest.mark.parametrize(
    ("broken", "answer", "done"),
    [
        ("host_empty", {"errors": ["no"], "instances": [], "changes": [], "cold": []}, ["empty"]),
        ("host_empty", {"services": {}, "errors": ["compute unreachable: x"]}, ["empty"]),
        ("sls", ["The minion function caused an exception"], ["empty", "containers"]),
        ("host_forget", {"changes": [], "errors": ["placement: conflict (409)"]}, ["empty", "containers", "forget"]),
    ],
)
def test_nothing_comes_after_a_step_that_failed_and_the_same_call_goes_on(
    cloud: Cloud, tmp_path: Path, broken: str, answer: Any, done: list[str]
) -> None:
    going = leaving(cloud, tmp_path)
    found = going.look()
    cloud.answers = {broken: answer}
    cloud.failed = {broken} if broken == "sls" else set()
    assert not going.go(found)
    assert [step["step"] for step in going.steps] == done
    assert going.steps[-1]["result"] == "failed" and going.steps[-1]["comment"]
    assert runs.summaries(tmp_path)[0]["state"] == "failed"
    cloud.answers, cloud.failed = {}, set()
    again = leaving(cloud, tmp_path)
    assert again.go(again.look())


def test_time_for_moving_ends(cloud: Cloud, tmp_path: Path) -> None:
    cloud.instances, cloud.rounds = [WEB], 1000

    def later(function: str) -> None:
        cloud.now += 50

    cloud.during = later
    going = leaving(cloud, tmp_path, move=True, wait=200)
    assert not going.go(going.look())
    assert going.steps[0]["comment"] == "still on cmp3 after 200 s: web"
    assert "sls" not in cloud.functions() and "host_forget" not in cloud.functions()


def test_a_machine_that_is_gone_is_only_forgotten(cloud: Cloud, tmp_path: Path) -> None:
    cloud.silent = {"cmp3"}
    going = leaving(cloud, tmp_path, force=True)
    assert going.go(going.look())
    assert "sls" not in cloud.functions()


def test_a_host_that_was_taken_out_before_can_be_forgotten(cloud: Cloud, tmp_path: Path) -> None:
    going = leaving(cloud, tmp_path, "cmp9", force=True)
    assert going.go(going.look())
    assert {host for host, _, _ in cloud.asked} == {"ctl1"}


def test_while_a_run_is_open_nothing_is_done(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: Any, **__: Any) -> None:
        raise LockHeld("deploy run x is open")

    going = leaving(cloud, tmp_path)
    found = going.look()
    monkeypatch.setattr(runs, "take", held)
    before = len(cloud.asked)
    with pytest.raises(LockHeld):
        going.go(found)
    assert len(cloud.asked) == before


def test_taking_it_back(cloud: Cloud, tmp_path: Path) -> None:
    leaving(cloud, tmp_path).reopen()
    assert cloud.asked == [("ctl1", "openstack_cloud.host_empty", {"reopen": True})]
