"""What is inside an image, read off its exported file system: nothing of the image is executed.

A container is created and never started, its file system is streamed as a tar by the engine and read once: type, mode,
owner, size and (where asked for) the sha256 of every file, and the text of the few that tell which packages are there
(`saltern.host.inside_packages`) or what must not be there (`saltern.host.faults`). Times are left out: they are the one
thing in which two builds of the same inputs may differ.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import ImageMissing
from saltern.host.engine import Engine
from saltern.host.inside_packages import distribution, python

CHUNK = 1 << 16
TEXT_LIMIT = 1 << 22
BIGGEST = 20  # differing files that a comparison names, the rest is counted

# What the engine puts into a container, whatever its image holds.
ENGINES = re.compile(r"^/(?:\.dockerenv|dev/.*|proc/.*|sys/.*|etc/(?:hostname|hosts|resolv\.conf|mtab))$")
TEXTS = re.compile(
    r"^/(?:var/lib/dpkg/status(?:\.d/.*)?|usr/share/saltern/packages/.*|usr/share/doc/[^/]*/copyright"
    r"|.*\.(?:dist-info/METADATA|egg-info/PKG-INFO)"
    r"|etc/(?:apt|yum\.repos\.d|pip|xdg/pip|uv|profile\.d|dpkg)/.*|etc/(?:pip\.conf|environment|profile|yum\.conf|wgetrc)"
    r"|root/\.(?!cache/).*|etc/ssl/certs/ca-certificates\.crt|usr/share/ca-certificates/.*)$"
)
KINDS = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo"}

File = list[Any]  # [type, mode, uid, gid, size, sha256 or link target]


@dataclass(frozen=True)
class Found:
    """A file system as it was read.

    files
        Path → ``[type, mode, uid, gid, size, sha256 | link target]``; type is file, dir, link, device or fifo.
    texts
        Path → content of the files that tell about packages and settings.
    """

    files: dict[str, File] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)


def contents(engine: Engine, reference: str, *, files: bool = True) -> dict[str, Any]:
    """What is inside an image.

    engine
        The Docker Engine that has it.
    reference
        Name or id.
    files
        Whether the files are listed and hashed; the packages come in any case.

    Returns ``{"id", "size", "created", "config": {"user", "env", "cmd", "entrypoint", "labels", …}, "distribution",
    "python", "files"}``, sizes in bytes. Raises ImageMissing when there is no such image.
    """
    inspected = _inspect(engine, reference)
    found = read(engine, inspected["Id"], hashes=files)
    return {
        "id": inspected["Id"],
        "size": int(inspected.get("Size", 0)),
        "created": str(inspected.get("Created", "")),
        "config": config(inspected.get("Config") or {}),
        **packages(found),
        "files": found.files if files else {},
    }


def compared(engine: Engine, a: str, b: str) -> dict[str, Any]:
    """Two images beside each other, in few words: what is equal stays here.

    engine
        The Docker Engine that has both.
    a, b
        Names or ids.

    Returns ``{"a", "b": contents without files, "files": {"added", "removed", "changed": {"count", "bytes",
    "biggest": [[path, former entry or None, entry or None], …]}}}``. Raises ImageMissing.
    """
    one, other = contents(engine, a), contents(engine, b)
    files = files_between(one.pop("files"), other.pop("files"))
    return {"a": one, "b": other, "files": files}


def files_between(a: Mapping[str, File], b: Mapping[str, File]) -> dict[str, Any]:
    """What differs between two listings; ``bytes`` is what differing files weigh, for changed ones the difference."""
    differing: dict[str, list[tuple[str, File | None, File | None]]] = {
        "added": [(path, None, b[path]) for path in b if path not in a],
        "removed": [(path, a[path], None) for path in a if path not in b],
        "changed": [(path, a[path], b[path]) for path in a if path in b and list(a[path]) != list(b[path])],
    }
    found = {}
    for kind, entries in differing.items():
        entries.sort(key=lambda each: (-max(_size(each[1]), _size(each[2])), each[0]))
        weight = sum(_size(new) - _size(old) if kind == "changed" else _size(old or new) for _, old, new in entries)
        found[kind] = {"count": len(entries), "bytes": weight, "biggest": [list(each) for each in entries[:BIGGEST]]}
    return found


def _size(entry: File | None) -> int:
    return int(entry[4]) if entry else 0


def packages(found: Found) -> dict[str, dict[str, dict[str, str]]]:
    """``{"distribution", "python"}``: name → ``{"version", "license"}``."""
    links = {path: str(entry[5]) for path, entry in found.files.items() if entry[0] == "link"}
    return {"distribution": distribution(found.texts, links), "python": python(found.texts)}


def config(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An image's configuration as far as it decides what a container does."""
    found: dict[str, Any] = {
        "user": raw.get("User") or "",
        "env": sorted(raw.get("Env") or ()),
        "cmd": raw.get("Cmd"),
        "entrypoint": raw.get("Entrypoint"),
        "labels": dict(raw.get("Labels") or {}),
    }
    further = {"workdir": "WorkingDir", "volumes": "Volumes", "ports": "ExposedPorts", "stop_signal": "StopSignal"}
    return found | {name: raw[key] for name, key in further.items() if raw.get(key)}


