"""The life of a failure: reported, answered or mended alone, over when the container is healthy again.

One failure has one event id, from the report over the order to the outcome. A container that is started again and
fails before it is healthy has a new failure (a heal that did not help), of the same outage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from saltern.contract import events
from saltern.host import healing
from saltern.host.healing import Backoff, Case, Hold, Rules
from saltern.host.track import Failure, Probing, Track


class World(Protocol):
    """What the health engine may look at; ``inspect`` and ``listed`` raise EngineUnavailable."""

    def desired(self) -> Mapping[str, Mapping[str, Any]] | None:
        """The committed documents by container, or None when nothing changed since the last call."""

    def listed(self) -> Mapping[str, Any]:
        """All containers of the cloud, by name (`observe.Observation`)."""

    def inspect(self, name: str) -> Any:
        """One container (`observe.Observation`), None when there is none."""

    def planned(self, name: str) -> bool:
        """Whether somebody of ours holds the container's lock."""

    def hold(self, name: str) -> Hold | None:
        """The order to wait for this container, or for all of them."""

    def image_there(self, image_id: str) -> bool:
        """Whether an image is on this host."""

    def connected(self) -> bool:
        """Whether the master is connected, as far as a host can tell."""

    def rules(self) -> Rules:
        """The host's heal settings."""

    def resets(self) -> list[str]:
        """Containers whose back-off an operator has cleared since the last call."""


class Hands(Protocol):
    """What the health engine may do. None of them waits."""

    def fire(self, kind: str, name: str | None, data: dict[str, Any]) -> None:
        """Send an event to the master, now or when it is back."""

    def heal(self, name: str, event: str, started: str | None) -> None:
        """Begin to heal a container; ``started`` says which process was found unhealthy. The end is an input."""

    def probe(self, name: str, generation: int, probing: Probing) -> None:
        """Begin a probe; the answer comes back as an input."""

    def remember(self, backoffs: Mapping[str, Backoff]) -> None:
        """Keep the back-offs for the next engine."""


