"""One lock per container: who works on it, and that its stop is planned.

The lock is an flock, so it dies with its holder, kill -9 included. Its file tells the others who holds it and why:
``{"pid", "boot_id", "heartbeat", "reason"}``. Healing looks at it before it calls a death a failure.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saltern.contract.errors import LockHeld
from saltern.host.store import private_directory

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(path: Path = BOOT_ID) -> str:
    """Id of this boot of the host; empty where the kernel does not tell."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class ContainerLock:
    """Lock of one container, to be used with ``with``.

    directory
        ``locks`` below the state root (``Store.locks``).
    name
        Container.
    reason
        What is being done, for those who find it held ("replace", "stop", "heal").
    timeout
        Seconds to wait for another holder; 0 = one look.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        reason: str,
        *,
        timeout: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = directory / f"{name}.lock"
        self.name, self.reason, self.timeout = name, reason, timeout
        self._clock, self._sleep, self._now = clock, sleep, now
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock. Raises LockHeld, naming the holder, when it is not free in time."""
        private_directory(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = self._clock() + self.timeout
        while not _locked(descriptor):
            if self._clock() >= deadline:
                holder = _content(descriptor)
                os.close(descriptor)
                raise _held(self.name, holder)
            self._sleep(0.02)
        self._descriptor = descriptor
        self.beat()

    def beat(self, reason: str | None = None) -> None:
        """Say that the holder is alive, and perhaps with what it is busy now."""
        self.reason = reason or self.reason
        holder = {"pid": os.getpid(), "boot_id": boot_id(), "heartbeat": self._now(), "reason": self.reason}
        data = json.dumps(holder).encode()
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))

    def release(self) -> None:
        """Give the lock back. The file stays: unlinking it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> ContainerLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def held(directory: Path, name: str) -> dict[str, Any] | None:
    """Who holds a container's lock, None when it is free. Creates nothing.

    A lock whose holder is dead is free: the kernel dropped the flock.
    """
    try:
        descriptor = os.open(directory / f"{name}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared, so that two who only look do not see each other.
        return None if _locked(descriptor, fcntl.LOCK_SH) else (_content(descriptor) or {"reason": ""})
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(descriptor: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}  # between taking the lock and saying why
    return found if isinstance(found, dict) else {}


def _held(name: str, holder: dict[str, Any]) -> LockHeld:
    who = f"process {holder['pid']} ({holder.get('reason', '?')})" if holder.get("pid") else "another process"
    return LockHeld(f"{who} works on it", where=name, hint="Wait for it, then run this again")
