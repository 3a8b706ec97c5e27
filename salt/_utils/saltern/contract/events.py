"""Tags and payloads of Saltern's events on the Salt bus (docs/interfaces.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HEALTH = "openstack/health"
HEAL = "openstack/heal"
RUN = "openstack/run"
BUILD = "openstack/build"
PULL = "openstack/pull"

HEALTH_KINDS = ("failed", "mended", "healed", "healthy", "crashloop", "held", "planned")


@dataclass(frozen=True)
class HealthTag:
    """A parsed ``openstack/health/<host>/<container>/<kind>``; a snapshot has no container."""

    host: str
    container: str | None
    kind: str


def health_tag(host: str, container: str, kind: str) -> str:
    """Tag of a health event. Raises ValueError for a kind that is none."""
    if kind not in HEALTH_KINDS:
        raise ValueError(f"no such health event: {kind}")
    return f"{HEALTH}/{host}/{container}/{kind}"


def snapshot_tag(host: str) -> str:
    """Tag of a host's report on all its containers."""
    return f"{HEALTH}/{host}/snapshot"


def heal_tag(host: str, container: str) -> str:
    """Tag of what the recovery engine decided about a container (``-``: about the host itself)."""
    return f"{HEAL}/{host}/{container}/decided"


def heal_verb_tag(verb: str) -> str:
    """What an operator said about healing: ``pause``, ``resume`` or ``reset``."""
    return f"{HEAL}/verb/{verb}"


def run_tag(run: str, what: str) -> str:
    """``what`` is begin, end, step/start or step/end."""
    return f"{RUN}/{run}/{what}"


def build_tag(image: str, what: str) -> str:
    """``what`` is start, step or end."""
    return f"{BUILD}/{image}/{what}"


def pull_tag(host: str) -> str:
    """How far the images are that a host gets."""
    return f"{PULL}/{host}"


def parse_health(tag: str) -> HealthTag | None:
    """The parts of a health tag, None for any other tag."""
    parts = tag.split("/")
    if parts[:2] != HEALTH.split("/"):
        return None
    if len(parts) == 4 and parts[3] == "snapshot":
        return HealthTag(parts[2], None, "snapshot")
    if len(parts) == 5 and parts[4] in HEALTH_KINDS:
        return HealthTag(parts[2], parts[3], parts[4])
    return None


def event_id(boot_id: str, container: str, counter: int) -> str:
    """Id of one failure: unique over reboots, the same for the event, its order and its outcome."""
    return f"{boot_id[:8]}-{container}-{counter}"


def stamped(cloud: str, at: float, **data: Any) -> dict[str, Any]:
    """Payload of an event: ``at`` in seconds since the epoch, ``cloud``, and the event's own fields."""
    return {"at": at, "cloud": cloud, **data}
