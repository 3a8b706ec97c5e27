"""All that a decision on one container rests on, gathered into one plain value that is journalled with the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from saltern.recovery.state import State

BUDGET, BUDGET_WINDOW = 30, 600.0


@dataclass(frozen=True)
class Settings:
    """The model's ``heal`` part, over which an operator's pause or dry run lies."""

    enabled: bool = True
    paused: bool = False
    dry_run: bool = False
    budget: int = BUDGET
    budget_window: float = BUDGET_WINDOW
    sweep: float = 60.0
    silent: float = 660.0


def settings_from(*layers: Mapping[str, Any] | None) -> Settings:
    """Settings out of mappings, the later ones over the former; a ``dry_run`` of any of them holds."""
    known: dict[str, Any] = {}
    for layer in layers:
        for key, value in (layer or {}).items():
            if key in Settings.__dataclass_fields__ and value is not None:
                known[key] = (known.get(key, False) or value) if key == "dry_run" else value
    return Settings(**known)


@dataclass(frozen=True)
class Evidence:
    """What was known when a failure was looked at.

    event
        The failure as the host reported it.
    known
        The container in the plan (``service``, ``restart``, ``cluster``, ``needs``); None when it has none there.
    settings
        As :class:`Settings`.
    over
        It was healthy again meanwhile.
    run
        The open run that is at work on the container: ``{"run", "verb"}``.
    dead
        Needed services of which a container is healthy nowhere: ``{"service", "container"}``.
    heals
        Times of the heals within the budget's window.
    now
        Seconds since the epoch.
    """

    event: dict[str, Any]
    known: dict[str, Any] | None
    settings: dict[str, Any]
    now: float
    over: bool = False
    run: dict[str, Any] | None = None
    dead: list[dict[str, str]] = field(default_factory=list)
    heals: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


def evidence_from(data: Mapping[str, Any]) -> Evidence:
    """Read what the journal holds; keys of other versions are left out."""
    return Evidence(**{key: data[key] for key in Evidence.__dataclass_fields__ if key in data})


def gather(
    event: Mapping[str, Any],
    state: State,
    plan: Mapping[str, Any],
    settings: Settings,
    run: Mapping[str, Any] | None,
    now: float,
) -> Evidence:
    """Evidence on one failure.

    event
        The failure (docs/interfaces.md, section 9).
    state
        What is known of all hosts.
    plan
        The plan of the current model; empty when there is none.
    run
        The open run if it covers the container.
    """
    host, container = str(event.get("host")), str(event.get("container"))
    known = _known(plan, host, container)
    return Evidence(
        event=dict(event),
        known=known,
        settings=asdict(settings),
        now=now,
        over=not state.is_open(event),
        run=dict(run) if run else None,
        dead=dead_needs(plan, known or {}, state),
        heals=state.recent_heals((host, container), now - settings.budget_window),
    )


def _known(plan: Mapping[str, Any], host: str, container: str) -> dict[str, Any] | None:
    entry = (plan.get("containers") or {}).get(container)
    if not entry or host not in entry.get("hosts", ()):
        return None
    return {key: entry.get(key) for key in ("service", "restart", "cluster", "needs", "image")}


def dead_needs(plan: Mapping[str, Any], entry: Mapping[str, Any], state: State) -> list[dict[str, str]]:
    """Containers of needed services that are healthy nowhere.

    Only services that Saltern itself brings back (``restart: health``: databases, message queues) count. The others
    come back without anybody's order, and what needs them survives that. A container of which no host has said
    anything counts as there: absence of news is no news of death.
    """
    containers: Mapping[str, Mapping[str, Any]] = plan.get("containers") or {}
    found = []
    for name, other in sorted(containers.items()):
        if other.get("service") not in (entry.get("needs") or ()) or other.get("restart") != "health":
            continue
        seen = [state.healthy(host, name) for host in other.get("hosts") or ()]
        if seen and all(healthy is False for healthy in seen):
            found.append({"service": str(other.get("service")), "container": name})
    return found
