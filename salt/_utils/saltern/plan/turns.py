"""One state run at a time on a host: steps of a run that go on side by side take turns before they publish their jobs.

A minion does one state run after another anyway. But of a job that waits in its queue it does not say that it is
running (``saltutil.find_job`` answers nothing), so that Salt gives it up after ``gather_job_timeout`` while the job
before it goes on. A POSIX lock for each host is free the moment its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def taken(directory: Path, hosts: Sequence[str]) -> Iterator[None]:
    """Wait until no other process of the run has a job on any of ``hosts``, and keep others from it meanwhile.

    directory
        The run's own; the locks are files in it.
    """
    with ExitStack() as stack:
        for host in sorted(hosts):  # all in one order, so that nobody waits in a circle
            file = stack.enter_context((directory / f"turn-{host}").open("w"))
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield
