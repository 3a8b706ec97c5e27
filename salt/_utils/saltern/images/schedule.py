"""Run work on a graph: several at once, what most others wait for first, and no further than a failure allows."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Outcome(Generic[T]):
    """What came of each node: results, errors, and which nodes an error kept from running (node → failed node)."""

    def __init__(self) -> None:
        self.done: dict[str, T] = {}
        self.failed: dict[str, Exception] = {}
        self.blocked: dict[str, str] = {}


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


def run_graph(
    needs: Mapping[str, Sequence[str]],
    work: Callable[[str], T],
    *,
    seconds: Mapping[str, float] | None = None,
    parallel: int = 2,
) -> Outcome[T]:
    """Run ``work`` for every node after the nodes it needs.

    needs
        node → nodes it waits for; those that are no keys are taken as done.
    work
        Called in a thread with a node's name; an exception fails the node and blocks all that need it.
    seconds
        Estimates: of the nodes that could start, the one with the longest chain behind it starts first.
    parallel
        How many run at once.
    """
    outcome: Outcome[T] = Outcome()
    priority = critical(needs, seconds or {})
    waiting = {name: {parent for parent in parents if parent in needs} for name, parents in needs.items()}
    running: set[str] = set()
    ended: queue.SimpleQueue[tuple[str, T | None, BaseException | None]] = queue.SimpleQueue()

    def run(name: str) -> None:
        try:
            ended.put((name, work(name), None))
        except BaseException as error:
            ended.put((name, None, error))

    while waiting or running:
        ready = sorted((n for n, left in waiting.items() if not left), key=lambda n: (-priority[n], n))
        for name in ready[: max(1, parallel) - len(running)]:
            del waiting[name]
            running.add(name)
            # daemons: an interrupt must not wait for what is running, as an executor's threads would make it
            threading.Thread(target=run, args=(name,), name=f"build-{name}", daemon=True).start()
        if not running:
            break
        name, result, error = ended.get()
        running.discard(name)
        _settle(name, result, error, waiting, outcome)
    return outcome


def _settle(
    name: str, result: T | None, error: BaseException | None, waiting: dict[str, set[str]], outcome: Outcome[T]
) -> None:
    if error is None:
        outcome.done[name] = cast(T, result)
        for left in waiting.values():
            left.discard(name)
        return
    if not isinstance(error, Exception):
        raise error
    outcome.failed[name] = error
    blocked = {name}
    while more := {n for n, left in waiting.items() if left & blocked} - blocked:
        blocked |= more
    for other in blocked - {name}:
        del waiting[other]
        outcome.blocked[other] = name
