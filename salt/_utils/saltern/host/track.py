"""What the health engine remembers about one container between two looks at it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.host.healing import Backoff
from saltern.host.health import SETTLE

START_TIMEOUT = 60.0
INTERVAL, INTERVAL_LEAST = 5.0, 0.2
FAILURES = 3
EAGER_FIRST, EAGER_LONGEST = 0.1, 1.0


@dataclass
class Failure:
    """An open failure: reported, not yet healthy again.

    event
        Id of the event, its order and its outcome.
    died_at
        When it began: the engine's own clock for a death, the first failed probe for a silent service.
    first_at
        When the outage began, if heals failed meanwhile; equal to ``died_at`` otherwise.
    look_at
        When to think about acting alone (again).
    """

    event: str
    reason: str
    died_at: float
    first_at: float
    reported_at: float
    look_at: float
    healing: bool = False
    restarted: bool = False
    left: bool = False
    held_until: float = 0.0


@dataclass
class Probing:
    """The schedule of one kind of probe (``liveness``, ``readiness``) of one container."""

    kind: str
    check: Mapping[str, Any]
    due: float = 0.0
    running: bool = False
    fails: int = 0
    first_failed: float = 0.0
    tries: int = 0
    text: str = ""

    @property
    def interval(self) -> float:
        """Seconds between two probes."""
        return max(INTERVAL_LEAST, float(self.check.get("interval") or INTERVAL))

    @property
    def most(self) -> int:
        """How many failures in a row the spec allows, the last one excluded."""
        return max(1, int(self.check.get("failures") or FAILURES))

    @property
    def exhausted(self) -> bool:
        """Whether it failed as often in a row as the spec allows."""
        return self.fails >= self.most

    def eager(self) -> float:
        """Seconds to the next try while the container starts: short at first, so that health is noticed soon."""
        self.tries += 1
        return float(min(EAGER_FIRST * 2 ** min(self.tries - 1, 8), EAGER_LONGEST))


@dataclass
class Track:
    """One container of the committed specs."""

    name: str
    restart: str = "none"
    spec: str = ""
    image_id: str = ""
    wanted: str = "running"
    start_timeout: float = START_TIMEOUT
    state: str | None = None
    health: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    seen: bool = False
    started: str | None = None
    starting_since: float | None = None
    ready: bool = False
    healthy: bool | None = None
    signal: str | None = None
    died_at: float | None = None
    planned: bool = False
    generation: int = 0
    failure: Failure | None = None
    backoff: Backoff = field(default_factory=Backoff)
    probes: dict[str, Probing] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return self.state in ("running", "paused")

    @property
    def alive(self) -> bool:
        """False once liveness failed as often as its spec allows."""
        probe = self.probes.get("liveness")
        return probe is None or not probe.exhausted

    def want(self, desired: Mapping[str, Any]) -> None:
        """Take over a committed document (docs/interfaces.md, section 1)."""
        spec = desired.get("spec") or {}
        self.restart = str(spec.get("restart") or "none")
        self.spec = str(desired.get("digest") or "")
        self.image_id = str(desired.get("image_id") or "")
        self.wanted = str(desired.get("state") or "running")
        self.start_timeout = float(spec.get("start_timeout") or START_TIMEOUT)
        self.backoff = self.backoff.of_spec(self.spec)
        checks = {kind: spec[kind] for kind in ("liveness", "readiness") if spec.get(kind)}
        for kind in [k for k in self.probes if k not in checks]:
            del self.probes[kind]
        for kind, check in checks.items():
            if kind not in self.probes or self.probes[kind].check != check:
                self.probes[kind] = Probing(kind, check)

    def begin(self, now: float) -> None:
        """A new process: whatever was known of the former one is void."""
        self.generation += 1
        self.starting_since, self.ready, self.healthy = now, False, None
        for probe in self.probes.values():
            probe.fails, probe.tries, probe.running, probe.due = 0, 0, False, now

    def settled_at(self) -> float:
        """When a container of which nothing can be asked counts as up; infinity where that is not the question."""
        if self.ready or self.probes or self.starting_since is None:
            return math.inf
        return self.starting_since + SETTLE

    def report(self) -> dict[str, Any]:
        """Its line in a snapshot (docs/interfaces.md, section 9)."""
        return {
            "state": self.state or "missing",
            "healthy": self.healthy,
            "restarts": self.restarts,
            "spec": self.spec,
            **({"planned": True} if self.planned or self.wanted == "stopped" else {}),
            **({"crashloop": True} if self.backoff.crashloop else {}),
        }
