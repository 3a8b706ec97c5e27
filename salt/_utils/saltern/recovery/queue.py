"""The durable queue of failures: one file an event, so that an event is worked on once however often it arrives.

An event comes on two ways, over the bus and through the reactor, and again after a master's absence. Its id is the
file's name; linking a complete file to that name is the one atomic step, and whoever comes second finds it taken. What
is done lies in ``done/`` until it is pruned, which is what makes a late copy known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.recovery import files

KEEP = 1000
_EVENT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")


class Queue:
    """Failures that wait for a decision.

    directory
        ``heal/queue`` below the master's state root.
    keep
        How many finished ones to remember.
    """

    def __init__(self, directory: Path, keep: int = KEEP) -> None:
        self.directory, self.done_directory, self.keep = directory, directory / "done", keep
        self._finished = 0

    def put(self, event: Mapping[str, Any]) -> bool:
        """Add a failure; False when it is known already, waiting or done.

        event
            The event's data, with its id under ``event``.

        Raises SalternError for an id that cannot be a file name.
        """
        name = self._name(str(event.get("event", "")))
        if (self.done_directory / name).exists():
            return False
        temporary = files.write_new(self.directory, event)
        try:
            os.link(temporary, self.directory / name)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        if (self.done_directory / name).exists():  # finished between our look and our link
            (self.directory / name).unlink(missing_ok=True)
            return False
        return True

    def waiting(self) -> list[dict[str, Any]]:
        """Failures that wait, the oldest first. A file that is none is put aside."""
        found = []
        for path in self._by_age(self.directory):
            event = files.read(path)
            if event is None or event.get("event") != path.stem:
                self._finish(path)
            else:
                found.append(event)
        return found

    def done(self, event_id: str) -> None:
        """A failure has been decided on."""
        self._finish(self.directory / self._name(event_id))

    def _finish(self, path: Path) -> None:
        files.private_directory(self.done_directory)
        try:
            path.rename(self.done_directory / path.name)
        except FileNotFoundError:
            return
        self._finished += 1
        if self._finished % max(1, self.keep // 4) == 0:
            self.prune()

    def prune(self) -> None:
        """Forget all but the youngest finished ones."""
        for path in self._by_age(self.done_directory)[: -self.keep or None]:
            path.unlink(missing_ok=True)

    @staticmethod
    def _by_age(directory: Path) -> list[Path]:
        found = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.endswith(".json"):
                        try:
                            found.append((entry.stat().st_mtime_ns, entry.name))
                        except FileNotFoundError:
                            continue
        except FileNotFoundError:
            return []
        return [directory / name for _, name in sorted(found)]

    def _name(self, event_id: str) -> str:
        if not _EVENT_ID.fullmatch(event_id):
            raise SalternError(f"{event_id!r} is no event id", where=str(self.directory))
        return f"{event_id}.json"
