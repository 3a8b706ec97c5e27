"""What each SLS is rendered with. A new SLS needs an entry here: that is how its contexts are declared."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from unit.services.cloud import compiled

PROBLEM = {
    "file": "init.sls",
    "line": 9,
    "key": "openstack:vip",
    "expected": "address",
    "found": "it's 'x'",
    "hint": "",
}
CONTROLLER = ["control", "database", "loadbalancer"]
RUN = ("deploy", "reconfigure", "stop", "destroy")


@cache
def plan(hosts: int) -> dict[str, Any]:
    """A real plan of the real services on so many hosts, three of them controllers."""
    tree = {
        f"host{number:03}": {
            "address": f"10.0.{number // 200}.{number % 200 + 1}",
            "roles": CONTROLLER if number < 3 else [],
        }
        for number in range(hosts)
    }
    made = compiled(tree)
    assert made.plan is not None, made.problems
    return made.plan


def orchestrations() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "errors", _compile({"digest": "1" * 16, "errors": [PROBLEM], "plan": None})
    for hosts in (1, 3, 100):
        found = plan(hosts)
        yield f"{hosts} hosts", _compile({"digest": found["digest"], "errors": [], "plan": found})
    found = plan(1)
    pillar = {
        "confirm": "it's",
        "saltern_apply": {"model": "1" * 16, "plan": "x"},
        "saltern_live": False,
        "volumes": True,
    }
    yield "with pillar", {**_compile({"digest": found["digest"], "errors": [], "plan": found}), "pillar": pillar}


def _compile(answer: dict[str, Any]) -> dict[str, Any]:
    return {"salt": {"openstack_plan.compile": lambda: answer}, "pillar": {}}


def minions() -> Iterator[tuple[str, dict[str, Any]]]:
    """One host's part of a step, on the toolbox host and elsewhere."""
    for mode in RUN:
        for toolbox in (True, False):
            step = {
                "run": "20261124-100000-abcd", "model": "1" * 16, "verb": mode, "mode": mode,
                "containers": ["keystone", "glance_api"], "service": "keystone", "now": 1.5, "volumes": False,
            }  # fmt: skip
            yield f"{mode}, toolbox {toolbox}", {"pillar": {"saltern_step": step, "saltern": {"toolbox": toolbox}}}
            switch = {"toolbox": toolbox, "network": {"container": "keystone"}}
            yield f"{mode}, switch, {toolbox}", {"pillar": {"saltern_step": step, "saltern": switch}}
            yield (
                f"{mode}, all, {toolbox}",
                {
                    "pillar": {
                        "saltern_step": {**step, "containers": None, "service": None},
                        "saltern": {"toolbox": toolbox},
                    }
                },
            )


def setups() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "by hand", {"pillar": {"minions": ["ctl1", "ctl2"]}, "salt": {}}
    yield "a host that joins", {"pillar": {"minions": ["ctl3"], "master": False}, "salt": {}}
    for name, context in orchestrations():
        if name != "with pillar":
            yield name, context


def first_clouds() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from orchestrations()
    found = plan(1)
    compiled = _compile({"digest": found["digest"], "errors": [], "plan": found})
    yield "remove", {**compiled, "pillar": {"remove": True}}


def firsts() -> Iterator[tuple[str, dict[str, Any]]]:
    for remove in (True, False):
        yield f"remove {remove}", {"pillar": {"saltern_step": {"remove": remove}}}


def reactions() -> Iterator[tuple[str, dict[str, Any]]]:
    event = {"id": "ctl1", "data": {"event": "a-b-1", "host": "ctl1", "container": "keystone", "reason": "it's died"}}
    yield "an event", {"tag": "openstack/health/ctl1/keystone/failed", "data": event}


def recoveries() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("nova_compute", "keystone"):
        event = {"id": "cmp1", "data": {"event": "a-b-1", "host": "cmp1", "container": name, "seconds": 1.5}}
        yield name, {"tag": f"openstack/health/cmp1/{name}/healthy", "data": event}


def nothing() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "plain", {"pillar": {}}


CONTEXTS: dict[str, Any] = {
    **{f"{verb}.sls": orchestrations for verb in (*RUN, "precheck")},
    **{f"host/{name}.sls": minions for name in ("compare", "converge", "prepare", "register", "stop", "destroy")},
    "host/precheck.sls": minions,
    "first_cloud.sls": first_clouds,
    "host/first_cloud.sls": firsts,
    "setup.sls": setups,
    "setup/minion.sls": nothing,
    "reactor/failed.sls": reactions,
    "reactor/healthy.sls": recoveries,
}
