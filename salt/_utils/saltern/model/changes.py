"""What the operator wrote, key by key, and what differs between two models: the first lines of a plan.

Secrets are kept as keyed hashes only: enough to say that one changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract import digests
from saltern.model.problems import sensitive
from saltern.model.sources import Path, Sources, text_of

UNSET = "unset"


def flatten(tree: Mapping[str, Any], sources: Sources, key: bytes) -> dict[str, Any]:
    """Every leaf of the operator's tree: its value, or the hash of a secret one, and where it stands.

    tree
        What stands below ``openstack:``.
    key
        The master's key for hashes.
    """
    found: dict[str, Any] = {}
    _flatten(tree, ("openstack",), sources, key, found)
    return found


def _flatten(value: Any, path: Path, sources: Sources, key: bytes, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            _flatten(below, (*path, str(name)), sources, key, found)
        return
    where = sources.locate(path)
    entry: dict[str, Any] = {"file": where.file, "line": where.line}
    if sensitive(path):
        entry["secret"] = digests.keyed(key, value)
    else:
        entry["value"] = value
    found[text_of(path)] = entry


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Keys that differ between two flattened trees.

    Each is ``{"key", "file", "line", "old", "new"}``; ``old`` and ``new`` are texts, never secrets.
    """
    found = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if _content(before) != _content(after):
            place = after or before or {}
            found.append(
                {
                    "key": key,
                    "file": place.get("file"),
                    "line": place.get("line"),
                    "old": _shown(before),
                    "new": _shown(after),
                }
            )
    return found


def _content(entry: Mapping[str, Any] | None) -> Any:
    return None if entry is None else (entry.get("secret"), entry.get("value"), "value" in entry)


def _shown(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return UNSET
    return "(secret)" if "secret" in entry else str(entry["value"])
