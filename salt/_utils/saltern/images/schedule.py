"""Builds in the order of their needs: the ones that most others wait for first, and no further than a failure allows.

Several places (builders) share the work. A node is done once, at any of them; a *local* node is done by each place for
itself, when it has need of it: what is made there never leaves it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class PlaceLost(Exception):
    """Mixed into errors after which a place does nothing more; what others can do they go on with."""


class Outcome(Generic[T]):
    """What came of each node: results, errors, and which nodes an error kept from running (node → failed node).

    ``places`` says where each node was done (a local one: where it was done last), ``lost`` which places were lost.
    """

    def __init__(self) -> None:
        self.done: dict[str, T] = {}
        self.failed: dict[str, Exception] = {}
        self.blocked: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.lost: dict[str, Exception] = {}


def critical(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each node to the end of the longest chain that waits for it."""
    rest: dict[str, float] = {}

    def length(name: str) -> float:
        if name not in rest:
            waiting = [other for other, parents in needs.items() if name in parents]
            rest[name] = seconds.get(name, 0.0) + max(map(length, waiting), default=0.0)
        return rest[name]

    for name in needs:
        length(name)
    return rest


def simulate(
    needs: Mapping[str, Sequence[str]],
    seconds: Mapping[str, float],
    *,
    parallel: int = 2,
    running: Mapping[str, float] | None = None,
) -> float:
    """Seconds until all is done, by playing the schedule with known durations.

    needs
        Nodes that are not done yet → nodes they wait for; those that are no keys are done.
    seconds
        How long each takes.
    parallel
        How many run at once.
    running
        Nodes that run → seconds since they began.
    """
    priority = critical(needs, seconds)
    waiting = {name: {parent for parent in parents if parent in needs} for name, parents in needs.items()}
    ends = {name: max(0.0, seconds.get(name, 0.0) - took) for name, took in (running or {}).items() if name in waiting}
    for name in ends:
        del waiting[name]
    now = 0.0
    while True:
        ready = sorted((name for name, left in waiting.items() if not left), key=lambda n: (-priority[n], n))
        for name in ready[: max(0, max(1, parallel) - len(ends))]:
            del waiting[name]
            ends[name] = now + seconds.get(name, 0.0)
        if not ends:
            return now
        name = min(ends, key=lambda each: (ends[each], each))
        now = max(now, ends.pop(name))
        for left in waiting.values():
            left.discard(name)


def run_graph(
    needs: Mapping[str, Sequence[str]],
    work: Callable[[str], T],
    *,
    seconds: Mapping[str, float] | None = None,
    parallel: int = 2,
) -> Outcome[T]:
    """Run ``work`` for every node after the nodes it needs, at one place.

    needs
        node → nodes it waits for; those that are no keys are taken as done.
    work
        Called in a thread with a node's name; an exception fails the node and blocks all that need it.
    seconds
        Estimates: of the nodes that could start, the one with the longest chain behind it starts first.
    parallel
        How many run at once.
    """
    return Shared(needs, lambda name, place: work(name), places=[""], seconds=seconds, parallel=parallel).run()


