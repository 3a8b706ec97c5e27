"""Who makes images on a host and who removes them must not meet.

A build, a pull and a load have images that carry no name yet for a moment: they look like waste. So whoever makes
images holds this lock with others of its kind, and whoever removes what nobody needs holds it alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saltern.contract.errors import LockHeld

FILE = "images.lock"


@contextmanager
def making(directory: Path) -> Iterator[None]:
    """Images are being made: waits while some are being removed. Dies with its holder.

    directory
        The host's directory of locks.
    """
    descriptor = _open(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def removing(directory: Path) -> Iterator[None]:
    """Images are being removed. Raises LockHeld, at once, while somebody makes some.

    directory
        The host's directory of locks.
    """
    descriptor = _open(directory)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(
                "images are being built, pulled or loaded here", hint="Try again when that is done"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
