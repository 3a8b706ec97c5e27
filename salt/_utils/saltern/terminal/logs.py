"""The last lines of a container's log, per host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import FAILED, bold, tint


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"container", "hosts": {host: [lines]}, "errors": {host: text}}``."""
    hosts, errors = data.get("hosts") or {}, data.get("errors") or {}
    lines: list[str] = []
    for host, log in sorted(hosts.items()):
        if len(hosts) + len(errors) > 1:
            lines.append(bold(f"{data['container']} on {host}", colour=colour))
        lines += [str(text) for text in log] or ["(nothing logged)"]
    lines += [f"{tint(FAILED, colour=colour)} {host}: {text}" for host, text in sorted(errors.items())]
    return "\n".join(lines)