@dataclass
class Shared(Generic[T]):
    """A graph that several places work on.

    needs
        node → nodes it waits for; those that are no keys are taken as done, at every place that asks.
    work
        Called in a thread with a node's name and its place. An error that is a :class:`PlaceLost` ends the place.
    places
        Their names.
    seconds
        Estimates, for the order.
    parallel
        How many run at once at each place.
    local
        Nodes that each place does for itself.
    have
        place → local nodes that need not be done there.
    pinned
        node → the only place that can do it.
    home
        node → places that hold what it is: a place that holds a node's parents is preferred for it.
    failed
        Told of each node that failed, with the nodes that it blocks.
    """

    needs: Mapping[str, Sequence[str]]
    work: Callable[[str, str], T]
    places: Sequence[str]
    seconds: Mapping[str, float] | None = None
    parallel: int = 2
    local: Collection[str] = ()
    have: Mapping[str, Collection[str]] = field(default_factory=dict)
    pinned: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, Collection[str]] = field(default_factory=dict)
    failed: Callable[[str, Sequence[str]], None] = lambda name, blocked: None

    def __post_init__(self) -> None:
        self.outcome: Outcome[T] = Outcome()
        self._priority = critical(self.needs, self.seconds or {})
        self._pending = dict.fromkeys(name for name in self.needs)  # not begun (a local one: not done anywhere)
        self._running: set[tuple[str, str]] = set()
        self._alive = list(self.places)
        self._have = {place: set(self.have.get(place, ())) for place in self.places}
        self._home = {name: set(places) for name, places in self.home.items()}
        self._bad: set[tuple[str, str]] = set()  # local nodes that have failed where others have them
        self._ended: queue.SimpleQueue[tuple[str, str, T | None, BaseException | None]] = queue.SimpleQueue()
        self._below = {name: self._needed_by(name) for name in self.local if name in self.needs}

    def run(self) -> Outcome[T]:
        """Do all; returns when nothing runs and nothing more can."""
        while True:
            # where each place waits for a local node that only the other has, one of them makes it after all
            while candidate := self._next() or (None if self._running else self._next(sparing=False)):
                self._start(*candidate)
            if not self._running:
                return self.outcome
            name, place, result, error = self._ended.get()
            self._running.discard((name, place))
            if error is None:
                self._done(name, place, cast(T, result))
            elif not isinstance(error, Exception):
                raise error
            elif isinstance(error, PlaceLost):
                self._lost(name, place, error)
            else:
                self._failed(name, place, error)

    def _start(self, name: str, place: str) -> None:
        self._running.add((name, place))
        if name not in self.local:
            del self._pending[name]
        # daemons: an interrupt must not wait for what is running, as an executor's threads would make it
        threading.Thread(target=self._run, args=(name, place), name=f"build-{name}", daemon=True).start()

    def _run(self, name: str, place: str) -> None:
        try:
            self._ended.put((name, place, self.work(name, place), None))
        except BaseException as error:
            self._ended.put((name, place, None, error))

    def _next(self, *, sparing: bool = True) -> tuple[str, str] | None:
        """What starts next, and where: the longest chain first, where most of its parents are, where least runs."""
        load = {place: sum(1 for _, at in self._running if at == place) for place in self._alive}
        free = [place for place in self._alive if load[place] < max(1, self.parallel)]
        if not free:
            return None
        found = [
            (-self._priority[name], self._absent(name, place), load[place], name, index, place)
            for index, place in enumerate(free)
            for name in self.needs
            if self._startable(name, place, sparing)
        ]
        return (min(found)[3], min(found)[5]) if found else None

    def _startable(self, name: str, place: str, sparing: bool) -> bool:
        if name in self.outcome.failed or name in self.outcome.blocked or self.pinned.get(name, place) != place:
            return False
        if name in self.local:
            if name in self._have[place] or (name, place) in self._running or (name, place) in self._bad:
                return False
            if self._enough(name) if sparing else not self._below[name] & self._pending.keys():
                return False
        elif name not in self._pending:
            return False
        return all(self._there(parent, place) for parent in self.needs[name] if parent in self.needs)

    def _enough(self, name: str) -> bool:
        """Whether as many places have a local node, or make it, as there are nodes that wait for it."""
        holders = {at for at in self.places if name in self._have[at]} | {at for n, at in self._running if n == name}
        return bool(holders) and len(holders) >= len(self._below[name] & self._pending.keys() - set(self.local))

    def _there(self, parent: str, place: str) -> bool:
        return parent in (self._have[place] if parent in self.local else self.outcome.done)

    def _absent(self, name: str, place: str) -> int:
        """Parents that other places hold and this one does not."""
        return sum(1 for parent in self.needs[name] if place not in self._home.get(parent, {place}))

    def _needed_by(self, name: str) -> set[str]:
        """Nodes that need a node, directly or through others."""
        found = {name}
        while more := {other for other, parents in self.needs.items() if found & set(parents)} - found:
            found |= more
        return found - {name}

    def _done(self, name: str, place: str, result: T) -> None:
        if name in self.local:
            self._have[place].add(name)
        if name in self.outcome.failed:
            return  # it has failed elsewhere meanwhile
        self.outcome.done[name] = result
        self.outcome.places[name] = place
        self._home.setdefault(name, set()).add(place)
        self._pending.pop(name, None)

    def _failed(self, name: str, place: str, error: Exception) -> None:
        if name in self.local and any(name in self._have[other] for other in self._alive):
            self._bad.add((name, place))  # the others go on with theirs
        else:
            self._fail(name, error)

    def _fail(self, name: str, error: Exception) -> None:
        if name in self.outcome.failed or name in self.outcome.blocked:
            return  # a local node that has failed at another place too
        self.outcome.failed[name] = error
        self._pending.pop(name, None)
        blocked = {name}
        while more := {n for n in self._pending if blocked & set(self.needs[n])} - blocked:
            blocked |= more
        self._block(name, blocked - {name})
        self.failed(name, sorted(blocked - {name}))

    def _block(self, name: str, others: Collection[str]) -> None:
        for other in others:
            self._pending.pop(other, None)
            self.outcome.blocked[other] = name

    def _lost(self, name: str, place: str, error: Exception) -> None:
        """What ran there has failed; what waits is done elsewhere, where there is another place."""
        if place in self._alive:
            self._alive.remove(place)
            self.outcome.lost[place] = error
            self._have[place].clear()
        if name not in self.local or not self._alive:
            self._fail(name, error)
        for each in [each for each in self._pending if self.pinned.get(each) == place]:
            self._fail(each, error)
        if not self._alive:
            self._block(name, list(self._pending))
