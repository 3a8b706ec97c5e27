"""One run at a time: the lock of a run, and who may read it how.

A POSIX lock (``fcntl.lockf``) on ``run.lock`` is free the moment its process dies, however it dies; an flock would be
inherited by the forked steps of a killed run and outlive it. Its price: *closing any descriptor* of that file in the
holder's process drops the lock. So the descriptor stays in a module global for the life of the process, and who reads
in the holder's own process reads ``run.open``, a plain file with the same content, and leaves ``run.lock`` alone.

A run is *open* while the lock is held and the file names it. :meth:`RunLock.close` empties the file: from then on jobs
of that run refuse to start, although its process may live a moment longer.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from saltern.contract.errors import LockHeld

LOCK = "run.lock"
MARKER = "run.open"

# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
_FLOCK = "hhqqi4x"

# The one lock this process holds: (descriptor, process id, Holder). Forked children inherit the value, not the lock.
_held: tuple[int, int, Holder, Path] | None = None


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: the run, its process, its model, its verb, since when (epoch seconds)."""

    run: str
    pid: int
    model: str
    verb: str
    since: float = 0.0


class RunLock:
    """The lock below the master's state root.

    root
        The master's state root.
    """

    def __init__(self, root: Path) -> None:
        self.path, self.marker = root / LOCK, root / MARKER

    def take(self, holder: Holder) -> None:
        """Take the lock for the life of this process. Raises LockHeld, which names the run that has it."""
        global _held
        if _held is not None and _held[1] == os.getpid() and _held[3] == self.path:
            self._retake(_held[0], _held[2], holder)
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise _refusal(self.read()) from None
        self._write(descriptor, holder)
        _held = (descriptor, os.getpid(), holder, self.path)

    def close(self, run: str) -> None:
        """Close the run: its jobs are refused from now on. Nothing happens when another run is open by now."""
        holder = held() or self.read()
        if holder is None or holder.run != run:
            return
        self.marker.unlink(missing_ok=True)
        # Truncated by path: no descriptor of the lock's file may be closed in the holder's process.
        if _held is not None and _held[1] == os.getpid():
            os.ftruncate(_held[0], 0)
        else:
            os.truncate(self.path, 0)

    def read(self) -> Holder | None:
        """The open run, None when there is none. Never opens the lock's file in the holder's own process."""
        if _held is not None and _held[1] == os.getpid() and _held[3] == self.path:
            return _parse(_text(self.marker))
        if self.holder_pid() is None:
            return None
        return _parse(_text(self.path))

    def refuse(self) -> None:
        """For work beside runs that must not meet one. Raises LockHeld, which names the run, while one is open."""
        holder = self.read()
        if holder is not None:
            raise _refusal(holder)

    def holder_pid(self) -> int | None:
        """Process that holds the lock (it may have closed its run already), None when it is free."""
        if _held is not None and _held[1] == os.getpid() and _held[3] == self.path:
            return os.getpid()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, request))
        finally:
            os.close(descriptor)
        return None if kind == fcntl.F_UNLCK else int(pid)

    def _retake(self, descriptor: int, former: Holder, holder: Holder) -> None:
        # The same process runs one orchestration after another (a program that uses Salt as a library).
        if self.marker.exists():
            raise _refusal(former)
        global _held
        self._write(descriptor, holder)
        _held = (descriptor, os.getpid(), holder, self.path)

    def _write(self, descriptor: int, holder: Holder) -> None:
        content = json.dumps(asdict(holder)).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
        temporary = self.marker.with_suffix(".tmp")
        temporary.write_bytes(content)
        temporary.chmod(0o600)
        temporary.replace(self.marker)


def held() -> Holder | None:
    """The run of this process, or of the one that it was forked from; None when there is none."""
    return _held[2] if _held else None


def release() -> None:
    """Let go of the lock. Only tests and programs that go on after their run need it; a process that ends need not."""
    global _held
    if _held is not None and _held[1] == os.getpid():
        os.close(_held[0])
    _held = None


def _refusal(holder: Holder | None) -> LockHeld:
    if holder is None:
        return LockHeld("a run is just ending", where="run.lock", hint="Try again in a moment")
    return LockHeld(
        f"{holder.verb} run {holder.run} is open (process {holder.pid}, model {holder.model[:6]})",
        where="run.lock",
        hint="Watch it: salt-run openstack.watch. End it: salt-run openstack.abort",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _parse(text: str) -> Holder | None:
    try:
        data: dict[str, Any] = json.loads(text)
        return Holder(**{key: data[key] for key in ("run", "pid", "model", "verb")}, since=data.get("since", 0.0))
    except (ValueError, KeyError, TypeError):
        return None
