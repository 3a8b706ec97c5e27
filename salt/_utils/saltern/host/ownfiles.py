"""An operator's own files below Saltern's state root, for own containers to mount: ``<root>/files/<name>``."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import filediff, files
from saltern.host import store as storage

HIDDEN = "~ differs (not shown)"


@dataclass(frozen=True)
class OwnFile:
    """What a file is to be. ``mode`` as in ``0640``."""

    name: str
    contents: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o600


def path_of(root: Path, name: str) -> Path:
    """Where a file lies. Raises SalternError for a name that leaves the directory."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise SalternError(f"{name!r} is not a path below {root / 'files'}")
    return root / "files" / relative


def compare(root: Path, wanted: OwnFile, secrets: Iterable[str], *, show: bool = True) -> dict[str, Any]:
    """How a file differs: ``{"diff": [lines], "owner": …, "mode": …}``, empty when it does not; changes nothing.

    show
        Show the new lines. Former ones are never shown: they may hold what nobody knows to be secret any more.
    """
    path = path_of(root, wanted.name)
    try:
        old, found = path.read_text(errors="replace"), path.stat()
    except FileNotFoundError:
        return {"diff": _lines("", wanted.contents, secrets) if show else [HIDDEN]}
    except OSError as error:
        raise SalternError(f"cannot be read: {error.strerror}", where=str(path)) from error
    changes: dict[str, Any] = {}
    if old != wanted.contents:
        changes["diff"] = _lines(old, wanted.contents, secrets) if show else [HIDDEN]
    if (found.st_uid, found.st_gid) != (wanted.uid, wanted.gid):
        changes["owner"] = f"{found.st_uid}:{found.st_gid} → {wanted.uid}:{wanted.gid}"
    if stat.S_IMODE(found.st_mode) != wanted.mode:
        changes["mode"] = f"{stat.S_IMODE(found.st_mode):04o} → {wanted.mode:04o}"
    return changes


def write(root: Path, wanted: OwnFile) -> None:
    """Write a file whole: contents, owner and mode at once. Raises SalternError when the disk does not take it."""
    path = path_of(root, wanted.name)
    _directories(root, path.parent)
    storage.write_bytes(path, wanted.contents.encode(), mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)


def remove(root: Path, name: str) -> bool:
    """Remove a file and the directories that it leaves empty; whether there was one."""
    path = path_of(root, name)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SalternError(f"cannot be removed: {error.strerror}", where=str(path)) from error
    with contextlib.suppress(OSError):  # not empty
        for parent in path.relative_to(root / "files").parents[:-1]:
            os.rmdir(root / "files" / parent)
    return True


def _directories(root: Path, parent: Path) -> None:
    """Directories that a container may enter once they are mounted; on the host, ``files`` itself is root's alone."""
    storage.private_directory(root / "files")
    for directory in [*reversed(parent.relative_to(root / "files").parents[:-1]), parent.relative_to(root / "files")]:
        target = root / "files" / directory
        if not target.is_dir():
            storage.private_directory(target)
            target.chmod(0o755)


def _lines(old: str, new: str, secrets: Iterable[str]) -> list[str]:
    return filediff.lines(old, new, "", files.mask_lines(new, secrets))
