"""Whether a lock is one of its release.

A release's ``constraints.txt`` has one version per package. A lock that names another one was resolved for another
release, or edited by hand on one side only: the services of one release would run with different versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from saltern.contract.errors import SalternError
from saltern.images.causes import versions
from saltern.images.tree import Image

CONSTRAINTS = "constraints.txt"


def check(images: Iterable[Image], folder: Path) -> None:
    """Compare all locks of a release that images copy with its constraints.

    images
        Those that are to be brought up to date.
    folder
        The folder of all images, for the place that is told.

    Raises SalternError with file and line for the first version that differs. Packages that the constraints do not name
    (build tools) may have any version.
    """
    seen: set[Path] = set()
    known: dict[Path, dict[str, str]] = {}
    for image in images:
        for path, file in image.files.items():
            constraints = file.source.with_name(CONSTRAINTS)
            if not path.startswith("locks/") or file.source in seen or not constraints.is_file():
                continue
            seen.add(file.source)
            if constraints not in known:
                known[constraints] = _normal(versions(constraints.read_text()))
            _check(file.source, constraints, known[constraints], folder)


def _check(lock: Path, constraints: Path, known: dict[str, str], folder: Path) -> None:
    release = lock.parent.name
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        for name, version in _normal(versions(line)).items():
            if known.get(name, version) != version:
                raise SalternError(
                    f"{name} {version} is not the one of {release}: {constraints.name} has {known[name]}",
                    where=f"{_shown(lock, folder)}:{number}",
                    hint=f"Resolve the locks again: images/locks/compile {release}",
                )


def _normal(found: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").replace(".", "-"): version for name, version in found.items()}


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder.parent) if path.is_relative_to(folder.parent) else path)
