"""What a run did, line by line on the master's disk: written by its steps, read by whoever watches.

The journal is the truth about a run; events only wake viewers up. Several processes (the steps) append to one file:
each line is one ``write`` to a descriptor opened for appending, which the kernel does not interleave. A line that a
power cut or a kill left in half is skipped by readers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """The journal of one run.

    path
        Its file; made, 0600, by the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def append(self, line: Line) -> None:
        """Write a line whole and to the disk. Raises OSError (disk full) to its step, which then fails."""
        data = (json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str) + "\n").encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if _cut(self.path):  # after a kill in the middle of a line: don't lose this one too
                data = b"\n" + data
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[Line]:
        """All lines."""
        return list(_lines(self._bytes(0)[0]))

    def more(self) -> list[Line]:
        """The lines since the last call; a line that is still being written comes next time."""
        data, end = self._bytes(self._offset)
        self._offset = end
        return list(_lines(data))

    def _bytes(self, offset: int) -> tuple[bytes, int]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return b"", offset
        whole = data[: data.rfind(b"\n") + 1]
        return whole, offset + len(whole)


def _lines(data: bytes) -> Iterator[Line]:
    for raw in data.splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _cut(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"
