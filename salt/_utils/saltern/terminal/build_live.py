"""Live lines of a build: fed by the build itself and by the builder's events, drawn by one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO

from saltern.terminal.build import Progress
from saltern.terminal.live import Screen

Event = tuple[str, Mapping[str, Any]]
TICK = 0.3
LAST = 2.0  # seconds given to events that are still on their way when the build has returned


class Shown(Protocol):
    """What makes lines of reports (`saltern.terminal.build.Progress` is one)."""

    width: int
    colour: bool
    actions: dict[str, str]

    @property
    def settled(self) -> set[str]:
        """Those of ``actions`` of which nothing more is heard."""

    def feed(self, kind: str, data: Mapping[str, Any], now: float) -> list[str]:
        """Take a report; lines that are final."""

    def live(self, now: float) -> list[str]:
        """Lines that hold for now."""


class Painter:
    """Shows a build while it runs; to be used with ``with``.

    stream
        Where to: replaced in place on a terminal, one line per finished image where there is none.
    next_event
        ``next_event(seconds)`` → (kind, data) of the builder's next event, None when none came in time. Called in the
        painting thread only. None = there are no events, ``feed`` is told everything.
    progress
        What makes lines of reports; None = a build's.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        next_event: Callable[[float], Event | None] | None = None,
        progress: Shown | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = Screen(stream)
        self._progress: Shown = progress or Progress()
        self._progress.width, self._progress.colour = self._screen.width, self._screen.terminal
        self._next, self._clock = next_event, clock
        self._lock, self._done = threading.Lock(), threading.Event()
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._paint, name="build-progress", daemon=True)

    def __enter__(self) -> Painter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(LAST + 2 * TICK)

    def feed(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take one report of the build; from any thread."""
        with self._lock:
            self._lines += self._progress.feed(kind, data, self._clock())

    def _paint(self) -> None:
        while not self._done.is_set():
            self._take(TICK)
            self._draw(final=False)
        deadline = self._clock() + LAST
        while self._missing() and self._clock() < deadline and self._take(TICK):
            pass
        self._draw(final=True)

    def _take(self, wait: float) -> bool:
        if self._next is None:
            return not self._done.wait(wait)
        event = self._next(wait)
        if event is not None:
            self.feed(*event)
        return event is not None

    def _missing(self) -> bool:
        with self._lock:
            return bool(set(self._progress.actions) - self._progress.settled)

    def _draw(self, *, final: bool) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            live = [] if final else self._progress.live(self._clock())
        self._screen.draw(lines, live)
