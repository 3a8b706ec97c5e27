"""A ping that runs all along in a host, and what it lost between two marks."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import threading
import time
from types import TracebackType

from rig.rig import Host

PERIOD = 0.2
REPLY = re.compile(r"icmp_seq=(\d+) ttl=")


class Pinger:
    """``ping`` five times a second; use it as a context manager.

    gap()
        The longest time without an answer since ``mark()``, seconds; an answer every ``PERIOD`` is a gap of nothing.
    """

    def __init__(self, host: Host, address: str) -> None:
        self.host, self.address = host, address
        self.replies: list[float] = []
        self._mark = 0.0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Pinger:
        self._process = subprocess.Popen(
            self.host.command("ping", "-n", "-i", str(PERIOD), self.address),
            env=self.host.rig.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        self.mark()
        self.answered()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if REPLY.search(line):
                self.replies.append(time.monotonic())

    def mark(self) -> None:
        self._mark = time.monotonic()

    def answered(self, timeout: float = 60) -> None:
        """Wait for an answer from now on. Raises TimeoutError."""
        since, deadline = time.monotonic(), time.monotonic() + timeout
        while not (self.replies and self.replies[-1] > since):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.address} does not answer a ping from {self.host.name}")
            time.sleep(0.05)  # a condition of another process

    def gap(self) -> float:
        """The longest silence since the mark that was longer than two periods and a bit; 0 when there was none."""
        times = [self._mark, *(at for at in list(self.replies) if at > self._mark), time.monotonic()]
        longest = max(later - earlier for earlier, later in itertools.pairwise(times))
        return longest if longest > 3 * PERIOD else 0.0
