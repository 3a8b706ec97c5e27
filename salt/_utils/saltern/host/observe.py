"""What Docker says about a container, in the few words that healing needs.

Three sources say it in three shapes: an event of the stream, an entry of the list, an inspect. Events are hints that
make us look; the other two are the truth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saltern.contract import names
from saltern.host.health import epoch

EVENTS = ("die", "oom", "health_status", "start", "destroy", "kill")
_HEALTH_IN_STATUS = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_EXIT_IN_STATUS = re.compile(r"^(?:Exited|Restarting) \((\d+)\)")


@dataclass(frozen=True)
class Observation:
    """One container as Docker sees it now.

    started
        Docker's own text, compared and never read.
    finished
        When its process ended, seconds since the epoch; None while it runs.
    """

    name: str
    state: str
    health: str | None = None
    exit_code: int | None = None
    restarts: int | None = None
    started: str | None = None
    finished: float | None = None
    spec: str = ""
    image_id: str = ""


@dataclass(frozen=True)
class DockerEvent:
    """One event of the stream. ``at`` is the engine's clock in seconds, ``signal`` is set for ``kill``."""

    action: str
    name: str
    at: float
    exit_code: int | None = None
    signal: str | None = None
    detail: str = ""


def filters(cloud: str) -> dict[str, list[str]]:
    """Server-side filters of the event stream: without them each exec probe costs three events."""
    return {"type": ["container"], "event": list(EVENTS), "label": [f"{names.LABEL_CLOUD}={cloud}"]}


def from_list(entry: Mapping[str, Any]) -> Observation:
    """From an entry of ``GET /containers/json?all=1``."""
    labels = entry.get("Labels") or {}
    status = str(entry.get("Status", ""))
    health = _HEALTH_IN_STATUS.search(status)
    code = _EXIT_IN_STATUS.match(status)
    return Observation(
        name=str((entry.get("Names") or ["/"])[0]).lstrip("/"),
        state=str(entry.get("State", "")),
        health=health.group(1) if health else None,
        exit_code=int(code.group(1)) if code else None,
        spec=str(labels.get(names.LABEL_SPEC, "")),
        image_id=str(entry.get("ImageID", "")),
    )


def from_inspect(info: Mapping[str, Any]) -> Observation:
    """From ``GET /containers/<name>/json``."""
    state = info.get("State") or {}
    health = (state.get("Health") or {}).get("Status")
    status = str(state.get("Status", ""))
    return Observation(
        name=str(info.get("Name", "")).lstrip("/"),
        state=status,
        health=health if health in ("starting", "healthy", "unhealthy") else None,
        exit_code=state.get("ExitCode") if status in ("exited", "restarting", "dead") else None,
        restarts=int(info.get("RestartCount") or 0),
        started=state.get("StartedAt"),
        finished=epoch(state.get("FinishedAt")) if status in ("exited", "dead") else None,
        spec=str(((info.get("Config") or {}).get("Labels") or {}).get(names.LABEL_SPEC, "")),
        image_id=str(info.get("Image", "")),
    )


def from_event(raw: Mapping[str, Any]) -> DockerEvent | None:
    """From one event of the stream; None for what is not about a container or has no name."""
    actor = raw.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    name = attributes.get("name")
    if raw.get("Type", "container") != "container" or not name:
        return None
    action, _, detail = str(raw.get("Action") or raw.get("status") or "").partition(": ")
    nano = raw.get("timeNano")
    code = attributes.get("exitCode")
    return DockerEvent(
        action=action,
        name=str(name),
        at=nano / 1e9 if nano else float(raw.get("time") or 0),
        exit_code=int(code) if code is not None and str(code).lstrip("-").isdigit() else None,
        signal=str(attributes["signal"]) if "signal" in attributes else None,
        detail=detail,
    )
