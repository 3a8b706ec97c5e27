"""When a container counts as failed, when it may be healed, and when to stop trying.

Pure rules, one set for every minion and the master: the health engine uses them when it acts alone, the recovery
engine when it answers. Nothing here does I/O; time is an argument (seconds since the epoch).

The back-off counts *consecutive heals that did not stay healthy for 30 s*: the first heal is immediate, then 1 s, 2 s,
4 s … 60 s after the former one; after five of them the container is in a crash loop and only an operator
(``openstack.heal_reset``), a new spec or 30 s of health ends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
SETTLED = 30.0
CRASHLOOP = 5

LOCK_POLL = 0.25
LOOK_AGAIN = 30.0

DIED, REMOVED, UNHEALTHY, IMAGE_GONE, IN_CRASHLOOP = "died", "removed", "unhealthy", "image_gone", "crashloop"


@dataclass(frozen=True)
class Backoff:
    """Heals of one container that have not yet proved good."""

    attempts: int = 0
    last_heal: float | None = None
    healthy_since: float | None = None
    spec: str = ""

    @property
    def crashloop(self) -> bool:
        """Whether healing has given up."""
        return self.attempts >= CRASHLOOP

    def not_before(self) -> float:
        """Earliest time of the next heal; 0 when it may be done at once."""
        return (self.last_heal or 0.0) + delay(self.attempts) if self.attempts else 0.0

    def healed(self, now: float) -> Backoff:
        """After somebody (an order, this engine, Docker) started the container again."""
        return replace(self, attempts=self.attempts + 1, last_heal=now, healthy_since=None)

    def healthy(self, now: float) -> Backoff:
        """After the container was seen healthy; forgets the heals once that lasted for 30 s."""
        since = self.healthy_since if self.healthy_since is not None else now
        if now - since >= SETTLED:
            return Backoff(healthy_since=since, spec=self.spec)
        return replace(self, healthy_since=since)

    def failed(self, now: float) -> Backoff:
        """After the container was seen failed; what it had survived for 30 s before does not count against it."""
        settled = self.healthy_since is not None and now - self.healthy_since >= SETTLED
        return Backoff(spec=self.spec) if settled else replace(self, healthy_since=None)

    def of_spec(self, spec: str) -> Backoff:
        """The back-off for this spec: a new spec is a new chance."""
        return self if spec == self.spec else Backoff(spec=spec, healthy_since=self.healthy_since)

    def as_dict(self) -> dict[str, Any]:
        """For the journal on disk."""
        return asdict(self)


def backoff_from(data: Mapping[str, Any]) -> Backoff:
    """Read what :meth:`Backoff.as_dict` wrote; unknown keys are ignored, so a file of another version is no error."""
    known = {key: data[key] for key in Backoff.__dataclass_fields__ if key in data}
    return Backoff(**known)


def delay(attempts: int) -> float:
    """Seconds between the last heal and the next one.

    >>> [delay(n) for n in (0, 1, 2, 3, 7, 99)]
    [0.0, 1.0, 2.0, 4.0, 60.0, 60.0]
    """
    if attempts <= 0:
        return 0.0
    return min(FIRST_DELAY * float(2 ** min(attempts - 1, 16)), LONGEST_DELAY)


@dataclass(frozen=True)
class Hold:
    """An order to wait: from the recovery engine, or an operator's pause."""

    until: float
    why: str = ""

    def active(self, now: float) -> bool:
        return now < self.until


@dataclass(frozen=True)
class Rules:
    """The slice's ``heal`` settings as the health engine uses them."""

    enabled: bool = True
    dry_run: bool = False
    patience: float = 1.0
    interval: float = 30.0
    snapshot: float = 300.0


def rules_from(settings: Mapping[str, Any] | None) -> Rules:
    """Rules out of a ``heal`` mapping; what is missing has its default."""
    known = {key: value for key, value in (settings or {}).items() if key in Rules.__dataclass_fields__}
    return Rules(**known)


def failure_reason(
    *,
    state: str | None,
    health: str | None,
    restart: str,
    alive: bool = True,
    image_there: bool = True,
) -> str | None:
    """Why a container that should run counts as failed, or None.

    state
        Docker's word: ``running``, ``restarting``, ``exited`` …; None when there is no such container.
    health
        Docker's health: ``healthy``, ``unhealthy``, ``starting``, or None without a healthcheck.
    restart
        Who restarts it: ``engine``, ``health``, ``none``.
    alive
        False once the liveness probe failed as often as the spec allows.
    image_there
        Whether the image of the committed spec is on this host.
    """
    if state is None:
        return REMOVED if image_there else IMAGE_GONE
    if state in ("running", "paused"):
        return UNHEALTHY if health == "unhealthy" or not alive else None
    if state == "removing" or (state == "restarting" and restart == "engine"):
        return None  # Docker is at it; its next event or the next list tells how that ended
    return DIED


@dataclass(frozen=True)
class Case:
    """All that the decision to act alone rests on."""

    reason: str
    restart: str
    reported_at: float
    backoff: Backoff = Backoff()
    hold: Hold | None = None
    locked: bool = False
    connected: bool = True


@dataclass(frozen=True)
class Action:
    """``heal`` now, ``wait`` until a time, or ``leave`` it to people; ``why`` is a sentence."""

    kind: str
    why: str
    until: float = 0.0


def act_alone(case: Case, rules: Rules, now: float) -> Action:
    """What the health engine does about a reported failure to which nobody has answered (yet).

    case
        The failure and what surrounds it.
    rules
        The host's heal settings.
    now
        Seconds since the epoch.
    """
    if case.restart == "none":
        return Action("leave", "its service is never restarted by Saltern (restart: none)")
    if case.backoff.crashloop:
        return Action("leave", f"{case.backoff.attempts} heals in a row did not last {SETTLED:.0f} s")
    if case.locked:
        return Action("wait", "somebody else is at work on it", now + LOCK_POLL)
    if case.reason == IMAGE_GONE:
        return Action("wait", "its image is not on this host", now + LOOK_AGAIN)
    if not rules.enabled or rules.dry_run:
        return Action("wait", "healing is off" if not rules.enabled else "healing only reports", now + LOOK_AGAIN)
    due, why = _due(case, rules.patience if case.connected else 0.0, now)
    return Action("wait", why, due) if now < due else Action("heal", why)


def _due(case: Case, patience: float, now: float) -> tuple[float, str]:
    """When to act alone: patience runs anew after a hold or a back-off, so that the master is asked first there too."""
    times = [(case.reported_at + patience, "no order came" if patience else "the master is away")]
    wait = case.backoff.not_before()
    if wait > case.reported_at:
        times.append((wait + patience, f"back-off after {case.backoff.attempts} heals that did not last"))
    if case.hold is not None:
        held = case.hold.until if case.hold.active(now) else case.hold.until + patience
        times.append((held, f"held: {case.hold.why}"))
    return max(times)
