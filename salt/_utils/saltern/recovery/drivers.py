"""What knows how to bring something back: one protocol, `gather`, `decide`, `act`.

`single` does it for one container at a time. What needs evidence from every member (Galera, RabbitMQ, OVN) is a driver
of its own, named by ``cluster:`` in the service's file and registered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from saltern.recovery.decide import Decision
from saltern.recovery.evidence import Evidence, Settings
from saltern.recovery.state import State


@dataclass(frozen=True)
class Order:
    """A call of ``openstack_container.<function>`` on one host, in answer to one failure."""

    id: str
    host: str
    container: str
    function: str
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What a driver may look at."""

    state: State
    plan: Mapping[str, Any]
    settings: Settings
    run: Mapping[str, Any] | None
    now: float


class Driver(Protocol):
    """How one kind of thing is brought back."""

    name: str

    def gather(self, event: Mapping[str, Any], scene: Scene) -> Evidence:
        """Everything the decision rests on, as one plain value."""

    def decide(self, evidence: Evidence) -> Decision:
        """What to do; pure."""

    def act(self, decision: Decision, evidence: Evidence, order: str) -> list[Order]:
        """The orders that carry it out."""

    def lease(self, evidence: Evidence) -> str:
        """Key of the lease that the work needs."""


class Drivers:
    """Drivers by name, with a default for everything that names none (or one that does not exist yet)."""

    def __init__(self, default: Driver, *drivers: Driver) -> None:
        self.default, self._drivers = default, {driver.name: driver for driver in drivers}

    def of(self, plan: Mapping[str, Any], container: str) -> Driver:
        """The driver of a container, by the plan's ``cluster``."""
        entry = (plan.get("containers") or {}).get(container) or {}
        return self._drivers.get(str(entry.get("cluster")), self.default)
