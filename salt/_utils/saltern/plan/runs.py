"""Runs on the master's disk: one directory each, made by its first step, read from any terminal.

``run.json`` says what the run was asked for (verb, model, steps), ``journal.jsonl`` what happened, ``compare.json``
what its first step found. Whether a run goes on, ended, or died with its process follows from journal and lock.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import LockHeld, SalternError
from saltern.plan.journal import Journal, Line
from saltern.plan.lock import Holder, RunLock

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
KEPT = 50  # runs; older ones are removed when a run begins


def new_id(now: float, noise: bytes | None = None) -> str:
    """``YYYYmmdd-HHMMSS-xxxx`` (local time): sorts by time, unique by four random hex digits."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + (noise or os.urandom(2)).hex()


class Run:
    """One run's directory.

    root
        The master's state root.
    run
        Its id. Raises SalternError for what is no run id (it becomes a path).
    """

    def __init__(self, root: Path, run: str) -> None:
        if not RUN_ID.fullmatch(run):
            raise SalternError(f"no run id: {run!r}", hint="See salt-run openstack.runs")
        self.id, self.directory = run, root / "runs" / run
        self.journal = Journal(self.directory / "journal.jsonl")

    def create(self, document: Mapping[str, Any]) -> None:
        """Make the directory and ``run.json``."""
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700)
        write_json(self.directory / "run.json", dict(document))

    def document(self) -> dict[str, Any]:
        """``run.json``. Raises SalternError when there is no such run."""
        return _read_json(self.directory / "run.json", f"there is no run {self.id}")

    def save_compare(self, result: Mapping[str, Any]) -> None:
        write_json(self.directory / "compare.json", dict(result))

    def compare(self) -> dict[str, Any]:
        """What the comparing step found. Raises SalternError when it has not ended."""
        return _read_json(self.directory / "compare.json", f"run {self.id} has compared nothing")


def write_json(path: Path, value: Any) -> None:
    """Atomically, 0600."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, default=str)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def all_ids(root: Path) -> list[str]:
    """Ids of all runs, newest first."""
    try:
        found = [entry.name for entry in (root / "runs").iterdir() if RUN_ID.fullmatch(entry.name)]
    except FileNotFoundError:
        return []
    return sorted(found, reverse=True)


def find(root: Path, run: str | None = None) -> Run:
    """The run of that id (its beginning is enough when it is unique), else the newest. Raises SalternError."""
    ids = all_ids(root)
    if not ids:
        raise SalternError("there has been no run yet", hint="Start one: salt-run openstack.deploy")
    if run is None:
        return Run(root, ids[0])
    matching = [found for found in ids if found.startswith(run)]
    if len(matching) != 1:
        what = f"{len(matching)} runs begin with" if matching else "there is no run"
        raise SalternError(f"{what} {run}", hint="See salt-run openstack.runs")
    return Run(root, matching[0])


def of_jid(root: Path, jid: str) -> Run | None:
    """The run that an orchestration of this job id began, if it has."""
    for run_id in all_ids(root)[:5]:
        run = Run(root, run_id)
        try:
            if run.document().get("jid") == jid:
                return run
        except SalternError:
            continue  # it is just being made
    return None


def state(lines: Iterable[Line], *, is_open: bool) -> str:
    """running, ok, failed, aborted or died, from the journal and whether the lock still names the run."""
    end = next((line for line in reversed(list(lines)) if line.get("event") == "end"), None)
    if end is not None:
        result = str(end.get("result"))
        return "ok" if result in ("ok", "changed", "skipped") else result
    return "running" if is_open else "died"


def summaries(root: Path, limit: int = 20) -> list[dict[str, Any]]:
    """The newest runs, each ``{"run", "verb", "model", "state", "started", "seconds", "summary"}``."""
    holder = RunLock(root).read()
    rows = []
    for run_id in all_ids(root)[:limit]:
        run = Run(root, run_id)
        try:
            document = run.document()
        except SalternError:
            continue  # killed while it was being made
        lines = run.journal.read()
        last = lines[-1] if lines else {}
        rows.append(
            {
                "run": run_id,
                "verb": document.get("verb", ""),
                "model": document.get("model", ""),
                "state": state(lines, is_open=holder is not None and holder.run == run_id),
                "started": document.get("started", 0.0),
                "seconds": max(0.0, last.get("at", 0.0) - document.get("started", 0.0)) if last else 0.0,
                "summary": last.get("summary", "") if last.get("event") == "end" else last.get("title", ""),
            }
        )
    return rows


def applied_ago(root: Path, digest: str, now: float) -> float | None:
    """Seconds since a run that went well applied this model to everything; None when there was none."""
    for run in summaries(root, KEPT):
        if run["model"] == digest and run["state"] == "ok" and run["verb"] in ("deploy", "apply"):
            return float(now - run["started"] - run["seconds"])
    return None


def estimates(root: Path, runs: int = 10) -> dict[str, float]:
    """Seconds a step is likely to take: the median of the same step in earlier runs that changed something."""
    seen: dict[str, list[float]] = {}
    for run_id in all_ids(root)[:runs]:
        for line in Run(root, run_id).journal.read():
            if line.get("event") == "step_end" and (line.get("result") == "changed" or line.get("step") == "compare"):
                seen.setdefault(str(line.get("step")), []).append(float(line.get("seconds", 0.0)))
    return {step: statistics.median(values) for step, values in seen.items()}


def prune(root: Path, keep: int = KEPT) -> None:
    """Remove all but the newest runs."""
    for run_id in all_ids(root)[keep:]:
        directory = Run(root, run_id).directory
        for file in directory.iterdir():
            file.unlink(missing_ok=True)
        directory.rmdir()


def take(
    lock: RunLock,
    holder: Holder,
    *,
    patience: float = 3.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take the lock; wait a little for a run that has ended and whose process is just leaving. Raises LockHeld."""
    deadline = clock() + patience
    while True:
        try:
            return lock.take(holder)
        except LockHeld:
            if lock.read() is not None or clock() >= deadline:
                raise
            sleep(0.1)


def _read_json(path: Path, missing: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SalternError(missing, hint="See salt-run openstack.runs") from None
    except ValueError as exc:
        raise SalternError(f"not readable: {exc}", where=str(path)) from None
    return dict(value)
