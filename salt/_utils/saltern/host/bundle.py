"""Images as files: a bundle that carries them to hosts and clouds without a registry.

A bundle is a directory: ``manifest.json`` says which images, ``images.tar`` holds them as ``docker save`` writes them
(layers that they share once), ``SHA256SUMS`` is what ``sha256sum -c`` takes. It appears whole or not at all.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from saltern.contract.errors import ImageMissing, SalternError
from saltern.host.build import listing, remove
from saltern.host.build import tag as name_image
from saltern.host.engine import Engine, image_ids
from saltern.host.imagelock import making
from saltern.host.registry import TransferFailed, failed
from saltern.host.store import private_directory, write_bytes

FORMAT = 1
MANIFEST, SUMS, ARCHIVE = "manifest.json", "SHA256SUMS", "images.tar"
CHUNK = 1 << 20


def save(
    engine: Engine,
    references: Iterable[str],
    folder: Path,
    *,
    release: str,
    extra: Mapping[str, Any],
    compress: bool = False,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Write a bundle.

    engine
        The engine that has the images.
    references
        Which ones.
    folder
        The bundle's directory; must not be there yet.
    release
        What they are images of.
    extra
        Further keys of the manifest: what the master remembers of the images.
    compress
        gzip the archive: a third of the size, several times the seconds.

    Returns the manifest. Raises ImageMissing, SalternError (disk full, folder exists).
    """
    wanted = list(references)
    images = _described(engine, wanted)
    if folder.exists():
        raise SalternError("it is there already", where=str(folder), hint="Name another path, or remove it")
    private_directory(folder.parent)
    owner = folder.parent.stat()
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of an export that was killed
    try:
        part.mkdir(mode=0o700)
        name = f"{ARCHIVE}.gz" if compress else ARCHIVE
        _archive(engine, wanted, part / name, compress)
        files = {name: {"sha256": checksum(part / name), "size": (part / name).stat().st_size}}
        manifest = {
            "format": FORMAT,
            "release": release,
            "made": round(now()),
            "images": images,
            "files": files,
            **extra,
        }
        write_bytes(part / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n")
        sums = "".join(f"{checksum(part / each)}  {each}\n" for each in (MANIFEST, name))
        write_bytes(part / SUMS, sums.encode())
        for path in (*part.iterdir(), part):  # the master may be another user than this minion
            os.chown(path, owner.st_uid, owner.st_gid)
        part.rename(folder)
    except OSError as error:
        raise SalternError(
            f"cannot be written: {error.strerror or error}", where=str(folder), hint="Is there space on the disk?"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def load(
    engine: Engine,
    archive: Callable[[], Path],
    wanted: Mapping[str, str],
    *,
    locks: Path,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, dict[str, Any]]:
    """Load an archive when an image is missing, and give the images their names.

    engine
        The engine that gets them.
    archive
        Brings the file; called only when it is needed.
    wanted
        Reference on this host → image id.
    locks
        The host's directory of locks.

    Returns reference → ``{"result": "loaded" | "there" | "failed", "id", "seconds"}``, a failed one with ``error`` and
    ``hint``; ``seconds`` are those of the whole archive, fetching it among them. Raises TransferFailed when the engine
    does not take the archive.
    """
    began = clock()
    before = image_ids(engine.images())
    lacking = {reference for reference, image in wanted.items() if image not in before}
    with making(locks):
        brought: list[str] = []
        if lacking:
            with open(archive(), "rb") as file:
                brought = _load(engine, file)
        after = image_ids(engine.images()) if lacking else before
        found: dict[str, dict[str, Any]] = {}
        for reference, image in wanted.items():
            if image not in after:
                hint = "Export it again: the archive holds another image than its manifest says"
                found[reference] = {"result": "failed", "error": f"{reference} did not come out of it", "hint": hint}
                continue
            if after.get(reference) != image:
                name_image(engine, image, reference)
            found[reference] = {"result": "loaded" if reference in lacking else "there", "id": image}
            if reference in lacking:
                found[reference]["seconds"] = round(clock() - began, 1)
        for name in brought:  # other clouds' names, and images that this host does not need
            if name not in wanted and name not in before:
                remove(engine, name)
    return found


def checksum(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _described(engine: Engine, references: list[str]) -> list[dict[str, Any]]:
    by_tag = {tag: each for each in listing(engine) for tag in each["tags"]}
    missing = [reference for reference in references if reference not in by_tag]
    if missing:
        raise ImageMissing(
            f"not on this host: {', '.join(missing)}", where="export", hint="Build them: salt-run openstack.build"
        )
    keys = ("image", "id", "inputs", "size")
    return [{"reference": each, **{key: by_tag[each][key] for key in keys}} for each in references]


def _archive(engine: Engine, references: list[str], path: Path, compress: bool) -> None:
    def write(api: Any) -> None:
        # docker-py's get_image takes one name; several in one request share their layers in the archive
        answer = api._get(api._url("/images/get"), params={"names": references}, stream=True)
        api._raise_for_status(answer)
        with gzip.open(path, "wb", compresslevel=3) if compress else open(path, "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)

    try:
        engine.call("save images", write)
    except SalternError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno:
            raise cause from None  # this disk's, not the engine's
        raise
    os.chmod(path, 0o600)


def _load(engine: Engine, file: IO[bytes]) -> list[str]:
    """Names that the archive brought."""
    names = []

    def read(api: Any) -> None:
        for message in api.load_image(file):
            if message.get("error") or message.get("errorDetail"):
                raise failed(str((message.get("errorDetail") or {}).get("message") or message.get("error")))
            head, colon, name = str(message.get("stream") or "").strip().partition("Loaded image: ")
            if colon and not head:
                names.append(name)

    try:
        engine.call("load images", read)
    except TransferFailed as error:
        error.where = "load images"
        raise
    return names
