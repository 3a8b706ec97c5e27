"""What each image needs, from lists of the builders' images: nothing, a further name, or a build.

Shipped images are made once, whoever has them; an image that only serves builds is each builder's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltern.images.causes import Causes, Origins, told
from saltern.images.record import Record
from saltern.images.tree import Image, Tree

REMOVED, NEVER, ELSEWHERE = "it was removed", "never built", "it was built elsewhere"
Listing = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Todo:
    """What an image needs: ``unchanged``, ``tag`` (``id`` has its content) or ``build``; why, in words and as data."""

    image: Image
    action: str
    reason: str
    id: str = ""
    origins: Origins = field(default_factory=dict)


@dataclass
class Survey:
    """What there is to do at all builders.

    todo
        Image → what it needs; of an image that each builder makes for itself, the most that any of them needs.
    at
        builder → image → what it needs there.
    needs
        Images that are not done everywhere → those they wait for, for `saltern.images.schedule.Shared`; ``local``,
        ``have``, ``pinned`` and ``home`` likewise.
    """

    todo: dict[str, Todo]
    at: dict[str, dict[str, Todo]]
    needs: dict[str, tuple[str, ...]]
    local: set[str]
    have: dict[str, set[str]]
    pinned: dict[str, str]
    home: dict[str, set[str]]


def decide(
    tree: Tree, selected: Sequence[str], listing: Listing, record: Record, causes: Causes | None = None
) -> list[Todo]:
    """What each selected image needs, from one list of a builder's images; pure.

    tree, record
        All images, and what is remembered of their builds.
    selected
        Names, parents first.
    listing
        `saltern.images.builders.Builder.listing`.
    causes
        Shared by several lists, so that each cause is searched once.
    """
    causes = causes or Causes(tree, record)
    by_tag = {tag: each for each in listing for tag in each["tags"]}
    # only tagged ones: what a build left behind has inherited its parent's labels, and is not that parent
    by_inputs = {(each["image"], each["inputs"]): each["id"] for each in listing if each["tags"]}
    found = []
    for name in selected:
        image = tree.images[name]
        there = by_tag.get(image.reference)
        if there and there["inputs"] == image.inputs and there["image"] == name:
            found.append(Todo(image, "unchanged", "", there["id"]))
        elif other := by_inputs.get((name, image.inputs)):
            found.append(Todo(image, "tag", "the same content has another name", other))
        elif other := _former(image, listing, record):
            found.append(Todo(image, "tag", "an earlier build is the same", other))
        else:
            reason, origins = _reason(image, there, record, causes)
            found.append(Todo(image, "build", reason, origins=origins))
    return found


def _former(image: Image, listing: Listing, record: Record) -> str:
    """An image that these inputs made before others took its name, where it is still there; else empty."""
    made = dict(record.builds.get(image.reference, {}).get("made", ())).get(image.inputs, "")
    return made if any(each["id"] == made for each in listing) else ""


def _reason(image: Image, there: Mapping[str, Any] | None, record: Record, causes: Causes) -> tuple[str, Origins]:
    last = record.builds.get(image.reference)
    if there is None and (last is None or last["inputs"] == image.inputs):
        return (REMOVED if last else NEVER), {}
    if last and there and last["inputs"] == image.inputs:
        return ELSEWHERE, {}
    if last is None or (there is not None and last["inputs"] != there["inputs"]):
        return "its inputs changed", {}
    origins = causes.origins(image.name)
    reason = told(image.name, origins) or REMOVED
    return (reason if there else f"{REMOVED}, and {reason}"), origins


def survey(
    tree: Tree, selected: Sequence[str], listings: Mapping[str, Listing], record: Record, causes: Causes
) -> Survey:
    """What there is to do, from the lists of all builders; pure.

    tree, selected, record, causes
        As for :func:`decide`.
    listings
        builder → its list.
    """
    at = {
        place: {t.image.name: t for t in decide(tree, selected, listing, record, causes)}
        for place, listing in listings.items()
    }
    todo = {name: max((at[place][name] for place in at), key=_worth) for name in selected}
    local = {name for name in selected if tree.images[name].build_only}
    fresh = {name: {place for place in at if at[place][name].action == "unchanged"} for name in selected}
    # who lacks one that others have makes it when it gets an image to make that needs it, and not before
    for name in _wanted(tree, local, {each for each in selected if each not in local and not fresh[each]}):
        lacking = [at[place][name] for place in at if place not in fresh[name]]
        todo[name] = min(lacking, key=_worth) if lacking else todo[name]
    needs = {name: tree.images[name].parents for name, each in todo.items() if each.action != "unchanged"}
    pinned = {}
    for name, each in todo.items():
        if each.action == "tag" and name not in local:
            needs[name] = ()
            pinned[name] = next(place for place in at if at[place][name].action == "tag")
    have = {place: {name for name in local if place in fresh[name]} for place in at}
    home = {name: places for name, places in fresh.items() if places and name not in local}
    return Survey(todo, at, needs, local, have, pinned, home)


def _wanted(tree: Tree, local: set[str], stale: set[str]) -> set[str]:
    """Images of builders' own that are needed to make the stale ones."""
    found: set[str] = set()
    waiting = list(stale)
    while waiting:
        new = (set(tree.images[waiting.pop()].parents) & local) - found
        found |= new
        waiting += new
    return found


def _worth(todo: Todo) -> tuple[int, bool]:
    """Which of several builders' answers counts: what is there, before what has to be made."""
    return {"unchanged": 2, "tag": 1, "build": 0}[todo.action], not todo.reason.startswith((REMOVED, NEVER))
