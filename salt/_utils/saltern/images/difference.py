"""What differs between two images, for a person: packages first, then configuration, then files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from saltern.images.options import Options

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")


def reference(text: str, options: Options) -> str:
    """The image that somebody means: a reference or an id as it is, a name of the tree in the release that is built.

    >>> reference("keystone", Options(release="2025.2")), reference("example/x:1", Options())
    ('saltern/keystone:2025.2', 'example/x:1')
    """
    return text if ":" in text or "/" in text or _ID.fullmatch(text) else options.reference(text)


def difference(compared: Mapping[str, Any]) -> dict[str, Any]:
    """Two images beside each other.

    compared
        ``{"a", "b", "files"}`` (`saltern.host.inside.compared`).

    Returns ``{"a", "b": {"id", "size"}, "packages": {"distribution", "python": {"added", "removed": [[name, version]],
    "changed": [[name, former, new]]}}, "config": [[field, former, new]], "files", "same"}``; ``same`` is true when
    nothing but times and ids differs.
    """
    a, b = compared["a"], compared["b"]
    packages = {kind: packages_between(a[kind], b[kind]) for kind in ("distribution", "python")}
    configured = config_between(a["config"], b["config"])
    different = [
        *configured,
        *(entry for found in packages.values() for entries in found.values() for entry in entries),
        *(kind for kind, found in compared["files"].items() if found["count"]),
    ]
    return {
        "a": {"id": a["id"], "size": a["size"]},
        "b": {"id": b["id"], "size": b["size"]},
        "packages": packages,
        "config": configured,
        "files": dict(compared["files"]),
        "same": not different,
    }


def packages_between(a: Mapping[str, Mapping[str, str]], b: Mapping[str, Mapping[str, str]]) -> dict[str, list[Any]]:
    """Packages added, removed and changed in version."""
    return {
        "added": [[name, b[name]["version"]] for name in sorted(b.keys() - a.keys())],
        "removed": [[name, a[name]["version"]] for name in sorted(a.keys() - b.keys())],
        "changed": [
            [name, a[name]["version"], b[name]["version"]]
            for name in sorted(a.keys() & b.keys())
            if a[name]["version"] != b[name]["version"]
        ],
    }


def config_between(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[list[Any]]:
    """``[field, former, new]`` of what differs; environment and labels one by one, None for what is not there."""
    found = []
    for field in sorted(a.keys() | b.keys()):
        former, new = _split(field, a.get(field)), _split(field, b.get(field))
        found += [
            [name, former.get(name), new.get(name)]
            for name in sorted(former.keys() | new.keys())
            if former.get(name) != new.get(name)
        ]
    return found


def _split(field: str, value: Any) -> dict[str, Any]:
    if field == "env":
        return {f"env {name}": text for name, _, text in (each.partition("=") for each in value or ())}
    if field == "labels":
        return {f"label {name}": text for name, text in (value or {}).items()}
    return {field: value}
