"""What was made on this machine, remembered in ``.saltern/made.json``: ports, packages, a Docker Engine we started.

``down --purge`` removes exactly this; a Salt or Docker that was there before is not in it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Made:
    """A small dictionary on disk, written at every change (a killed ``up`` still knows what it did)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._data: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            self._data = {}

    def get(self, key: str, default: Any = None) -> Any:
        """The remembered value of ``key``, else ``default``."""
        return self._data.get(key, default)

    def put(self, key: str, value: Any) -> None:
        """Remember ``value``; a value that is there already costs no write."""
        if self._data.get(key) == value and self._path.exists():
            return
        self._data[key] = value
        self._write()

    def add(self, key: str, values: list[str]) -> None:
        """Add to a remembered set."""
        self.put(key, sorted({*self.get(key, []), *values}))

    def drop(self, key: str) -> None:
        """Forget ``key``."""
        if self._data.pop(key, None) is not None:
            self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(self._data, indent=2, sort_keys=True) + "\n")
        os.replace(temporary, self._path)
