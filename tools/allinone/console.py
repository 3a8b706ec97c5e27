"""Lines for the person who waits: one line a phase, the present step below it, times where somebody waits.

On a terminal the running phase's line is replaced in place; elsewhere every step is a plain line of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

TITLE_WIDTH = 28
DETAIL_WIDTH = 58
RED, GREEN, YELLOW, PLAIN = "\033[31m", "\033[32m", "\033[33m", "\033[0m"


class Stop(Exception):
    """The work cannot go on. ``cause`` is a sentence, ``advice`` the command to type next, ``code`` the exit code."""

    def __init__(self, cause: str, *, advice: str = "", log: str = "", tail: str = "", code: int = 1) -> None:
        super().__init__(cause)
        self.cause, self.advice, self.log, self.tail, self.code = cause, advice, log, tail, code


def duration(seconds: float) -> str:
    """``0.4 s``, ``41 s``, ``2 m 51 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} m {rest:02d} s" if minutes else f"{rest} s"


@dataclass
class Phase:
    """One line. What runs inside sets ``title`` and ``detail`` for the finished line and calls ``step`` meanwhile."""

    console: Console
    title: str
    detail: str = ""
    started: float = 0.0

    def step(self, text: str) -> None:
        """Say what is being done just now."""
        self.console.step(self, text)


@dataclass
class Console:
    """Writes to ``out``; ``clock`` is monotonic seconds."""

    out: TextIO
    clock: Callable[[], float] = time.monotonic
    live: bool = False
    colour: bool = False
    _open: bool = field(default=False, init=False)

    @classmethod
    def on(cls, out: TextIO, environment: dict[str, str]) -> Console:
        """A console that suits the stream and the environment (``NO_COLOR``, ``TERM``)."""
        live = out.isatty() and environment.get("TERM", "dumb") != "dumb"
        return cls(out, live=live, colour=live and "NO_COLOR" not in environment)

    def say(self, text: str = "") -> None:
        """A whole line."""
        self._clear()
        self.out.write(text + "\n")
        self.out.flush()

    def step(self, phase: Phase, text: str) -> None:
        """The present step of a running phase."""
        text = " ".join(text.split())
        if not self.live:
            self.say(f"  … {text}")
            return
        elapsed = duration(self.clock() - phase.started)
        line = f"{self._mark('◐', YELLOW)} {phase.title:<{TITLE_WIDTH}}{elapsed:>10}  {text}"
        limit = shutil.get_terminal_size().columns - 1 + (len(YELLOW) + len(PLAIN) if self.colour else 0)
        self._clear()
        self.out.write(line[:limit])
        self.out.flush()
        self._open = True

    def leave(self) -> None:
        """Give the terminal to a child that writes its own lines."""
        self._clear()
        self.out.flush()

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """Time what happens inside and print its line at the end, also when it fails."""
        phase = Phase(self, title, started=self.clock())
        if self.live:
            self.step(phase, "")
        try:
            yield phase
        except BaseException:
            self.say(f"{self._mark('✗', RED)} {phase.title}   failed after {duration(self.clock() - phase.started)}")
            raise
        seconds = duration(self.clock() - phase.started)
        self.say(f"{self._mark('●', GREEN)} {phase.title:<{TITLE_WIDTH}}{phase.detail:<{DETAIL_WIDTH}}{seconds:>10}")

    def _mark(self, mark: str, colour: str) -> str:
        return f"{colour}{mark}{PLAIN}" if self.colour else mark

    def _clear(self) -> None:
        if self._open:
            self.out.write("\r\033[K")
            self._open = False
