"""Files and folders of the builder that an image is made of: their digest, and their way into a build context.

A patched service is built from what lies on the builder: a checkout, an sdist or a wheel. The master asks for the
digest first, as it is an input of the image, and the build refuses content that has changed since.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from saltern.contract.digests import LENGTH
from saltern.contract.errors import BuildFailed, SalternError

ARCHIVES = (".whl", ".tar.gz", ".zip")
PROJECT = ("pyproject.toml", "setup.cfg", "setup.py")
EPOCH = 1735689600  # the fixed time of all files of a build (images/_build/collect); zip files know none before 1980
_CACHES = {".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}
_PASSED = _CACHES | {".git", ".hg", ".svn", ".tox", ".nox", ".venv", ".eggs", ".stestr"}
_PASSED_ON_TOP = frozenset(("build", "dist"))


@dataclass(frozen=True)
class Place:
    """What is added to a context.

    path
        File or folder on this host.
    into
        Folder of the context that takes the file, or the folder's content.
    digest
        What `fingerprint` said when the build was decided; empty: whatever is there.
    """

    path: str
    into: str
    digest: str = ""


@dataclass(frozen=True)
class Entry:
    """A file or link of a place: path below it, mode (0 for a link) and content or target."""

    name: str
    mode: int
    content: bytes


def fingerprints(paths: Iterable[str]) -> dict[str, str | None]:
    """Path → digest of its content, None where there is nothing.

    Raises SalternError for a folder that is no Python project, a file that is neither a wheel nor an sdist, and
    what cannot be read.
    """
    return {path: fingerprint(path) if os.path.exists(path) else None for path in paths}


def fingerprint(path: str) -> str:
    """Digest (16 hex digits) of names, executable bits and content, without git's data, caches and former builds."""
    return _digest(_line(entry) for entry in entries(path))


def add(tar: tarfile.TarFile, place: Place) -> None:
    """Put a place into a context.

    Raises BuildFailed when it is gone, cannot be read or has changed since it was asked about.
    """
    lines = []
    try:
        for entry in entries(place.path):
            lines.append(_line(entry))
            info = tarfile.TarInfo(f"{place.into}/{entry.name}")
            info.mtime = EPOCH
            if entry.mode:
                info.mode, info.size = entry.mode, len(entry.content)
                tar.addfile(info, io.BytesIO(entry.content))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, entry.content.decode()
                tar.addfile(info)
    except SalternError as error:
        raise BuildFailed(error.message, where=error.where, hint=error.hint) from error
    if place.digest and _digest(lines) != place.digest:
        raise BuildFailed("it changed after the build had begun", where=place.path, hint="Build again")


def entries(path: str) -> Iterator[Entry]:
    """All files and links of a place in a fixed order. Raises SalternError, see `fingerprints`."""
    root = Path(path)
    try:
        if root.is_dir():
            if not any((root / name).is_file() for name in PROJECT):
                raise SalternError("no Python project lies there", where=path, hint=f"It has none of {_words(PROJECT)}")
            yield from _folder(root)
        elif root.name.endswith(ARCHIVES):
            yield Entry(root.name, 0o644, root.read_bytes())
        else:
            hint = f"Name a folder, or a file that ends in {_words(ARCHIVES)}"
            raise SalternError("neither a checkout, a wheel nor an sdist", where=path, hint=hint)
    except OSError as error:
        raise SalternError(f"cannot be read: {error.strerror}", where=str(error.filename or path)) from error


def _folder(root: Path) -> Iterator[Entry]:
    def broken(error: OSError) -> None:
        raise error

    for directory, folders, names in os.walk(root, onerror=broken):
        here = Path(directory)
        folders[:] = sorted(each for each in folders if not _passed(here / each, root))
        links = [each for each in folders if (here / each).is_symlink()]
        for name in sorted([*names, *links]):
            path = here / name
            mode = path.lstat().st_mode
            inside = path.relative_to(root).as_posix()
            if stat.S_ISLNK(mode):
                yield Entry(inside, 0, os.readlink(path).encode())
            elif stat.S_ISREG(mode) and not name.endswith(".pyc") and inside != ".git":
                yield Entry(inside, 0o755 if mode & 0o100 else 0o644, path.read_bytes())


def _passed(folder: Path, root: Path) -> bool:
    """Whether a folder is no source: git's data, a cache, an environment, what a former build left."""
    on_top = folder.parent == root and (folder.name in _PASSED_ON_TOP or folder.name.endswith(".egg-info"))
    return on_top or folder.name in _PASSED or (folder / "pyvenv.cfg").is_file()


def _line(entry: Entry) -> str:
    return f"{entry.name}\0{entry.mode:o}\0{hashlib.sha256(entry.content).hexdigest()}\n"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:LENGTH]


def _words(names: Iterable[str]) -> str:
    return ", ".join(names)
