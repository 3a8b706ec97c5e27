"""Plans for 1, 3 and 100 hosts, as data."""

from pathlib import Path
from typing import Any

import pytest

from saltern.plan.waves import Wave, waves
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import ROLES, SECRETS, pillar


def plan(tmp_path: Path, hosts: dict[str, Any], *services: Any, **changes: Any) -> dict[str, Any]:
    loaded = fixtures.services_of(tmp_path / "services", *services)
    made = fixtures.compiled(tmp_path / "pillar", loaded, pillar(hosts=hosts, secrets=SECRETS, **changes))
    assert made.problems == []
    assert made.plan is not None
    return made.plan


def hosts(number: int) -> dict[str, Any]:
    """Three controllers (or one), the rest computes."""
    control = min(number, 3)
    found: dict[str, Any] = {}
    for n in range(number):
        roles = ["control", "database"] if n < control else []
        roles += ["compute"] if n >= control or number == 1 or n == 0 else []
        found[f"h{n:03}"] = {"address": f"10.0.{n // 250}.{n % 250 + 1}", "roles": roles}
    return found


def by_id(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["id"]: step for step in plan["steps"]}


def before(plan: dict[str, Any], step: str) -> set[str]:
    """All steps that a step waits for, near and far."""
    steps = by_id(plan)
    found: set[str] = set()
    left = list(steps[step]["requires"])
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += steps[name]["requires"]
    return found


@pytest.mark.parametrize("number", [1, 3, 100])
def test_steps_of_any_size(tmp_path: Path, number: int) -> None:
    made = plan(tmp_path, hosts(number))
    steps = by_id(made)
    assert len(steps) == len(made["steps"])
    seen: set[str] = set()
    for step in made["steps"]:
        assert set(step["requires"]) <= seen, "a step stands after what it requires"
        seen.add(step["id"])
        assert step["hosts"]
    planned = {(h, c) for s in made["steps"] if s["kind"] == "wave" for h in s["hosts"] for c in s["containers"]}
    assert planned == {(host, name) for host, data in made["hosts"].items() for name in data["containers"]}
    assert {"start database", "start kolla_toolbox", "start cache"} <= before(made, "prepare api")
    assert before(made, "start cache") == set()
    assert steps["prepare api"]["hosts"] == steps["register api"]["hosts"] == ["h000"] == [made["toolbox_host"]]


def test_independent_services_stay_independent(tmp_path: Path) -> None:
    made = plan(tmp_path, hosts(3))
    assert "start cache" not in before(made, "start database")
    assert "start database" not in before(made, "start cache")


def test_hosts_with_other_containers_are_waves_of_their_own(tmp_path: Path) -> None:
    made = plan(tmp_path, hosts(5))
    starts = [s for s in made["steps"] if s["kind"] == "wave" and s["service"] == "api"]
    assert [(s["hosts"], s["containers"], s["serial"]) for s in starts] == [
        (["h000"], ["api", "worker_a", "worker_b"], 1),
        (["h001", "h002"], ["api"], 1),
        (["h003", "h004"], ["worker_a", "worker_b"], 0),
    ]
    assert starts[2]["requires"] == [starts[1]["id"]]
    assert by_id(made)["register api"]["requires"] == sorted({starts[2]["id"], "start kolla_toolbox"})


def test_one_service_alone_needs_no_toolbox(tmp_path: Path) -> None:
    made = plan(tmp_path, {"a": {"address": "10.0.0.1", "roles": ["control"]}}, fixtures.CACHE)
    assert [s["id"] for s in made["steps"]] == ["start cache"]
    assert made["toolbox_host"] is None


def test_waves_group_hosts_by_what_they_run() -> None:
    made = waves({"a": ["h1", "h2"], "b": ["h2", "h3"]}, {"a": 0, "b": 1})
    assert made == [Wave(("h1",), ("a",), 0), Wave(("h2",), ("a", "b"), 1), Wave(("h3",), ("b",), 1)]


def test_a_hundred_hosts_with_forty_containers_each(tmp_path: Path) -> None:
    many = [
        {
            **fixtures.CACHE,
            "name": f"s{n}",
            "containers": {f"c{n}_{i}": {**fixtures.CACHE["containers"]["cache"], "ports": []} for i in range(4)},
        }
        for n in range(9)
    ]
    wide = [fixtures.CACHE, fixtures.DATABASE, fixtures.TOOLBOX, fixtures.API, *many]
    machines = {f"h{n}": {"address": f"10.0.0.{n + 1}", "roles": ROLES} for n in range(100)}
    made = plan(tmp_path, machines, *wide)
    assert sum(len(h["containers"]) for h in made["hosts"].values()) == 100 * 42
    assert sum(s["service"].startswith("s") for s in made["steps"]) == 9, "a wave a service, whatever the hosts"
