"""Bundles on the master: checked to the last byte before anything happens, then published to the hosts.

The archive is served from a saltenv of its own; what lies there goes when the import is over.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host.bundle import FORMAT, MANIFEST, SUMS, checksum
from saltern.host.store import private_directory, read, write_bytes
from saltern.images.record import read_record, write_record

SERVED = "bundles-served"  # below the master's state root: the saltenv ``saltern_bundle``
AGAIN = "Copy the bundle again, or export it again"
_SUM = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read; ``archive`` is its file, ``sha256`` that file's."""

    folder: Path
    manifest: Mapping[str, Any]
    archive: Path
    sha256: str

    @property
    def release(self) -> str:
        """What it holds images of."""
        return str(self.manifest["release"])

    @property
    def images(self) -> list[dict[str, Any]]:
        """``{"reference", "image", "id", "inputs", "size"}`` of each image."""
        return list(self.manifest["images"])


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte of it. Raises SalternError; nothing has been changed then."""
    sums = _sums(folder / SUMS)
    for name, expected in sums.items():
        path = folder / name
        try:
            found = checksum(path)
        except OSError as error:
            raise SalternError(f"cannot be read: {error.strerror}", where=str(path), hint=AGAIN) from error
        if found != expected:
            raise SalternError(
                f"is not what was exported: its checksum differs from {SUMS}", where=str(path), hint=AGAIN
            )
    if MANIFEST not in sums:
        raise SalternError(f"does not list {MANIFEST}", where=str(folder / SUMS), hint=AGAIN)
    manifest = read(folder / MANIFEST) or {}
    if manifest.get("format") != FORMAT:
        raise SalternError(
            f"format {manifest.get('format')!r} of bundles is not known here, only {FORMAT}",
            where=str(folder / MANIFEST),
            hint="Import it by the version of Saltern that exported it, or a newer one",
        )
    files = manifest.get("files") or {}
    name = next(iter(files), "")
    if len(files) != 1 or sums.get(name) != files[name].get("sha256") or not manifest.get("images"):
        raise SalternError(f"does not fit to {SUMS}", where=str(folder / MANIFEST), hint=AGAIN)
    return Bundle(folder, manifest, folder / name, sums[name])


def publish(bundle: Bundle, state: Path) -> str:
    """Put the archive where hosts can fetch it; its name there. Raises SalternError: disk full, it has changed."""
    name = f"{secrets.token_hex(8)}-{bundle.archive.name}"
    target = state / SERVED / name
    try:
        private_directory(target.parent)
        try:
            os.link(bundle.archive, target)
        except OSError:  # another file system, or another owner's file
            shutil.copyfile(bundle.archive, target)
        if checksum(target) != bundle.sha256:
            raise SalternError("it has changed while it was read", where=str(bundle.archive), hint=AGAIN)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise SalternError(
            f"cannot be written: {error.strerror}", where=str(target), hint="Is there space on the disk?"
        ) from error
    except SalternError:
        target.unlink(missing_ok=True)
        raise
    return name


def withdraw(name: str, state: Path) -> None:
    """The archive is no longer served."""
    (state / SERVED / name).unlink(missing_ok=True)


def names_here(bundle: Bundle, reference_of: Callable[[str], str]) -> dict[str, str]:
    """What this cloud calls the bundle's images: its own reference → id.

    reference_of
        Name in the tree of images → reference.
    """
    return {reference_of(each["image"]): each["id"] for each in bundle.images}


def needed_by(there: Mapping[str, str], references: list[str]) -> dict[str, str]:
    """Those of the bundle's images that a host needs, whatever their tags.

    there
        From :func:`names_here`.
    references
        What the host's slice needs.
    """
    wanted = {reference.rpartition(":")[0] for reference in references}
    return {reference: image for reference, image in there.items() if reference.rpartition(":")[0] in wanted}


def remember(bundle: Bundle, state: Path, reference_of: Callable[[str], str]) -> None:
    """Write down what the bundle says of its images, so that the next build knows them and leaves them alone."""
    record = read_record(state)
    told = bundle.manifest.get("records") or {}
    for each in bundle.images:
        reference = reference_of(each["image"])
        if record.builds.get(reference, {}).get("id") == each["id"]:
            continue
        known = {key: value for key, value in (told.get(each["reference"]) or {}).items() if key != "digest"}
        base = {
            "inputs": each["inputs"],
            "parts": {},
            "id": each["id"],
            "size": each["size"],
            "at": bundle.manifest["made"],
        }
        # the record of the other master may be of a later build than the image that it exported
        record.builds[reference] = {**base, **(known if known.get("id") == each["id"] else {})}
    for image, packages in (bundle.manifest.get("packages") or {}).items():
        record.packages.setdefault(image, packages)
    write_record(state, record)


class Proof:
    """Finds out whether a minion runs on this machine: it is shown a file and says whether it can read it.

    parent
        Directory in which the file is made for the time of the question.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / f".here-{secrets.token_hex(8)}"
        self._content = secrets.token_bytes(32)

    def __enter__(self) -> dict[str, str]:
        write_bytes(self.path, self._content)
        return {"path": str(self.path), "sha256": hashlib.sha256(self._content).hexdigest()}

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def _sums(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        hint = "Name the directory that openstack.images_export has made"
        raise SalternError(f"is no bundle: {SUMS} cannot be read", where=str(path.parent), hint=hint) from error
    found = {match[2]: match[1] for line in lines if (match := _SUM.fullmatch(line))}
    if len(found) != len(lines):
        raise SalternError("has a line that is no checksum", where=str(path), hint=AGAIN)
    return found


def extra(state: Path, references: list[str]) -> dict[str, Any]:
    """What the manifest tells another master: ``records`` of the builds, ``packages`` of the last refresh."""
    record = read_record(state)
    records = {each: record.builds[each] for each in references if each in record.builds}
    return {"records": records, "packages": record.packages}
