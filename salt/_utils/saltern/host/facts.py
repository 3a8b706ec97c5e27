"""What a host was found to be (docs/interfaces.md, section 12): small documents, with the reason of each value.

A fact outlives what found it: containers read it by a mount of its topic's directory, ``status`` shows it, and whoever
decides the same thing again begins with what was decided before. So the files are for everybody to read and hold no
secrets. A container may write its own topic (libvirt does), so what lies there is looked at with care.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host.store import private_directory, write_bytes

LARGEST = 65536  # bytes; a fact is a value and a sentence


def directory(topic: str, root: Path | str = HOST_ROOT) -> Path:
    """Where the facts of a topic lie."""
    return Path(root) / "facts" / topic


def read(topic: str, name: str, root: Path | str = HOST_ROOT) -> dict[str, Any] | None:
    """A fact, ``{"value", "reason", "at"}`` at least; None where there is none, or nothing that can be read as one."""
    try:
        with open(directory(topic, root) / f"{name}.json", "rb") as file:
            document = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "value" in document else None


def write(
    topic: str,
    name: str,
    value: Any,
    reason: str,
    root: Path | str = HOST_ROOT,
    now: Callable[[], float] = time.time,
    **more: Any,
) -> None:
    """Write a fact, whole or not at all. Raises SalternError when the disk does not take it."""
    place = directory(topic, root)
    try:
        private_directory(place.parent)
        if not place.is_dir():
            place.mkdir()
            place.chmod(0o755)
    except OSError as error:
        raise SalternError(f"cannot be made: {error.strerror}", where=str(place)) from error
    document = {"value": value, "reason": reason, "at": round(now(), 3), **more}
    write_bytes(place / f"{name}.json", json.dumps(document, sort_keys=True).encode() + b"\n", mode=0o644)


def every(root: Path | str = HOST_ROOT) -> dict[str, dict[str, dict[str, Any]]]:
    """All facts: ``{topic: {name: fact}}``."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    place = Path(root) / "facts"
    for topic in _names(place):
        for name in _names(place / topic):
            fact = read(topic, name.removesuffix(".json"), root) if name.endswith(".json") else None
            if fact is not None:
                found.setdefault(topic, {})[name.removesuffix(".json")] = fact
    return found


def _names(place: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(place) if not name.startswith("."))
    except OSError:  # none yet, or no directory
        return []