class Outages:
    """Failures of all containers of a host.

    world, hands
        See the protocols.
    boot_id
        Id of this boot, part of event ids.
    changed
        Called when a container's standing changed, so that a snapshot is due.
    """

    def __init__(self, world: World, hands: Hands, boot_id: str, changed: Callable[[float], None]) -> None:
        self.world, self.hands, self.boot_id, self.changed = world, hands, boot_id, changed
        self.dirty = False
        self._last_event = 0

    def failed(self, track: Track, reason: str, now: float, text: str = "") -> None:
        """It was seen failed. Reports what was not reported before."""
        failure = track.failure
        track.healthy = False
        if failure is not None and (failure.healing or not failure.restarted):
            if failure.reason != healing.IMAGE_GONE:
                failure.reason = reason  # the same failure in another light: killed, then removed
            return
        died = _began(track, reason, now)
        self._count(track, track.backoff.failed(now))
        first = failure.first_at if failure is not None else died
        new = Failure(self._event_id(track.name, now), reason, died, first, now, now)
        track.failure = new
        case = self._case(track, new)
        new.look_at = healing.act_alone(case, self.world.rules(), now).until or now
        self.hands.fire("failed", track.name, _evidence(track, new, text))
        self._say_held(track, new, case.hold, now)
        self._give_up_perhaps(track)
        self.changed(now)

    def started(self, track: Track, first: bool, now: float) -> None:
        """A new process of it runs; ``first`` when none was known before."""
        failure, died = track.failure, track.died_at if track.died_at is not None else now
        if not first:
            self._count(track, track.backoff.failed(died))
        if failure is not None and not failure.restarted:
            failure.restarted = True
            self._count(track, track.backoff.healed(now))
        elif failure is None and track.died_at is not None and not first and track.restart == "engine":
            self._mended(track, died, now)
        track.died_at, track.signal = None, None

    def healthy(self, track: Track, now: float) -> None:
        """It is healthy. What was in a crash loop has to stay so for a while before that counts."""
        self._count(track, track.backoff.healthy(now))
        if track.backoff.crashloop:
            return
        if track.healthy is not True:
            track.healthy = True
            self.changed(now)
        failure, track.failure = track.failure, None
        if failure is not None:
            data = {"event": failure.event, "seconds": round(now - failure.first_at, 3)}
            self.hands.fire("healthy", track.name, data)

    def act(self, track: Track, now: float) -> None:
        """Think about acting alone, when that is due."""
        failure = track.failure
        if failure is None or failure.healing or failure.left or now < failure.look_at:
            return
        if failure.restarted:
            failure.look_at = now + healing.LOOK_AGAIN  # it runs again; its probes or its death say how that ends
            return
        if failure.reason == healing.IMAGE_GONE and self.world.image_there(track.image_id):
            failure.reason = healing.REMOVED
        case = self._case(track, failure)
        action = healing.act_alone(case, self.world.rules(), now)
        self._say_held(track, failure, case.hold, now)
        if action.kind == "wait":
            failure.look_at = action.until
        elif action.kind == "leave":
            failure.left = True
        else:
            failure.healing = True
            self.hands.heal(track.name, failure.event, _suspect(track, failure))

    def healed(self, track: Track, result: Mapping[str, Any], now: float) -> str:
        """A heal of our own has ended; returns its outcome."""
        failure, outcome = track.failure, str(result.get("result"))
        if failure is None:
            return outcome
        failure.healing = False
        failure.look_at = now + (0.0 if outcome == "failed" else healing.LOOK_AGAIN)
        if outcome != "nothing":
            data = {"event": failure.event, "by": "alone", "result": outcome, "why": str(result.get("why") or "")}
            self.hands.fire("healed", track.name, {**data, "seconds": round(now - failure.first_at, 3)})
        if outcome == "failed":
            self._count(track, track.backoff.healed(now))
            self._give_up_perhaps(track)
        return outcome

    def reset(self, track: Track, now: float) -> None:
        """An operator says: try again."""
        self._count(track, Backoff(spec=track.spec))
        if track.failure is not None:
            track.failure.left, track.failure.look_at = False, now
        self.changed(now)

    def _mended(self, track: Track, died: float, now: float) -> None:
        """Docker's restart policy brought it back. In a loop it goes on, ever slower; that is said once."""
        self._count(track, track.backoff.healed(now))
        data = {"exit_code": track.exit_code, "restarts": track.restarts, "died_at": died}
        self.hands.fire("mended", track.name, data)
        if track.backoff.crashloop:
            self.failed(track, healing.IN_CRASHLOOP, now)

    def _give_up_perhaps(self, track: Track) -> None:
        failure = track.failure
        if failure is None or failure.left or not track.backoff.crashloop:
            return
        failure.left = True
        why = f"{track.backoff.attempts} heals in a row did not last {healing.SETTLED:.0f} s"
        self.hands.fire("crashloop", track.name, {"event": failure.event, "until": None, "why": why})

    def _say_held(self, track: Track, failure: Failure, hold: Hold | None, now: float) -> None:
        if hold is not None and hold.active(now) and hold.until != failure.held_until:
            failure.held_until = hold.until
            self.hands.fire("held", track.name, {"event": failure.event, "until": hold.until, "why": hold.why})

    def _case(self, track: Track, failure: Failure) -> Case:
        return Case(
            reason=failure.reason,
            restart=track.restart,
            reported_at=failure.reported_at,
            backoff=track.backoff,
            hold=self.world.hold(track.name),
            locked=self.world.planned(track.name),
            connected=self.world.connected(),
        )

    def _count(self, track: Track, backoff: Backoff) -> None:
        self.dirty = self.dirty or backoff.attempts != track.backoff.attempts
        track.backoff = backoff

    def _event_id(self, name: str, now: float) -> str:
        """Milliseconds as the counter: unique over restarts of the engine without anything to remember."""
        self._last_event = max(self._last_event + 1, int(now * 1000))
        return events.event_id(self.boot_id, name, self._last_event)


def _began(track: Track, reason: str, now: float) -> float:
    """When this failure began: at the first probe that failed, or at the death that Docker reported."""
    liveness = track.probes.get("liveness")
    if reason == healing.UNHEALTHY and liveness is not None and liveness.fails:
        return liveness.first_failed
    return track.died_at if track.died_at is not None else now


def _evidence(track: Track, failure: Failure, text: str) -> dict[str, Any]:
    evidence = {
        "event": failure.event,
        "reason": failure.reason,
        "exit_code": track.exit_code,
        "restart": track.restart,
        "spec": track.spec,
        "attempts": track.backoff.attempts,
        "not_before": track.backoff.not_before(),
        "died_at": failure.died_at,
    }
    if track.signal:
        evidence["signal"] = track.signal
    suspect = _suspect(track, failure)
    if suspect:
        evidence["started"] = suspect
    liveness = track.probes.get("liveness")
    if not text and failure.reason == healing.UNHEALTHY and liveness is not None and liveness.fails:
        text = liveness.text
    if text:
        evidence["probe"] = text
    return evidence


def _suspect(track: Track, failure: Failure) -> str | None:
    """Which process was found unhealthy: the one that runs, unless it is only slow to start."""
    return track.started if failure.reason == healing.UNHEALTHY else None
