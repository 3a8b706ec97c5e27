"""Live lines of a run: on a terminal replaced in place, one appended line per finished step where there is none.

One process paints, whatever number of steps run at once: a fork that reads the journal. It dies with the run's process
and is waited for by the last step, so that its last words stand before Salt's own summary.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from saltern.contract.errors import SalternError
from saltern.plan import runs
from saltern.plan.journal import Journal
from saltern.plan.runs import Run
from saltern.terminal.progress import Progress

TICK = 0.2  # seconds between looks at the journal
PR_SET_PDEATHSIG = 1


def say(text: str) -> None:
    """A line outside of any run, to stderr (stdout belongs to Salt's outputter)."""
    print(text, file=sys.stderr, flush=True)


class Screen:
    """Where the lines go.

    stream
        A text stream; lines are replaced in place when it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.shown = stream, 0
        self.terminal = stream.isatty()
        size = shutil.get_terminal_size((100, 24)) if self.terminal else os.terminal_size((100, 24))
        self.width, self.height = size.columns, size.lines

    def draw(self, final: list[str], live: list[str]) -> None:
        """Append the final lines; below them show the live ones until the next call."""
        if not self.terminal:
            self.stream.write("".join(f"{line}\n" for line in final))
            self.stream.flush()
            return
        live = live[: max(1, self.height - 2)]  # what scrolled off could not be replaced any more
        clear = f"\x1b[{self.shown}F\x1b[J" if self.shown else ""
        if final or live or clear:
            self.stream.write(clear + "".join(f"{line}\n" for line in [*final, *live]))
            self.stream.flush()
        self.shown = len(live)


def follow(
    run: Run,
    stream: TextIO,
    *,
    alive: Callable[[], bool],
    estimates: dict[str, float] | None = None,
    with_end: bool = True,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """Show the run until it ends.

    alive
        Whether the run's process still is.
    with_end
        Say how it ended and why it failed; not where the caller's answer says so.

    Returns the journal's ``end`` line, None when the run died without one.
    """
    screen = Screen(stream)
    progress = Progress(run.document(), estimates or {}, width=screen.width, colour=screen.terminal, brief=not with_end)
    journal = Journal(run.journal.path)
    while progress.end is None:
        living = alive()  # asked first: what a dying run wrote last is still read
        final = progress.feed(journal.more())
        screen.draw(final, progress.live(clock()))
        if progress.end is None:
            if not living and not with_end:
                return None
            if not living:
                screen.draw([f"✗ The run's process is gone; nothing is lost: salt-run {_again(progress)}"], [])
                return None
            sleep(TICK)
    return dict(progress.end)


def _again(progress: Progress) -> str:
    verb = str(progress.document.get("verb", "deploy"))
    return "openstack.deploy" if verb in ("deploy", "apply") else f"state.orch openstack.{verb}"


def spawn(run: Run | None) -> int | None:
    """Fork the painter of a run; a descriptor that reaches its end when the painter has ended."""
    if run is None:
        return None
    reader, writer = os.pipe()
    parent = os.getpid()
    if os.fork():
        os.close(writer)
        return reader
    try:
        os.close(reader)
        _paint(run, parent)
    finally:
        os._exit(0)  # never back into the process that was copied


def _paint(run: Run, parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run; the painter goes with it
    try:
        follow(run, sys.stderr, alive=lambda: os.getppid() == parent, estimates=_estimates(run))
    except (SalternError, OSError):
        pass  # a run does not fail for want of a screen


def _estimates(run: Run) -> dict[str, float]:
    return runs.estimates(run.directory.parents[1])


def wait(screen: int | None, seconds: float = 5.0) -> None:
    """Wait for the painter, so that its last lines come before Salt's own output."""
    if screen is None:
        return
    ready, _, _ = select.select([screen], [], [], seconds)
    if ready:
        os.read(screen, 1)
