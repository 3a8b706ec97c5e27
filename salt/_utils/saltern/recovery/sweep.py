"""The last net: what hosts last reported, compared with the model. Finds what no event told. Pure.

A host that says nothing is reported, never "healed": who cannot be heard cannot be judged. Its own health engine goes
on without us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saltern.recovery.evidence import Settings
from saltern.recovery.state import State

TWICE = 2.0  # sweeps that something must have been wrong before it counts: events and heals are faster than that


@dataclass(frozen=True)
class Finding:
    """``silent`` or ``heard`` (a host), ``missing`` or ``unhealthy`` (a container)."""

    kind: str
    host: str
    container: str
    why: str


def sweep(plan: Mapping[str, Any], state: State, settings: Settings, now: float) -> list[Finding]:
    """Compare reports with the plan.

    plan
        The current model's plan.
    now
        Seconds since the epoch.
    """
    found: list[Finding] = []
    for host, entry in sorted((plan.get("hosts") or {}).items()):
        report = state.reports.get(host) or {}
        age = now - float(report.get("at") or 0)
        if not entry.get("containers"):
            continue
        if age > settings.silent:
            said = f"it reported {age / 60:.0f} min ago" if report else "it never reported"
            found.append(Finding("silent", host, "", said))
        else:
            found.extend(_host(host, entry, report, state, settings, age))
    return found


def _host(
    host: str, entry: Mapping[str, Any], report: Mapping[str, Any], state: State, settings: Settings, age: float
) -> Iterator[Finding]:
    known: Mapping[str, Mapping[str, Any]] = report.get("containers") or {}
    if "seq" not in report:
        return  # only single events of it are known so far, no whole snapshot
    for container in entry["containers"]:
        row = known.get(container)
        if row is None:
            yield Finding("missing", host, container, "the host has not committed to it: salt-run openstack.deploy")
        elif _down(row) and age > TWICE * settings.sweep and (host, container) not in state.failures:
            yield Finding("unhealthy", host, container, f"it was not healthy {age:.0f} s ago and nobody said more")


def _down(row: Mapping[str, Any]) -> bool:
    return row.get("healthy") is False and not row.get("planned") and not row.get("crashloop")
