"""What a build has done, as the verb's data: an entry per image, and sizes with shared layers counted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saltern.contract.errors import BuildFailed
from saltern.images.decide import Listing, Survey, Todo
from saltern.images.record import Record
from saltern.images.schedule import Outcome
from saltern.images.tree import Image, Tree

Made = dict[str, Any]
KINDS = ("built", "tagged", "unchanged", "failed", "blocked")


def summary(
    tree: Tree,
    found: Survey,
    listings: Mapping[str, Listing],
    outcome: Outcome[Made],
    record: Record,
    pushed: Mapping[str, Mapping[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    """The data of the verb ``build``.

    tree, found, listings, outcome, record
        What there was, and what came of it.
    pushed
        image → ``{"digest", "layers_pushed"}``, or a failure's ``{"error", "where", "hint"}``.
    seconds
        How long all of it took.
    """
    sizes = {tag: each["size"] for listing in listings.values() for each in listing for tag in each["tags"]}
    sizes |= {i.reference: outcome.done[n]["size"] for n, i in tree.images.items() if "size" in outcome.done.get(n, {})}
    by_id = {each["id"]: each["size"] for listing in listings.values() for each in listing}
    entries = []
    for name, todo in found.todo.items():
        image = todo.image
        if todo.action == "tag":
            sizes[image.reference] = by_id.get(todo.id, 0)
        entry = {
            "image": name,
            "reference": image.reference,
            "inputs": image.inputs,
            "reason": todo.reason,
            "cause": [{"image": each, "changes": list(changes)} for each, changes in todo.origins.items()],
            "shipped": not image.build_only,
            "size": sizes.get(image.reference),
            "own": own_size(tree, image, sizes),
            "seconds": None,
            **_result(todo, outcome, [each[name] for each in found.at.values()]),
        }
        entries.append(entry | _remembered(entry, record, outcome, pushed.get(name)))
    kinds = [entry["result"] for entry in entries]
    not_pushed = [entry for entry in entries if "error" in entry.get("push", {})]
    return {
        "kind": "build",
        "release": tree.options.release,
        "type": tree.options.type,
        "distro": tree.options.distro,
        "images": entries,
        "unique": unique_size(tree, [e["image"] for e in entries if e["shipped"]], sizes),
        "seconds": round(seconds, 1),
        "counts": {kind: kinds.count(kind) for kind in KINDS},
        "retcode": 1 if "failed" in kinds or not_pushed else 0,
    }


def _result(todo: Todo, outcome: Outcome[Made], everywhere: Iterable[Todo]) -> dict[str, Any]:
    name = todo.image.name
    if todo.action == "unchanged":
        return {"result": "unchanged", "id": todo.id}
    if name in outcome.failed:
        blocks = sorted(other for other, origin in outcome.blocked.items() if origin == name)
        return {"result": "failed", **failure(outcome.failed[name]), "blocks": blocks}
    if name in outcome.blocked:
        return {"result": "blocked", "by": outcome.blocked[name]}
    if name not in outcome.done:  # a builder's own image, which no other builder had need of after all
        there = [each.id for each in everywhere if each.action == "unchanged"]
        return {"result": "unchanged", "id": there[0]} if there else {"result": "blocked", "by": "its builder"}
    made = outcome.done[name]
    result = {"result": "tagged" if todo.action == "tag" else "built", "id": made["id"], "seconds": made["seconds"]}
    return {**result, "notes": list(made["notes"])} if made.get("notes") else result


def failure(error: Exception) -> dict[str, Any]:
    """An error as plain data: ``error``, ``where``, ``hint``, ``log``."""
    return {
        "error": error.message if isinstance(error, BuildFailed) else str(error),
        "where": getattr(error, "where", ""),
        "hint": getattr(error, "hint", ""),
        "log": list(getattr(error, "log", [])),
    }


def _remembered(
    entry: Mapping[str, Any], record: Record, outcome: Outcome[Made], pushed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Layers, manifest and builder, as far as they are known for just this image."""
    last = record.builds.get(entry["reference"]) or {}
    known = last if entry.get("id") and last.get("id") == entry["id"] else {}
    found: dict[str, Any] = {key: known[key] for key in ("layers", "digest") if known.get(key)}
    if place := outcome.places.get(entry["image"]):
        found["builder"] = place
    if pushed is not None:
        found["push"] = dict(pushed)
    return found


def own_size(tree: Tree, image: Image, sizes: Mapping[str, int]) -> int | None:
    """Bytes that an image adds to the one it continues; ``sizes`` by reference."""
    size = sizes.get(image.reference)
    below = sizes.get(tree.images[image.base].reference, 0) if image.base else 0
    return None if size is None else size - below


def unique_size(tree: Tree, names: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Bytes that a set of images takes on a host, layers that they share counted once."""
    needed = {layer for name in names for layer in tree.layers_of(name)}
    return sum(own_size(tree, tree.images[name], sizes) or 0 for name in needed)
