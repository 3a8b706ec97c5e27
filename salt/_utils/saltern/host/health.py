"""What "healthy" means, once for swaps, status and healing.

Healthy = running, Docker's own health (where there is a healthcheck) neither ``starting`` nor ``unhealthy``, and the
readiness probe (else the liveness probe) passes. A container that has nothing to ask must have run for a moment: a
process that ends a second after its start was never up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import probes
from saltern.host.context import Host, Probe
from saltern.host.spec import START_TIMEOUT, Spec, restart_policy

LOG_LINES = 20
SETTLE = 1.0  # seconds that a container without any probe must have run
_FIRST_POLL, _LONGEST_POLL = 0.1, 1.0


@dataclass(frozen=True)
class Health:
    """``final``: it will not get better by waiting. ``probe``: what was asked and answered, where something was."""

    ok: bool
    why: str
    probe: str = ""
    final: bool = False


def healthy(inspected: dict[str, Any] | None, spec: Spec, probe: Probe, *, live: bool = False) -> Health:
    """One look at one container.

    inspected
        ``GET /containers/<name>/json``, None when there is none.
    probe
        Makes a probe (`saltern.host.probes.probe`).
    live
        Ask whether it must be restarted (liveness alone) instead of whether it is ready.
    """
    if inspected is None:
        return Health(False, "there is no such container", final=True)
    state = inspected.get("State") or {}
    if not state.get("Running") or state.get("Restarting") or state.get("Paused"):
        return _not_running(state, spec)
    docker_health = (state.get("Health") or {}).get("Status", "none")
    if docker_health == "unhealthy" or (docker_health == "starting" and not live):
        return Health(False, f"its health check says {docker_health}", probe=_check_output(state))
    check = spec.get("liveness") if live else spec.get("readiness") or spec.get("liveness")
    if not check:
        return Health(True, "running")
    answer = probe(probes.of(str(spec.get("name") or ""), check))
    return Health(answer.ok, "answers" if answer.ok else "does not answer", probe=answer.text)


def await_healthy(host: Host, name: str, spec: Spec) -> Health:
    """Look until the container is healthy, cannot get so any more, or its ``start_timeout`` is over."""
    timeout = float(spec.get("start_timeout") or START_TIMEOUT)
    begin = settled = host.clock()
    pause, since = _FIRST_POLL, None
    asks = any(spec.get(key) for key in ("liveness", "readiness", "healthcheck"))
    while True:
        inspected = host.engine.inspect(name)
        health = healthy(inspected, spec, host.probe)
        run = _run(inspected) if health.ok else None
        if run is None or run != since:
            # Good when seen twice in one run: a probe may have been answered by somebody else while ours ended.
            since, settled = run, host.clock()
        elif asks or host.clock() - settled >= SETTLE:
            return health
        waited = host.clock() - begin
        if health.final or waited >= timeout + (SETTLE * 2 if health.ok else 0):
            return health if health.final else _late(health, timeout)
        host.sleep(_FIRST_POLL if health.ok else pause)
        pause = min(pause * 1.5, _LONGEST_POLL)


def failure(host: Host, name: str, spec: Spec, health: Health, *, former: str, image: str) -> dict[str, Any]:
    """The record of docs/interfaces.md, section 5: everything an operator needs to find the cause, secrets masked.

    former
        ``back and healthy``, ``none`` or ``not healthy``.
    """
    inspected = _quiet_inspect(host, name)
    state = inspected.get("State") or {}
    return {
        "container": spec["name"],
        "host": host.name,
        "image": image,
        "exit_code": state.get("ExitCode"),
        "restarts": inspected.get("RestartCount", 0),
        "probe": host.mask(health.probe),
        "log": log_tail(host, name),
        "former": former,
        "message": host.mask(health.why),
    }


def log_tail(host: Host, name: str, lines: int = LOG_LINES) -> list[str]:
    """The last log lines, masked; empty when they cannot be had (a log driver that keeps none)."""
    try:
        return [host.mask(line) for line in host.engine.logs(name, lines)]
    except SalternError:
        return []


def seconds_since(stamp: str | None, now: float) -> float | None:
    """Seconds from one of Docker's time stamps (``2026-01-02T03:04:05.678901234Z``) to ``now``; None when unset."""
    moment = epoch(stamp)
    return None if moment is None else now - moment


def epoch(stamp: str | None) -> float | None:
    """Epoch seconds of one of Docker's time stamps; None for "never" (year 1) and for none."""
    if not stamp or stamp.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None


def _late(health: Health, timeout: float) -> Health:
    why = "it does not stay up" if health.ok else health.why
    return Health(False, f"not healthy after {timeout:.0f} s: {why}", health.probe)


def _not_running(state: dict[str, Any], spec: Spec) -> Health:
    status = state.get("Status") or "not running"
    text = f"{status}, exit code {state.get('ExitCode')}" if "ExitCode" in state else str(status)
    if state.get("Error"):
        text += f" ({state['Error']})"
    # Nobody starts it again when Docker is not told to.
    ended = status in ("exited", "dead") and restart_policy(spec) == "no"
    return Health(False, text, final=ended)


def _run(inspected: dict[str, Any] | None) -> tuple[Any, Any] | None:
    """What is different after every start of the process."""
    if inspected is None:
        return None
    return (inspected.get("State") or {}).get("StartedAt"), inspected.get("RestartCount")


def _check_output(state: dict[str, Any]) -> str:
    log = (state.get("Health") or {}).get("Log") or []
    return str(log[-1].get("Output", "")).strip()[:500] if log else ""


def _quiet_inspect(host: Host, name: str) -> dict[str, Any]:
    try:
        return host.engine.inspect(name) or {}
    except SalternError:
        return {}
