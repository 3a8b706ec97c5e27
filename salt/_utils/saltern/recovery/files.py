"""Small JSON documents of the master, written whole or not at all; 0600 in directories 0700."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def private_directory(path: Path) -> Path:
    """The directory, made with its parents if it is missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_new(directory: Path, document: Mapping[str, Any]) -> Path:
    """Write a temporary file in ``directory`` and return it; to be renamed or linked by the caller."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=private_directory(directory))  # 0600 by itself
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, sort_keys=True)
    return Path(name)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a document."""
    write_new(path.parent, document).replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """A document, None when it is absent or is not one: what cannot be read here never stops healing."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
