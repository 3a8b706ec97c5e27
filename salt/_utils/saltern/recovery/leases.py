"""Leases: one recovery at a time for a container or a cluster, and none for ever.

A lease is a small document with a holder and an end. It is not a lock of the kernel: the work it covers is an order
that a minion carries out, and outlives the process that gave it. Who is killed leaves a lease that ends by itself.
"""

from __future__ import annotations

import fcntl
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from saltern.recovery import files

TTL = 60.0


@dataclass(frozen=True)
class Lease:
    """Who works on something, and until when at most (seconds since the epoch)."""

    key: str
    holder: str
    until: float


class Leases:
    """Leases in one directory, shared by all processes of the master."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def take(self, key: str, holder: str, now: float, ttl: float = TTL) -> Lease | None:
        """Take or renew a lease; None while another holder has it.

        key
            What it is for: ``<host>/<container>`` or ``cluster/<name>``.
        holder
            Who asks; the same one renews.
        ttl
            Seconds until it ends by itself.
        """
        with self._alone():
            current = self._read(key)
            if current is not None and current.holder != holder and now < current.until:
                return None
            lease = Lease(key, holder, now + ttl)
            files.write(self._path(key), asdict(lease))
            return lease

    def current(self, key: str, now: float) -> Lease | None:
        """The lease, None when nobody has it (any more)."""
        lease = self._read(key)
        return lease if lease is not None and now < lease.until else None

    def release(self, key: str, holder: str) -> bool:
        """Give a lease back; False when it is another's by now."""
        with self._alone():
            current = self._read(key)
            if current is None or current.holder != holder:
                return False
            self._path(key).unlink(missing_ok=True)
            return True

    def drop(self, key: str) -> None:
        """End a lease whoever has it: what it was for is known to be over."""
        self._path(key).unlink(missing_ok=True)

    def prune(self, now: float) -> None:
        """Remove leases that have ended."""
        with self._alone():
            for path in self.directory.glob("*.json"):
                lease = _lease(files.read(path))
                if lease is None or now >= lease.until:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        files.private_directory(self.directory)
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self, key: str) -> Lease | None:
        return _lease(files.read(self._path(key)))

    def _path(self, key: str) -> Path:
        return self.directory / f"{urllib.parse.quote(key, safe='')}.json"


def _lease(document: dict[str, object] | None) -> Lease | None:
    try:
        return Lease(**document) if document else None  # type: ignore[arg-type]
    except TypeError:
        return None  # of another version: as good as ended
