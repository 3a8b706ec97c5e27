"""End a run from another terminal: close it first, so that no queued job of it starts, then end what goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.plan.lock import Holder, RunLock
from saltern.plan.runs import Run

Ask = Callable[[list[str], str, list[Any]], Mapping[str, Any]]


def abort(
    root: Path,
    ask: Ask,
    *,
    run: str | None = None,
    kill: Callable[[int, int], None] = os.kill,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    patience: float = 10.0,
) -> dict[str, Any]:
    """Abort the open run.

    ask
        Runs a function on hosts, returns answers by host.
    run
        Only if this is the open one.
    patience
        Seconds for the run's process to end after SIGTERM, before SIGKILL.

    Returns ``{"run", "verb", "ended": {host: [jids]}}``. Raises SalternError when no run, or another one, is open.
    """
    lock = RunLock(root)
    holder, pid = lock.read(), lock.holder_pid()
    if holder is None or pid is None:
        raise SalternError("no run is open, there is nothing to abort", hint="See salt-run openstack.runs")
    if run and not holder.run.startswith(run):
        raise SalternError(f"the open run is {holder.run}, not {run}")
    open_run = Run(root, holder.run)
    lock.close(holder.run)
    # Before its process is gone: who watches reads why.
    summary = f"{holder.verb.capitalize()} run {holder.run} was aborted"
    seconds = clock() - holder.since
    open_run.journal.append(
        {"at": clock(), "event": "end", "result": "aborted", "seconds": seconds, "summary": summary}
    )
    _end_process(lock, pid, kill, sleep, patience)
    ended = _end_jobs(holder, list(open_run.document().get("hosts", [])), ask)
    return {"run": holder.run, "verb": holder.verb, "ended": ended}


def _end_process(
    lock: RunLock, pid: int, kill: Callable[[int, int], None], sleep: Callable[[float], None], patience: float
) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            kill(pid, number)
        except ProcessLookupError:
            return
        for _ in range(int(patience * 10)):
            if lock.holder_pid() != pid:
                return
            sleep(0.1)


def _end_jobs(holder: Holder, hosts: list[str], ask: Ask) -> dict[str, list[str]]:
    """End the jobs of this run on its hosts; queued ones refuse by themselves."""
    ended: dict[str, list[str]] = {}
    for host, jobs in ask(hosts, "saltutil.running", []).items():
        for job in jobs if isinstance(jobs, list) else []:
            if isinstance(job, Mapping) and _of_run(job, holder.run):
                ended.setdefault(host, []).append(str(job.get("jid")))
    for host, jids in ended.items():
        for jid in jids:
            ask([host], "saltutil.term_job", [jid])
    return ended


def _of_run(job: Mapping[str, Any], run: str) -> bool:
    for argument in job.get("arg") or []:
        pillar = argument.get("pillar") if isinstance(argument, Mapping) else None
        if isinstance(pillar, Mapping) and (pillar.get("saltern_step") or {}).get("run") == run:
            return True
    return False
