"""What a run would do, as a person reads it: containers with the same change together, whatever host they are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltern.contract import digests
from saltern.plan import compared

Plan = Mapping[str, Any]


def view(
    plan: Plan,
    found: dict[str, Any],
    *,
    current: str = "",
    because: Sequence[Mapping[str, Any]] = (),
    estimates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The answer of ``openstack.plan``.

    found
        What the comparing step found.
    current
        Digest of the model in force.
    because
        Keys of the pillar that differ between that model and the plan's: ``{"key", "file", "line", "old", "new"}``.
    estimates
        Seconds by step id, from earlier runs.
    """
    groups = _groups(plan, found, estimates or {})
    touched = sum(len(group["hosts"]) for group in groups if group["action"] != compared.PREPARE)
    return {
        "kind": "plan",
        "model": plan["digest"],
        "current": current,
        "cloud": plan.get("cloud", ""),
        "mode": found["mode"],
        "hosts": len(plan["hosts"]),
        "containers": sum(len(host["containers"]) for host in plan["hosts"].values()),
        "touched": touched,
        "changes": groups,
        "toolbox": _toolbox(plan, found),
        "because": [dict(item) for item in because],
        "problem": compared.problem(found),
        "notes": list(found["notes"]),
        "silent": list(found["silent"]),
        "seconds": found["seconds"],
        "fingerprint": compared.fingerprint(found),
    }


def same(answer: Mapping[str, Any]) -> bool:
    """Whether nothing would be done."""
    return not answer["changes"] and not answer["toolbox"] and not answer["problem"]


def _groups(plan: Plan, found: dict[str, Any], estimates: Mapping[str, float]) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for host, changes in compared.differing(found).items():
        for container, change in changes.items():
            if change.get("action") == "equivalent":
                continue
            shape = {"container": container, **{key: change.get(key) for key in ("action", "reasons", "files")}}
            group = groups.setdefault(digests.digest(shape), {**shape, "hosts": []})
            group["hosts"].append(host)
    places = {container: number for number, container in enumerate(_order(plan))}
    made = sorted(groups.values(), key=lambda group: (places.get(group["container"], len(places)), group["hosts"]))
    for group in made:
        group |= _how(plan, group, estimates)
    return made


def _order(plan: Plan) -> list[str]:
    return [container for step in plan["steps"] for container in step["containers"]]


def _how(plan: Plan, group: Mapping[str, Any], estimates: Mapping[str, float]) -> dict[str, Any]:
    for step in plan["steps"]:
        if group["container"] in step["containers"]:
            return {"serial": bool(step["serial"]), "step": step["id"], "estimate": estimates.get(step["id"])}
    return {"serial": False, "step": "remove", "estimate": None}


def _toolbox(plan: Plan, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is due in databases and Keystone: per service, ``{"service", "database", "identity", "jobs"}``."""
    if found["mode"] != "deploy":
        return []
    if found["toolbox"] is None:
        services = dict.fromkeys(s["service"] for s in plan["steps"] if s["kind"] in ("prepare", "register"))
        return [{"service": service, "unknown": True} for service in services]
    return [
        {"service": service, "unknown": True}
        if _unknown(changes)
        else {
            "service": service,
            "database": changes.get("database") or [],
            "identity": changes.get("identity") or [],
            "jobs": changes.get("jobs_due") or [],
        }
        for service, changes in sorted(found["toolbox"].items())
        if changes
    ]


def _unknown(changes: Any) -> bool:
    """Whether the toolbox could not look: then it says of everything that it is unknown."""
    if not isinstance(changes, Mapping):
        return True
    items = [item for part in ("database", "identity") for item in changes.get(part) or []]
    return bool(items) and all(isinstance(item, Mapping) and item.get("what") == "unknown" for item in items)
