"""What a host remembers: small JSON documents below its state root (docs/interfaces.md, section 1).

Each is written whole to a temporary file, synced and renamed, so a reader sees the former document or the new one,
also after a power cut. Files are 0600 in directories 0700. Nothing here knows what a document means.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT

Document = dict[str, Any]
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Shelf:
    """Documents of one kind, by name, in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, name: str) -> Path:
        """File of a document. Raises SalternError for a name that could leave the directory."""
        if not _SAFE.fullmatch(name):
            raise SalternError(f"{name!r} cannot be a file name", where=str(self.directory))
        return self.directory / f"{name}.json"

    def get(self, name: str) -> Document | None:
        """The document, None when there is none. Raises SalternError when it is not readable."""
        return read(self.path(name))

    def put(self, name: str, document: Document) -> None:
        """Write the document. Raises SalternError when the disk does not take it."""
        write(self.path(name), document)

    def drop(self, name: str) -> None:
        """Forget the document; an absent one is fine."""
        self.path(name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _sync(self.directory)

    def names(self) -> list[str]:
        """Names of all documents, sorted."""
        try:
            return sorted(e[:-5] for e in os.listdir(self.directory) if e.endswith(".json") and _SAFE.fullmatch(e))
        except FileNotFoundError:
            return []

    def all(self) -> dict[str, Document]:
        """All documents by name."""
        found = ((name, self.get(name)) for name in self.names())
        return {name: document for name, document in found if document is not None}


class Store:
    """The shelves of a host.

    root
        State root, ``/var/lib/saltern`` unless the minion option ``saltern_root`` says else.
    """

    def __init__(self, root: Path | str = HOST_ROOT) -> None:
        self.root = Path(root)
        self.desired = Shelf(self.root / "desired")
        self.records = Shelf(self.root / "records")
        self.journal = Shelf(self.root / "journal")
        self.holds = Shelf(self.root / "health" / "holds")
        self.health = Shelf(self.root / "health")
        self.config = self.root / "config"
        self.locks = self.root / "locks"


def read(path: Path) -> Document | None:
    """A JSON object from a file, None when there is no file. Raises SalternError for anything else."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SalternError(f"cannot be read: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise SalternError("is not a JSON object", where=str(path))
    return document


def write(path: Path, document: Document) -> None:
    """Write a JSON object so that it is there whole or not at all. Raises SalternError (disk full, no rights)."""
    write_bytes(path, json.dumps(document, sort_keys=True, indent=1).encode() + b"\n")


def write_bytes(path: Path, data: bytes, *, mode: int = 0o600, uid: int | None = None, gid: int | None = None) -> None:
    """As :func:`write` for any content; owner and mode are set before the file gets its name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{id(data):x}.tmp")
    try:
        private_directory(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if uid is not None or gid is not None:
                os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SalternError(
            f"cannot be written: {error.strerror or error}", where=str(path), hint=_hint(error)
        ) from error


def private_directory(path: Path) -> None:
    """Make a directory (and its parents) that only root enters; existing ones keep their mode."""
    if not path.is_dir():
        private_directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hint(error: OSError) -> str:
    return "Free disk space and run it again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
