"""What happened and what was decided, one JSON line each, only ever appended.

Kinds of lines: ``event`` (a health event as it came), ``queued`` (on which way), ``decision`` (with all the evidence it
rests on), ``order`` (what a minion was told; its answer is an event ``healed``), ``setting`` and ``reset`` (what an
operator said), ``join`` (what became of a host that has come).
A decision line can be decided again from its evidence: that is how rules are tested against the past.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saltern.recovery import files

MOST = 16 * 1024 * 1024
_BLOCK = 256 * 1024


class History:
    """The journal of healing.

    path
        ``heal/history.jsonl``; a full one becomes ``history.1.jsonl``, the former of which goes.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self.path, self.former, self.most = path, path.with_suffix(".1.jsonl"), most

    def add(self, kind: str, at: float, **data: Any) -> dict[str, Any]:
        """Append a line: one write, so that lines of several processes never mix."""
        line = {"at": at, "kind": kind, **data}
        files.private_directory(self.path.parent)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(line, sort_keys=True, default=str).encode() + b"\n")
            full = os.fstat(descriptor).st_size > self.most
        finally:
            os.close(descriptor)
        if full:
            self.path.replace(self.former)
        return line

    def read(self, since: float = 0.0) -> list[dict[str, Any]]:
        """All lines not older than ``since`` (seconds since the epoch), the oldest first."""
        found = []
        for line in self.backwards():
            if float(line.get("at") or 0) < since:
                break
            found.append(line)
        return found[::-1]

    def backwards(self) -> Iterator[dict[str, Any]]:
        """Lines from the youngest to the oldest; what is no line (cut by a power loss) is passed over."""
        for path in (self.path, self.former):
            for raw in _lines_backwards(path):
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    yield line

    def about(self, host: str, container: str, most: int = 500) -> list[dict[str, Any]]:
        """The last lines about one container, the oldest first."""
        found: list[dict[str, Any]] = []
        for line in self.backwards():
            if len(found) >= most:
                break
            if is_about(line, host, container):
                found.append(line)
        return found[::-1]


def is_about(line: Mapping[str, Any], host: str, container: str) -> bool:
    """Whether a line is about this container on this host."""
    return line.get("host") == host and line.get("container") == container


def _lines_backwards(path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            parts = (file.read(size) + rest).split(b"\n")
            rest = parts[0]
            yield from (part for part in reversed(parts[1:]) if part)
        if rest:
            yield rest
