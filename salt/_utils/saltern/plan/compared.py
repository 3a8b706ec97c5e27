"""What the comparing step found, as one document, and what follows from it for every later step.

Every host compares its whole list in test mode; the toolbox host also compares databases, identity and jobs. From these
answers the wrapper states know at run time which hosts a step concerns, so that a run in which nothing differs starts
no further job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from saltern.contract import digests
from saltern.host import batch

Plan = Mapping[str, Any]
Step = Mapping[str, Any]
Document = dict[str, Any]

QUIET = ("none",)
CONTAINER, TOOLBOX, PRECHECK = "openstack_container", "openstack_toolbox", "openstack_precheck"
HOST, NETWORK = "openstack_host", "openstack_network"
PREPARE = "prepare"  # the container stays as it is, its host is not as it has to be


def document(returns: Mapping[str, Any], hosts: Iterable[str], *, model: str, mode: str, seconds: float) -> Document:
    """The document ``compare.json``.

    returns
        What ``state.sls`` returned per minion: a dict of states, or a list of errors.
    hosts
        All hosts that were asked; one that is missing in ``returns`` counts as silent.

    ``toolbox`` is None where databases and identity could not be compared: then everything of them is due.
    """
    found: Document = {
        "model": model,
        "mode": mode,
        "seconds": round(seconds, 3),
        "hosts": {},
        "toolbox": None,
        "notes": [],
        "prechecks": {},
        "readings": {},
        "errors": {},
        "silent": [],
    }
    for host in sorted(hosts):
        if host not in returns:
            found["silent"].append(host)
        else:
            _add_host(found, host, returns[host])
    for host, fault in _odd_processors(found["readings"]).items():
        found["prechecks"].setdefault(host, []).append(fault)
    return found


def _add_host(found: Document, host: str, answer: Any) -> None:
    if not isinstance(answer, Mapping):
        found["errors"][host] = _text(answer)
        return
    found["hosts"][host] = {}
    settings: dict[str, Any] = {}
    for tag, state in answer.items():
        if not isinstance(state, Mapping):
            found["errors"][host] = _text(state)
            continue
        kind, failed = str(tag).split("_|-")[0], state.get("result") is False
        changes = state.get("changes") or {}
        if kind == CONTAINER and not failed:
            found["hosts"][host].update(changes)
        elif kind in (HOST, NETWORK) and not failed:
            settings.update(changes)
        elif kind == TOOLBOX:
            found["toolbox"] = None if failed else dict(changes)
            if failed:
                found["notes"].append(f"{host}: {state.get('comment', '')}")
        elif kind == PRECHECK:
            found["readings"][host] = dict(state.get("readings") or {})
            if failed:
                found["prechecks"][host] = str(state.get("comment", "")).splitlines()
        elif failed:
            found["errors"][host] = str(state.get("comment", "")) or "failed without a reason"
    _add_settings(found["hosts"][host], settings)


def _odd_processors(readings: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What is wrong with each host whose processor is not the one of most, where all should have the same."""
    processors = {host: told["processor"] for host, told in readings.items() if told.get("processor")}
    if len(set(processors.values())) < 2:
        return {}
    most = Counter(processors.values()).most_common(1)[0][0]
    like = [host for host, processor in processors.items() if processor == most]
    others = like[0] if len(like) == 1 else f"{len(like)} hosts"
    return {
        host: f"processor: {processor}, expected {most} as on {others}: running instances could not move between them. "
        "Give them one kind, or tell that they differ: "
        f"openstack:services:{readings[host]['service']}:variables:processors: mixed"
        for host, processor in processors.items()
        if processor != most
    }


def _add_settings(rows: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """What a host lacks is a reason of the containers that need it: their wave acts on that host, and is shown."""
    for what, change in settings.items():
        reason = {"field": what, "current": change.get("current"), "desired": change.get("desired")}
        for name in change.get("containers") or ():
            row = rows.get(name, {"action": "none", "reasons": [], "files": []})
            action = PREPARE if row["action"] in ("none", "equivalent", PREPARE) else row["action"]
            rows[name] = {**row, "action": action, "reasons": [*(row.get("reasons") or []), reason]}


def problem(found: Document) -> str:
    """Why the run may not go on, empty when it may: a silent host, an error, a failed precheck."""
    parts = []
    if found["silent"]:
        parts.append(f"no answer from {', '.join(found['silent'])}")
    parts += [f"{host}: {text}" for host, text in sorted(found["errors"].items())]
    for host, checks in sorted(found["prechecks"].items()):
        parts += [f"{host}: {check}" for check in checks]
    return "\n".join(parts)


def remarks(found: Document) -> str:
    """What an operator should know and is no fault: hosts whose instances are emulated, and why."""
    hosts: dict[str, list[str]] = {}
    for host, told in sorted(found["readings"].items()):
        if told.get("emulated"):
            hosts.setdefault(told["emulated"], []).append(host)
    return "\n".join(f"{', '.join(names)}: instances are emulated, slowly: {why}" for why, names in hosts.items())


def due_hosts(step: Step, found: Document, plan: Plan) -> list[str]:
    """Hosts on which the step has something to do, in the plan's order."""
    if step["kind"] == "wave":
        return [host for host in step["hosts"] if _differs(found, host, step["containers"])]
    if step["kind"] == "remove":
        return [host for host in step["hosts"] if unknown(found, host, plan)]
    return [plan["toolbox_host"]] if plan.get("toolbox_host") and _service_due(step, found) else []


def _differs(found: Document, host: str, containers: Iterable[str]) -> bool:
    compared = found["hosts"].get(host, {})
    return any(compared.get(name, {}).get("action", "none") not in QUIET for name in containers)


def unknown(found: Document, host: str, plan: Plan) -> list[str]:
    """Containers of our cloud on a host that the model does not know there (any more)."""
    known = set(plan["hosts"][host]["containers"])
    return sorted(
        name
        for name, change in found["hosts"].get(host, {}).items()
        if name not in known and change.get("action") == "remove"
    )


def _service_due(step: Step, found: Document) -> bool:
    if found["toolbox"] is None:
        return True
    changes = found["toolbox"].get(step["service"])
    if not changes:
        return False
    if not isinstance(changes, Mapping):
        return True
    if step["kind"] == "prepare":
        return bool(batch.before_start(changes))
    return any(value for key, value in changes.items() if key != "database")


def differing(found: Document) -> dict[str, dict[str, Any]]:
    """Containers that differ: ``{host: {container: change}}``, hosts without any left out."""
    rows = {
        host: {name: change for name, change in compared.items() if change.get("action", "none") not in QUIET}
        for host, compared in found["hosts"].items()
    }
    return {host: changes for host, changes in rows.items() if changes}


def fingerprint(found: Document) -> str:
    """Digest of what would be done: ``apply`` refuses when hosts have changed since the plan."""
    actions = {
        host: {name: change.get("action") for name, change in changes.items()}
        for host, changes in differing(found).items()
    }
    return digests.digest({"model": found["model"], "actions": actions, "toolbox": found["toolbox"]})


def _text(answer: Any) -> str:
    if isinstance(answer, (list, tuple)):
        return "; ".join(str(part).strip() for part in answer)
    return str(answer).strip() if answer not in (None, False, "") else "the minion returned nothing"
