"""A host that leaves the cloud: what would happen, or what happened and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import duration, mark


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"host", "stage": shown|done|failed|kept, "would", "instances", "containers", "steps", "next"}``."""
    lines = _shown(data, colour) if data["stage"] == "shown" else _done(data, colour)
    steps = data.get("next") or []
    lines += [f"{'Next:' if number == 0 else '     '} {step}" for number, step in enumerate(steps)]
    return "\n".join(lines)


def _shown(data: Mapping[str, Any], colour: bool) -> list[str]:
    lines = [f"{mark('waiting', colour=colour)} {data['host']} would leave the cloud; nothing was changed"]
    lines += [f"  {line}" for line in data["would"]]
    lines += [f"  instance {entry['name']} ({entry['status']}): moved" for entry in data["instances"]]
    if data["containers"]:
        left = "left, the host does not answer" if data["silent"] else "removed; data in their volumes stays"
        lines.append(f"  {data['containers']} containers: {left}")
    lines += [f"  {kind} {name}: removed" for kind, name in data["records"]]
    return lines


def _done(data: Mapping[str, Any], colour: bool) -> list[str]:
    lines = []
    for step in data["steps"]:
        lines.append(f"{mark(step['result'], colour=colour)} {step['title']}  {duration(step['seconds'])}")
        lines += [f"  {line}" for line in step["lines"]]
        lines += [f"  {line}" for line in step["comment"].splitlines()]
    good = data["stage"] in ("done", "kept")
    lines.append(f"{mark('ok' if good else 'failed', colour=colour)} {data['title']}")
    return lines
