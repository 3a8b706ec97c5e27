"""The health engine's mind: a state machine over what Docker and the probes say.

It is level-triggered: an event, a probe's answer or the end of a heal only make it look at one container; what it then
does depends on what it sees there. It owns no thread and no clock: `watchloop` feeds it and gives it hands.

    docker event ─┐                       ┌─► fire(kind, container, data)
    full list ────┼─► observe ─► failed? ─┼─► probe(container, …)
    probe answer ─┤      │                └─► heal(container, event)
    heal result ──┘      └─ planned? mended by Docker? healthy again?

What may be done, and when, is `healing`'s; the life of one failure is `outages`'; how events reach the master is
`courier`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import EngineUnavailable
from saltern.contract.names import RESET_ALL
from saltern.host import healing
from saltern.host.healing import Backoff
from saltern.host.observe import DockerEvent, Observation
from saltern.host.outages import Hands, Outages, World
from saltern.host.track import Probing, Track

PLANNED_POLL = 0.25
TICK = 1.0
ENGINE_RETRY = 2.0
SNAPSHOT_DEBOUNCE = 2.0


class Watch:
    """All containers of one host.

    world, hands
        Eyes and hands, see the protocols in `outages`.
    boot_id
        Id of this boot of the host.
    backoffs
        What a former engine remembered.
    """

    def __init__(
        self, world: World, hands: Hands, *, boot_id: str, backoffs: Mapping[str, Backoff] | None = None
    ) -> None:
        self.world, self.hands, self.boot_id = world, hands, boot_id
        self.tracks: dict[str, Track] = {}
        self.outages = Outages(world, hands, boot_id, self._changed)
        self.engine_up = True
        self._backoffs = dict(backoffs or {})
        self._unknown: list[str] = []
        self._list_due = 0.0
        self._snapshot_due = 0.0
        self._sequence = 0

    # inputs

    def tick(self, now: float) -> None:
        """Whatever is due: the committed specs, the full list, freed locks, open failures, probes, the snapshot."""
        self._reload(now)
        for name in self.world.resets():
            for track in self.tracks.values():
                if name in (track.name, RESET_ALL):
                    self.outages.reset(track, now)
        if now >= self._list_due:
            self._list(now)
        for track in list(self.tracks.values()):
            if track.planned:
                self._freed_perhaps(track, now)
            if track.running:
                self._settle(track, now)
            if self.engine_up and not track.planned:
                self.outages.act(track, now)
            self._probe(track, now)
        self._report(now)

    def docker(self, event: DockerEvent, now: float) -> None:
        """An event of Docker's stream: a hint to look, and the only source of the time of a death."""
        self._reload(now)  # its spec may just have been withdrawn
        track = self.tracks.get(event.name)
        if track is None or self._is_planned(track):
            return
        if event.action == "kill":
            track.signal = event.signal
            return
        if event.action == "die":
            track.died_at, track.exit_code = event.at, event.exit_code
        elif event.action == "destroy" and track.died_at is None:
            track.died_at = event.at
        self._look(track, now, restarted=event.action == "start")

    def answered(self, name: str, generation: int, kind: str, ok: bool, text: str, now: float) -> None:
        """The answer of a probe that :meth:`Hands.probe` began. One of a former process is dropped."""
        track = self.tracks.get(name)
        probing = track.probes.get(kind) if track else None
        if track is None or probing is None or generation != track.generation:
            return
        probing.running, probing.text = False, text
        if not track.running or track.planned:
            return
        if track.ready:
            self._alive(track, probing, ok, now)
        else:
            self._starting(track, probing, ok, now)

    def healed(self, name: str, result: Mapping[str, Any], now: float) -> None:
        """The end of a heal that :meth:`Hands.heal` began."""
        track = self.tracks.get(name)
        if track is None:
            return
        outcome = self.outages.healed(track, result, now)
        track.planned = False
        self._look(track, now, restarted=outcome == "healed" or track.started is None)
        if outcome == "nothing" and track.running and track.failure is not None and not track.failure.restarted:
            track.begin(now)  # the healer found it healthy: ask it again from the start

    def reconnected(self, now: float) -> None:
        """The master is back: tell it where things stand."""
        self._snapshot_due = min(self._snapshot_due, now)

    def next_due(self, now: float) -> float:
        """When :meth:`tick` is wanted again, at most a second ahead."""
        due = min(now + TICK, self._list_due, self._snapshot_due)
        for track in self.tracks.values():
            if track.planned:
                due = min(due, now + PLANNED_POLL)
                continue
            failure = track.failure
            if failure is not None and failure.healing:
                continue  # its end is an input
            if failure is not None and not failure.left and self.engine_up:
                due = min(due, failure.look_at)
            if track.running:
                due = min(due, track.settled_at())
                due = min([due, *(p.due for p in track.probes.values() if not p.running)])
        return due

    def snapshot(self) -> dict[str, Any]:
        """Where every container stands, for the master's sweep."""
        self._sequence += 1
        return {
            "boot_id": self.boot_id,
            "seq": self._sequence,
            "engine": "up" if self.engine_up else "unavailable",
            "containers": {name: track.report() for name, track in sorted(self.tracks.items())},
            "unknown": self._unknown,
        }

    def backoffs(self) -> dict[str, Backoff]:
        """What the next engine should remember."""
        return {name: track.backoff for name, track in self.tracks.items() if track.backoff.attempts}

    # looking

    def _reload(self, now: float) -> None:
        documents = self.world.desired()
        if documents is None:
            return
        for name in [n for n in self.tracks if n not in documents]:
            del self.tracks[name]
        for name, document in documents.items():
            track = self.tracks.get(name)
            if track is None:
                track = self.tracks[name] = Track(name, backoff=self._backoffs.get(name, Backoff()))
                self._list_due = min(self._list_due, now)
            track.want(document)
        self._changed(now)

    def _list(self, now: float) -> None:
        self._list_due = now + self.world.rules().interval
        try:
            listed = self.world.listed()
        except EngineUnavailable:
            self._engine(False, now)
            return
        self._engine(True, now)
        self._unknown = sorted(name for name in listed if name not in self.tracks and "--" not in name)
        for track in list(self.tracks.values()):
            seen = listed.get(track.name)
            if self._is_planned(track):
                continue
            if seen is not None and seen.state != "running":
                self._look(track, now)  # a list does not tell when it ended
            else:
                self._observe(track, seen, now)

    def _look(self, track: Track, now: float, *, restarted: bool = False) -> None:
        try:
            seen = self.world.inspect(track.name)
        except EngineUnavailable:
            self._engine(False, now)
            return
        self._observe(track, seen, now, restarted=restarted)

    def _engine(self, up: bool, now: float) -> None:
        if not up:
            self._list_due = now + ENGINE_RETRY
        if up != self.engine_up:
            self.engine_up = up
            self._snapshot_due = min(self._snapshot_due, now)

    def _is_planned(self, track: Track) -> bool:
        """Whether somebody of ours is at work on it: then nothing that Docker says about it is a failure."""
        if not self.world.planned(track.name):
            return False
        if not track.planned:
            track.planned = True
            if track.failure is None:
                self.hands.fire("planned", track.name, {"why": "somebody of ours is at work on it"})
        return True

    def _freed_perhaps(self, track: Track, now: float) -> None:
        if self.world.planned(track.name):
            return
        track.planned, track.died_at = False, None
        if track.failure is not None:
            track.failure.look_at = min(track.failure.look_at, now)
        self._look(track, now, restarted=track.started is None)

    def _observe(self, track: Track, seen: Observation | None, now: float, *, restarted: bool = False) -> None:
        before = (track.state, track.healthy)
        another = _take(track, seen) or restarted
        if track.wanted == "stopped":
            track.failure, track.healthy = None, None
        else:
            self._judge_state(track, seen is None, another, now)
        if before != (track.state, track.healthy):
            self._changed(now)

    def _judge_state(self, track: Track, gone: bool, another: bool, now: float) -> None:
        if another and track.running:
            first = track.starting_since is None
            track.begin(now)
            self.outages.started(track, first, now)
        there = not gone or self.world.image_there(track.image_id)
        reason = healing.failure_reason(
            state=track.state, health=track.health, restart=track.restart, alive=track.alive, image_there=there
        )
        if reason:
            self.outages.failed(track, reason, now)
        elif track.running:
            self._judge(track, now)

    # health

    def _judge(self, track: Track, now: float) -> None:
        """Whether it is healthy: running, Docker content, and its probe answered since it started."""
        fails = any(probing.fails for probing in track.probes.values())
        busy = track.planned or (track.failure is not None and track.failure.healing)
        if track.running and track.ready and track.health in (None, "healthy") and not fails and not busy:
            self.outages.healthy(track, now)

    def _settle(self, track: Track, now: float) -> None:
        """What only time tells: it stayed up although nothing can be asked of it, or healthy after a heal."""
        if not track.ready and not track.probes and now >= track.settled_at():
            track.ready = True
            self._judge(track, now)
        elif track.backoff.attempts:
            self._judge(track, now)

    def _starting(self, track: Track, probing: Probing, ok: bool, now: float) -> None:
        since = track.starting_since if track.starting_since is not None else now
        if ok:
            track.ready = True
            for each in track.probes.values():
                each.fails, each.due = 0, now + each.interval
            self._judge(track, now)
        elif now - since >= track.start_timeout:
            track.ready = True  # from now on it is watched like any other
            probing.fails, probing.first_failed, probing.due = probing.most, since, now + probing.interval
            text = f"not healthy in {track.start_timeout:.0f} s: {probing.text}"
            self.outages.failed(track, healing.UNHEALTHY, now, text)
        else:
            probing.due = now + probing.eager()

    def _alive(self, track: Track, probing: Probing, ok: bool, now: float) -> None:
        probing.due = now + probing.interval
        if ok:
            probing.fails = 0
            self._judge(track, now)
            return
        if not probing.fails:
            probing.first_failed = now
        probing.fails += 1
        if not track.alive:
            self._look(track, now)  # it may have ended meanwhile; if not, its start says which process is meant
        elif probing.kind == "readiness" and probing.exhausted and track.healthy:
            track.healthy = False
            self._changed(now)

    def _probe(self, track: Track, now: float) -> None:
        if not track.running or track.planned or (track.failure and track.failure.healing):
            return
        first = "readiness" if "readiness" in track.probes else "liveness"
        for probing in track.probes.values():
            if not track.ready and probing.kind != first:
                probing.due = now + TICK
            elif not probing.running and now >= probing.due:
                probing.running, probing.due = True, now + probing.interval
                self.hands.probe(track.name, track.generation, probing)

    # reporting

    def _changed(self, now: float) -> None:
        self._snapshot_due = min(self._snapshot_due, now + SNAPSHOT_DEBOUNCE)

    def _report(self, now: float) -> None:
        if self.outages.dirty:
            self.outages.dirty = False
            self.hands.remember(self.backoffs())
        if now >= self._snapshot_due:
            self._snapshot_due = now + self.world.rules().snapshot
            self.hands.fire("snapshot", None, self.snapshot())


def _take(track: Track, seen: Observation | None) -> bool:
    """Take over what was seen; says whether the process is another one than before."""
    was_running, first = track.running, not track.seen
    track.seen = True
    if seen is None:
        track.state, track.health, track.started = None, None, None
        return False
    if seen.finished is not None and track.died_at is None:
        track.died_at = seen.finished
    moved = seen.started is not None and track.started is not None and seen.started != track.started
    track.state, track.health, track.started = seen.state, seen.health, seen.started or track.started
    track.exit_code = seen.exit_code if seen.exit_code is not None else track.exit_code
    track.restarts = seen.restarts if seen.restarts is not None else track.restarts
    return first or moved or not was_running
