"""Compiled models on the master's disk: ``compiled/<digest>/``, written once and never changed.

A directory under its final name is complete: it is made beside it and renamed. Which one is in force is for runs to
say (``saltern.plan.compiled``); here ``current`` is only read, so that pruning leaves it. Files are 0600 in 0700, since
slices hold what the containers of their host need, secrets too.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIGEST = re.compile(r"[0-9a-f]{16}")
KEPT = 5


class Store:
    """The master state root's models.

    root
        Master state root (master option ``saltern_state_dir``).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.compiled = root / "compiled"

    def key(self) -> bytes:
        """The master's own key for naming models; made at the first call."""
        path = self.root / "digest.key"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            _private(self.root)
        handle, name = tempfile.mkstemp(dir=self.root)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(name, path)  # the first of two processes wins, the other one reads its key
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
        return path.read_bytes()

    def plan(self, digest: str) -> dict[str, Any] | None:
        """The plan of a compiled model, None when there is none of that name."""
        return self._read(digest, "plan.json")

    def origins(self, digest: str) -> dict[str, Any] | None:
        """Who set each configuration key of a model."""
        return self._read(digest, "origins.json")

    def inputs(self, digest: str) -> dict[str, Any] | None:
        """What the operator wrote, key by key, without secrets: see ``changes``."""
        return self._read(digest, "inputs.json")

    def slice(self, digest: str, host: str) -> dict[str, Any] | None:
        """The slice of one host."""
        return self._read(digest, f"hosts/{host}.json") if "/" not in host else None

    def write(self, digest: str, documents: Mapping[str, Any], keep: Iterable[str] = ()) -> None:
        """Write a model; one that is there already stays as it is.

        documents
            Relative file name to JSON-able value; ``plan.json`` among them.
        keep
            Digests that pruning must leave besides ``current`` and the newest ones.
        """
        target = self.path(digest)
        if (target / "plan.json").exists():
            return
        _private(self.root)
        _private(self.compiled)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.compiled))
        try:
            for name, value in documents.items():
                _write(made / name, value)
            try:
                os.rename(made, target)
            except OSError:
                if not (target / "plan.json").exists():  # else another process was first with the same content
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self.prune(keep)

    def current(self) -> str | None:
        """The digest that is in force, None before the first run."""
        try:
            name = os.readlink(self.compiled / "current")
        except OSError:
            return None
        return name if DIGEST.fullmatch(name) else None

    def prune(self, keep: Iterable[str] = ()) -> list[str]:
        """Remove superseded models; gives the names of those removed."""
        kept = {*keep, self.current()}
        models = [path for path in self.compiled.iterdir() if DIGEST.fullmatch(path.name) and path.name not in kept]
        models.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in models[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
        return [path.name for path in models[KEPT:]]

    def path(self, digest: str) -> Path:
        """Directory of a model. Raises ValueError for what is no digest: it would be a path."""
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"no digest: {digest!r}")
        return self.compiled / digest

    def _read(self, digest: str, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path(digest) / name).read_bytes())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None


def _private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
