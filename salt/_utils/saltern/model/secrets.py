"""Make the secrets that services declare and the operator does not have yet.

They go into ``openstack/secrets.sls``, mode 0600, in one atomic replacement; a value that is there is never changed,
and no value leaves this module.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import string
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from saltern.contract.errors import SalternError
from saltern.model.services import Services
from saltern.model.sources import load_marked
from saltern.model.tree import Tree, is_plain

FILE = "secrets.sls"
LENGTH = 40
HEADER = (
    "# Made by salt-run openstack.secrets_generate, which never changes a value that is there. Keep it out of git.\n"
)
_ALPHABET = string.ascii_letters + string.digits


def _password(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


KINDS: dict[str, Callable[[int], str]] = {
    "password": _password,
    "hex": lambda length: secrets.token_hex((length + 1) // 2)[:length],
    "fernet": lambda length: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "uuid": lambda length: str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
}


def make(spec: Mapping[str, Any]) -> str | list[str]:
    """A new value for a declared secret: a text, or a list of ``count``."""
    maker, length = KINDS[spec["kind"]], spec.get("length", LENGTH)
    if "count" in spec:
        return [maker(length) for _ in range(spec["count"])]
    return maker(length)


def generate(pillar_roots: list[Path], tree: Tree, services: Services) -> dict[str, Any]:
    """Make what is missing. Gives ``{"made": [names], "file": path}``.

    pillar_roots
        The first one gets the file, in ``openstack/``.
    tree
        The operator's tree; its secrets are kept. Secrets are declared by every service, enabled or not.

    Raises SalternError when the tree or the file cannot be read, so that nothing is made twice.
    """
    if not pillar_roots:
        raise SalternError("the master has no pillar_roots", hint="Set pillar_roots in the master's configuration")
    folder = pillar_roots[0] / "openstack"
    if not folder.is_dir():
        raise SalternError("no such folder", where=str(folder), hint="Copy one of pillar/examples there first")
    if tree.problems:  # a file that does not render may hold secrets that would be made a second time
        first = tree.problems[0]
        place = f"{first.file}:{first.line}" if first.line else first.file
        raise SalternError(f"expected {first.expected}, found {first.found}", where=place, hint="Mend it first")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return _generate(folder / FILE, tree, services)
    finally:
        os.close(descriptor)


def _generate(path: Path, tree: Tree, services: Services) -> dict[str, Any]:
    kept = _read(path)
    there = {**(tree.data.get("secrets") or {}), **kept["openstack"]["secrets"]}
    declared = {name: spec for service in services.services.values() for name, spec in service.secrets.items()}
    made = [name for name in declared if name not in there]
    if made:
        kept["openstack"]["secrets"] |= {name: make(declared[name]) for name in made}
        _replace(path, HEADER + yaml.safe_dump(kept, default_flow_style=False, sort_keys=True, width=1000))
    return {"made": made, "file": str(path)}


def _read(path: Path) -> dict[str, Any]:
    """What the file holds; it must be plain YAML, as it is written anew."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"openstack": {"secrets": {}}}
    marked = load_marked(text, str(path))
    if not is_plain(text) or marked.problems:
        raise SalternError(
            "it is no plain YAML", where=str(path), hint=f"Rename it: {FILE} is the one that Saltern writes"
        )
    data = marked.data if isinstance(marked.data, dict) else {}
    tree = data.get("openstack") if isinstance(data.get("openstack"), dict) else {}
    found = (tree or {}).get("secrets")
    return {**data, "openstack": {**(tree or {}), "secrets": dict(found) if isinstance(found, dict) else {}}}


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename: a reader sees the old or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            known = path.stat()
            os.chown(name, known.st_uid, known.st_gid)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
