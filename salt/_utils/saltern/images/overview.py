"""All images as they are at the builder: fresh, stale and why, missing; one list of the builder's images says it.

What an image needs is decided by the code that decides it for a build (`saltern.images.decide`), so that the overview
and the build that follows it never disagree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saltern.images import custom, select
from saltern.images.causes import Causes
from saltern.images.decide import Listing, Todo, survey
from saltern.images.options import Options
from saltern.images.record import Record, read_record
from saltern.images.summary import own_size, unique_size
from saltern.images.tree import Tree, load

FRESH, STALE, MISSING = "fresh", "stale", "missing"


def overview(
    list_all: Callable[[], Mapping[str, Listing]],
    folder: Path,
    options: Options,
    *,
    state: Path,
    names: Sequence[str] = (),
    profiles: Sequence[str] = (),
    ask_paths: Callable[[list[str]], Mapping[str, Mapping[str, str | None]]] | None = None,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """What there is of each image, and whether it is what its inputs say.

    list_all
        Gives builder → its list of images (`saltern.images.builders.Builder.listing`); called once, after the tree was
        found to hold.
    folder
        ``images/`` of a checkout.
    options
        The operator's choices.
    state
        State root of the master, below which builds are remembered.
    names, profiles
        Images to show, with all they need; none = all.
    ask_paths
        Gives builder → path → digest, `saltern.images.builders.Builder.fingerprints`; called only when the operator's
        additions name paths on the builder.
    now
        Gives the seconds since the epoch.

    Returns the data of the verb ``images``: one entry an image, parents first; ``id``, ``size`` and what is remembered
    of it are those of the image that has the name now, which may be a stale one; ``at`` is when it was built (epoch
    seconds), sizes are bytes. Raises SalternError for a tree that is broken and for a name that no image has.
    """
    record = read_record(state)
    paths = custom.paths(options.custom)
    known = custom.agreed(ask_paths(paths)) if ask_paths and paths else None
    tree = load(folder, options, record.packages, known)
    selected = tree.select(select.chosen(tree, folder, names, profiles))
    listings = list_all()
    found = survey(tree, selected, listings, record, Causes(tree, record))
    there = {tag: each for listing in listings.values() for each in listing for tag in each["tags"]}
    sizes = {reference: int(each["size"]) for reference, each in there.items()}
    entries = [_entry(tree, record, todo, there, sizes) for todo in found.todo.values()]
    states = [entry["state"] for entry in entries]
    return {
        "kind": "images",
        "release": options.release,
        "type": options.type,
        "distro": options.distro,
        "builder": ", ".join(listings),
        "images": entries,
        "unique": unique_size(tree, [entry["image"] for entry in entries if entry["shipped"]], sizes),
        "counts": {each: states.count(each) for each in (FRESH, STALE, MISSING)},
        "now": now(),
    }


def _entry(
    tree: Tree, record: Record, todo: Todo, there: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, int]
) -> dict[str, Any]:
    image = todo.image
    present = there.get(image.reference)
    image_id = str(present["id"]) if present else None
    last = record.builds.get(image.reference) or {}
    known = last if image_id and last.get("id") == image_id else {}  # what is remembered may be of another image
    return {
        "image": image.name,
        "reference": image.reference,
        "base": image.base,
        "shipped": not image.build_only,
        "state": FRESH if todo.action == "unchanged" else STALE if present else MISSING,
        "reason": todo.reason,
        "size": sizes.get(image.reference),
        "own": own_size(tree, image, sizes),
        "id": image_id,
        "at": known.get("at"),
        "digest": known.get("digest"),
    }
