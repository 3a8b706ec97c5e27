"""The cloud as it is: containers by hosts, what healing did, what to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saltern.terminal import instances
from saltern.terminal.marks import CHANGING, FAILED, OK, SKIPPED, ago, count, cut, names, tint

CELL = 16


def assemble(
    plan: Mapping[str, Any],
    answers: Mapping[str, Any],
    *,
    silent: Iterable[str],
    healed: Mapping[tuple[str, str], int],
    applied: float | None,
    healing: str,
    told: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The answer of ``openstack.status``.

    answers
        ``openstack_container.status`` by host; a host that answered with something else is an error.
    healed
        Heals of today by (host, container).
    applied
        Seconds since the model was applied, None when it was not.
    healing
        on, paused, dry run or off.
    told
        What `saltern.terminal.instances.assemble` makes of the cloud's own answers; None where it has no such services.
    """
    good = {host: answer for host, answer in answers.items() if isinstance(answer, Mapping)}
    errors = {host: str(answer) for host, answer in answers.items() if host not in good}
    rows, strangers = {}, []
    for name in plan["containers"]:
        hosts = plan["containers"][name]["hosts"]
        rows[name] = {
            host: _cell(good[host]["containers"].get(name), healed.get((host, name), 0))
            for host in hosts
            if host in good
        }
    for host, answer in good.items():
        strangers += [f"{name} on {host}" for name in answer["containers"] if name not in _known(plan, host)]
    return {
        "kind": "status",
        "cloud": plan.get("cloud", ""),
        "release": plan.get("release", ""),
        "model": plan["digest"],
        "hosts": list(plan["hosts"]),
        "containers": rows,
        "silent": sorted(silent),
        "errors": errors,
        "strangers": strangers,
        "healed": sum(healed.values()),
        "applied": applied,
        "healing": healing,
        "cloud_tells": told,
        "load": {host: {key: answer.get(key) for key in ("memory", "disk")} for host, answer in good.items()},
    }


def good(data: Mapping[str, Any]) -> bool:
    """Whether every container of the model is as it is meant to be, and what reports to the cloud does so."""
    cells = (cell["result"] for row in data["containers"].values() for cell in row.values())
    return all(result in ("ok", "stopped") for result in cells) and instances.good(data["cloud_tells"])


def _known(plan: Mapping[str, Any], host: str) -> list[str]:
    return list(plan["hosts"].get(host, {}).get("containers", []))


def _cell(found: Mapping[str, Any] | None, healed: int) -> dict[str, Any]:
    if not found or found.get("state") == "absent":
        wanted = bool(found and found.get("desired") == "running")
        return {"result": "failed", "word": "gone" if wanted else "not deployed", "healed": healed}
    if found.get("desired") == "stopped":
        return {"result": "stopped", "word": "stopped", "healed": healed}
    if found.get("healthy"):
        return {"result": "ok", "word": "", "healed": healed}
    state = str(found.get("state", "unknown"))
    if state == "running":
        word = "starting" if found.get("health") == "starting" else "unhealthy"
        return {"result": "changing" if word == "starting" else "failed", "word": word, "healed": healed}
    return {"result": "failed", "word": state, "healed": healed}


_MARKS = {"ok": OK, "failed": FAILED, "stopped": SKIPPED, "changing": CHANGING}


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.status``: what :func:`assemble` gives."""
    lines = [cut(_head(data), width)]
    hosts = [host for host in data["hosts"] if host not in data["silent"] and host not in data["errors"]]
    first = max([len(name) for name in data["containers"]] + [10]) + 2
    per_block = max(1, (width - first) // CELL)
    for start in range(0, len(hosts), per_block):
        lines += _block(data, hosts[start : start + per_block], first, colour)
    lines += [f"{tint(FAILED, colour=colour)} {host}: no answer (is its salt-minion up?)" for host in data["silent"]]
    lines += [f"{tint(FAILED, colour=colour)} {host}: {text}" for host, text in sorted(data["errors"].items())]
    if data["strangers"]:
        lines.append(f"Not in the model: {names(data['strangers'])}; deploy removes them")
    lines += instances.lines(data["cloud_tells"], width=width, colour=colour)
    lines.append(f"Healed in 24 h: {data['healed']}")
    return "\n".join([*lines, *_look(data)])


def _head(data: Mapping[str, Any]) -> str:
    applied = data.get("applied")
    when = f"applied {ago(float(applied))}" if applied is not None else "not applied"
    return (
        f"{data['cloud']} · OpenStack {data['release']} · model {str(data['model'])[:6]}, {when} · "
        f"healing {data['healing']} · {count(len(data['hosts']), 'host')}"
    )


def _block(data: Mapping[str, Any], hosts: list[str], first: int, colour: bool) -> list[str]:
    lines = [(" " * first + "".join(cut(host, CELL - 2).ljust(CELL) for host in hosts)).rstrip()]
    for name, row in data["containers"].items():
        if not any(host in row for host in hosts):
            continue
        cells = [_text(row.get(host)) for host in hosts]
        padded = "".join(_paint(cell, colour) + " " * max(0, CELL - len(cell)) for cell in cells)
        lines.append(f"{name:<{first}}{padded}".rstrip())
    return lines


def _text(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return SKIPPED
    word = cell["word"] or (f"healed {cell['healed']}×" if cell["healed"] else "")
    return cut(f"{_MARKS[cell['result']]} {word}".rstrip(), CELL - 1)


def _paint(text: str, colour: bool) -> str:
    return tint(text[:1], colour=colour) + text[1:]


def _look(data: Mapping[str, Any]) -> list[str]:
    for name, row in data["containers"].items():
        for host, cell in row.items():
            if cell["result"] == "failed":
                what = "deploy" if cell["word"] == "not deployed" else f"why {name} host={host}"
                return [f"Look: salt-run openstack.{what}"]
    for name, row in data["containers"].items():
        for host, cell in row.items():
            if cell["healed"]:
                return [f"Look: salt-run openstack.why {name} host={host}"]
    return []
