"""Configuration of a container on the host: one directory per digest, mounted read-only into it.

``config/<container>/<digest>/`` holds ``config.json`` (the public kolla_start contract) and one file per entry. The
digest covers what makes a new container necessary: the process, the list of files, and the content of the files with
``on_change: recreate``. Files with ``on_change: reload`` are rewritten in place. A swap always has a directory for the
new container and one for the former, so the way back has its own files: where only files of the second kind differ (and
something else makes the new container necessary), the new one's is named ``<digest>-<config digest>``.

Beside a directory lies ``<digest>.masked.json``: its text without secrets, as known when it was written. Diffs are
shown from that, so that a password that has been replaced does not appear as "the old line".
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from saltern.contract.digests import digest as digest_of
from saltern.contract.errors import SalternError
from saltern.contract.masking import MASK, SHORTEST
from saltern.host import store as storage
from saltern.host.spec import CONFIG_TARGET, Spec

FILE_MODE = 0o400
DIRECTORY_MODE = 0o750


def has_config(spec: Spec) -> bool:
    """Whether a container gets a configuration directory at all."""
    return bool(spec.get("process") or spec.get("files"))


def reloads(spec: Spec) -> bool:
    """Whether any of its files can change without a new container."""
    return any(file.get("on_change") == "reload" for file in spec.get("files") or [])


def directory_digest(spec: Spec) -> str:
    """Name of the mounted directory: changes when the container must be replaced, not when it can be reloaded."""
    files = [_described(f, content=f.get("on_change") != "reload") for f in spec.get("files") or []]
    owner = [int(spec.get("uid") or 0), int(spec.get("gid") or 0)]
    return digest_of({"process": spec.get("process"), "files": files, "owner": owner})


def config_digest(spec: Spec) -> str:
    """Digest over all files, which records what a running process has loaded."""
    return digest_of({"process": spec.get("process"), "files": [_described(f) for f in spec.get("files") or []]})


def without_content(spec: Spec) -> Spec:
    """The spec as it may be written down: files by digest, as their text may hold secrets."""
    files = [
        {**{k: v for k, v in f.items() if k != "content"}, "digest": digest_of(f.get("content"))} for f in _all(spec)
    ]
    return {**spec, "files": files}


def directory(config_root: Path, spec: Spec, used: str | None = None) -> Path | None:
    """Where the container's configuration lies; None when it has none.

    used
        Name of the directory that is committed: it goes on being used while its digest is what is wanted.
    """
    if not has_config(spec):
        return None
    wanted = directory_digest(spec)
    fits = used is not None and used.partition("-")[0] == wanted
    return config_root / str(spec["name"]) / (used if used and fits else wanted)


def directory_beside(target: Path, spec: Spec) -> Path:
    """Another directory for the same digest: for a new container while the former one still needs ``target``."""
    name = f"{directory_digest(spec)}-{config_digest(spec)}"
    return target.with_name(name if name != target.name else directory_digest(spec))


def manifest(spec: Spec) -> dict[str, Any]:
    """``config.json`` of the kolla_start contract."""
    entries = [
        {
            "source": f"{CONFIG_TARGET}/{file['name']}",
            "dest": file["dest"],
            "owner": file["owner"],
            "perm": file["mode"],
            **({"optional": True} if file.get("optional") else {}),
        }
        for file in spec.get("files") or []
    ]
    return {"command": spec.get("process") or "", "config_files": entries}


def contents(spec: Spec) -> dict[str, bytes]:
    """Every file of the directory: relative path → content. Raises SalternError for a name that leaves it."""
    made = {"config.json": json.dumps(manifest(spec), indent=1, sort_keys=True).encode() + b"\n"}
    for file in spec.get("files") or []:
        if file.get("content") is not None:
            made[_safe(file["name"], spec["name"])] = file["content"].encode()
    return made


def write(config_root: Path, spec: Spec, secrets: Iterable[str] = (), *, target: Path | None = None) -> Path | None:
    """Write the directory, or mend it where a file is missing or differs; returns it.

    config_root
        ``Store.config``.
    spec
        The container, with the content of its files.
    secrets
        Values to leave out of the masked copy.
    target
        The directory, where it is another than that of the spec alone.

    Raises SalternError when the disk does not take it.
    """
    target = target or directory(config_root, spec)
    if target is None:
        return None
    storage.private_directory(target.parent)
    wanted = contents(spec)
    _write_masked(target, spec, secrets)
    if target.is_dir():
        _mend(target, wanted, spec)
        return target
    staging = target.with_name(f".{target.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    _make(staging, spec)
    for name in wanted:
        _put(staging, name, wanted[name], spec)
    os.rename(staging, target)
    return target


def intact(target: Path | None, spec: Spec) -> bool:
    """Whether a directory holds what the spec says, content and mode; None has nothing to hold."""
    return target is None or all(_same(target / name, data) for name, data in contents(spec).items())


def read_back(target: Path, spec: Spec) -> dict[str, bytes]:
    """What the files that a reload may change hold now: the way back of a reload that fails."""
    found = {}
    for file in spec.get("files") or []:
        if file.get("on_change") == "reload":
            with contextlib.suppress(OSError):
                found[file["name"]] = (target / _safe(file["name"], spec["name"])).read_bytes()
    return found


def restore(target: Path, former: dict[str, bytes], shown: dict[str, str], spec: Spec) -> None:
    """Put back what :func:`read_back` kept, and the masked text (:func:`masked`) that belongs to it."""
    for name, data in former.items():
        _put(target, name, data, spec)
    storage.write(_masked_path(target), shown)


def prune(config_root: Path, name: str, keep: Iterable[str]) -> None:
    """Remove a container's directories except those named; without any left, its own too."""
    kept, top = set(keep), config_root / name
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(top.iterdir()):
            if entry.name.removesuffix(".masked.json") in kept:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
        if not kept:
            top.rmdir()