def read(engine: Engine, image: str, *, hashes: bool) -> Found:
    """An image's file system.

    engine
        The Docker Engine that has it.
    image
        Name or id.
    hashes
        Whether the content of every file is digested; without, the last element of a file's entry is empty.
    """
    # a command is asked for even where nothing is started
    body = {"Image": image, "Entrypoint": ["-"], "Cmd": ["-"], "NetworkDisabled": True}
    container = str(engine.call("create", lambda api: api.create_container_from_config(body, None))["Id"])
    try:
        return engine.call(f"read {image}", lambda api: walk(api.export(container, chunk_size=CHUNK), hashes=hashes))
    finally:
        engine.remove(container, force=True)


def walk(chunks: Iterable[bytes], *, hashes: bool) -> Found:
    """Read a tar as it comes.

    chunks
        The tar, in pieces of any size.
    hashes
        As for :func:`read`.
    """
    found = Found()
    # a reader of bigger blocks is slower: tarfile copies the rest of a block for each header
    stream: Any = _Pieces(chunks)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, errors="surrogateescape") as tar:
        for member in tar:
            setattr(tar, "members", [])  # noqa: B010  # it would keep them all, and its type does not name them
            path = "/" + member.name.strip("/").removeprefix("./")
            if not ENGINES.match(path) and path not in ("/", "/."):
                found.files[path] = _entry(tar, member, path, found, hashes)
    return found


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, found: Found, hashes: bool) -> File:
    kind = "file" if member.isreg() or member.islnk() else KINDS.get(member.type, "device")
    entry: File = [kind, member.mode & 0o7777, member.uid, member.gid, 0, ""]
    if member.issym():
        entry[1], entry[5] = 0o777, member.linkname
    elif member.islnk():  # another name of a file that came before
        first = found.files.get("/" + member.linkname.strip("/").removeprefix("./"))
        entry[4:] = first[4:] if first else [0, ""]
    elif member.isreg():
        wanted = bool(TEXTS.match(path)) and member.size <= TEXT_LIMIT
        entry[4] = member.size
        if wanted or hashes:
            entry[5] = _take(tar.extractfile(member), path if wanted else None, found, hashes)
    return entry


def _take(file: Any, path: str | None, found: Found, hashes: bool) -> str:
    digest, kept = hashlib.sha256(), []
    while chunk := file.read(1 << 20):
        if hashes:
            digest.update(chunk)
        if path is not None:
            kept.append(chunk)
    if path is not None:
        found.texts[path] = b"".join(kept)
    return digest.hexdigest() if hashes else ""


class _Pieces:
    """A file to read from out of pieces of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        taken = [self._rest]
        have = len(self._rest)
        while have < size and (chunk := next(self._chunks, b"")):
            taken.append(chunk)
            have += len(chunk)
        data = b"".join(taken)
        self._rest = data[size:]
        return data[:size]


def _inspect(engine: Engine, reference: str) -> dict[str, Any]:
    found = engine.inspect_image(reference)
    if found is None:
        raise ImageMissing(
            "there is no such image on this host", where=reference, hint="Look: salt-run openstack.images"
        )
    return found
