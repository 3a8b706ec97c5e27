"""The list of runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import CHANGING, FAILED, OK, duration, table, tint

_MARKS = {"ok": OK, "running": CHANGING}


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"runs": [{"run", "verb", "model", "state", "started", "seconds", "summary"}]}``, newest first."""
    runs = data.get("runs") or []
    if not runs:
        return "There has been no run yet. Start one: salt-run openstack.deploy"
    rows = [
        [
            _MARKS.get(run["state"], FAILED),
            run["run"],
            time.strftime("%a %H:%M", time.localtime(run["started"])),
            run["verb"],
            str(run["model"])[:6],
            run["state"],
            duration(float(run["seconds"])),
            str(run["summary"]),
        ]
        for run in runs
    ]
    lines = [tint(line[:1], colour=colour) + line[1:] for line in table(rows, width=width)]
    return "\n".join([*lines, "", f"Look: salt-run openstack.show {runs[0]['run']}"])