def owners(config_root: Path) -> list[str]:
    """Containers that have a configuration on this host."""
    try:
        return sorted(entry.name for entry in config_root.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []


def masked(config_root: Path, name: str, digest: str) -> dict[str, str]:
    """The text of a directory's files without secrets, as it was written; empty when that is not known."""
    try:
        return storage.read(config_root / name / f"{digest}.masked.json") or {}
    except SalternError:
        return {}


def mask_lines(text: str, secrets: Iterable[str]) -> str:
    """As `contract.masking.mask`, but line n stays line n where a secret spans several lines (a key in PEM)."""
    for secret in sorted({s for s in secrets if len(s) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, MASK + ("\n" + MASK) * secret.count("\n"))
    return text


def _all(spec: Spec) -> list[dict[str, Any]]:
    return list(spec.get("files") or [])


def _described(file: dict[str, Any], *, content: bool = True) -> list[Any]:
    fields = [file["name"], file["dest"], file["owner"], file["mode"], bool(file.get("optional"))]
    return [*fields, file.get("content") if content else None]


def _safe(name: str, container: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == "config.json":
        raise SalternError(f"{name!r} cannot be the name of a configuration file", where=container)
    return str(path)


def _make(path: Path, spec: Spec) -> None:
    path.mkdir(mode=DIRECTORY_MODE)
    os.chmod(path, DIRECTORY_MODE)
    os.chown(path, 0, int(spec.get("gid") or 0))


def _put(target: Path, name: str, data: bytes, spec: Spec) -> None:
    path = target
    for part in PurePosixPath(name).parts[:-1]:
        path = path / part
        if not path.is_dir():
            _make(path, spec)
    owner = {"uid": int(spec.get("uid") or 0), "gid": int(spec.get("gid") or 0)}
    storage.write_bytes(target / name, data, mode=FILE_MODE, **owner)


def _mend(target: Path, wanted: dict[str, bytes], spec: Spec) -> None:
    for name, data in wanted.items():
        if not _same(target / name, data):
            _put(target, name, data, spec)


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data and path.stat().st_mode & 0o777 == FILE_MODE
    except OSError:
        return False


def _write_masked(target: Path, spec: Spec, secrets: Iterable[str]) -> None:
    values = list(secrets)
    text = {f["name"]: mask_lines(f["content"], values) for f in _all(spec) if f.get("content") is not None}
    if masked(target.parent.parent, spec["name"], target.name) != text:
        storage.write(_masked_path(target), text)


def _masked_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.masked.json")
