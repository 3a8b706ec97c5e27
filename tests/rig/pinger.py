"""A ping that runs all along in a host, and how long it was not answered between two marks."""

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

    patience
        Seconds to wait for an answer, also for the first one.
    gap()
        The longest time of which nothing was answered since ``mark()``, seconds. It counts pings that were never
        answered: an answer that comes late on a busy machine is no gap.
    """

    def __init__(self, host: Host, address: str, patience: float = 60) -> None:
        self.host, self.address, self.patience = host, address, patience
        self.answers: dict[int, float] = {}  # number of the ping → when it was answered
        self._mark = 0
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
            if found := REPLY.search(line):
                self.answers[int(found[1])] = time.monotonic()

    def mark(self) -> None:
        """Count from the newest answer on; waits for one."""
        self._mark = self.answered()

    def answered(self) -> int:
        """Wait for an answer from now on; its number. Raises TimeoutError."""
        known, deadline = max(list(self.answers), default=0), time.monotonic() + self.patience
        while (newest := max(list(self.answers), default=0)) <= known:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.address} does not answer a ping from {self.host.name}")
            time.sleep(0.05)  # a condition of another process
        return newest

    def gap(self) -> float:
        """See the class. Waits for an answer, as a silence may still go on. Raises TimeoutError."""
        answered = [number for number in (*list(self.answers), self.answered()) if number >= self._mark]
        longest = max(later - earlier - 1 for earlier, later in itertools.pairwise(sorted({*answered, self._mark})))
        return round(longest * PERIOD, 1)
