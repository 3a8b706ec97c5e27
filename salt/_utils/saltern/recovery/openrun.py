"""Which containers the open run is at work on: those of its steps that have begun and not ended.

A run over a hundred hosts must not stop the healing of ninety-nine, so only its current steps count; `stop` and
`destroy` mean everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.plan import compiled
from saltern.plan.journal import Journal
from saltern.plan.lock import RunLock

EVERYTHING = ("stop", "destroy")


def covering(root: Path, host: str, container: str) -> dict[str, Any] | None:
    """The open run, if it is at work on this container: ``{"run", "verb"}``.

    root
        The master's state root.
    """
    holder = RunLock(root).read()
    if holder is None:
        return None
    run = {"run": holder.run, "verb": holder.verb}
    if holder.verb in EVERYTHING:
        return run
    try:
        plan = compiled.plan(root, holder.model)
        lines = Journal(root / "runs" / holder.run / "journal.jsonl").read()
    except (SalternError, OSError):
        return None
    return run if covers(plan, open_steps(lines), host, container) else None


def open_steps(lines: list[dict[str, Any]]) -> set[str]:
    """Ids of the steps that have begun and not ended."""
    found: set[str] = set()
    for line in lines:
        step = str(line.get("step"))
        if line.get("event") == "step_start":
            found.add(step)
        elif line.get("event") == "step_end":
            found.discard(step)
    return found


def covers(plan: Mapping[str, Any], steps: set[str], host: str, container: str) -> bool:
    """Whether one of these steps works on the container."""
    return any(
        step.get("id") in steps and host in (step.get("hosts") or ()) and container in (step.get("containers") or ())
        for step in plan.get("steps") or ()
    )
