"""Which images of a host nobody needs any more, and their removal.

Only images with our label and names of this cloud's, or no name at all, are ever looked at. Kept is what any container
uses (running or not, a former one that waits for its swap to end too), what is committed (healing makes containers of
it without a master), what open swaps would go back or forward to, and what the master names. Untagged images look like
waste while a build, a pull or a load makes them, so nothing is removed while one goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import EngineRefused, ImageMissing, SalternError
from saltern.contract.names import LABEL_IMAGE
from saltern.host.build import remove
from saltern.host.build_resume import LABEL_STAGE
from saltern.host.engine import Engine
from saltern.host.imagelock import removing
from saltern.host.store import Store

Image = Mapping[str, Any]
NAMELESS = "<none>:<none>"


@dataclass
class Held:
    """What must stay: images by id, by reference, by tag."""

    ids: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)

    def holds(self, image: Image) -> bool:
        """Whether an image of the engine's list must stay."""
        names = tags_of(image)
        return (
            image["Id"] in self.ids
            or any(name in self.references for name in names)
            or any(name.rpartition(":")[2] in self.tags for name in names)
        )


def held(store: Store, containers: Iterable[Mapping[str, Any]], keep: Iterable[str], tags: Iterable[str]) -> Held:
    """All that a host must keep.

    store
        The host's state: committed documents and open swaps.
    containers
        All containers of the engine, ours or not.
    keep
        References that the master names.
    tags
        Tags of which every image stays.

    Raises SalternError when a document cannot be read: then nobody knows what it holds.
    """
    found = Held(references=set(keep), tags=set(tags))
    found.ids |= {str(container["ImageID"]) for container in containers}
    documents = list(store.desired.all().values())
    for entry in store.journal.all().values():
        found.references.add(str(entry.get("image") or ""))
        documents.append(entry.get("document") or {})
    for document in documents:
        found.ids.add(str(document.get("image_id") or ""))
        found.references.add(str((document.get("spec") or {}).get("image") or ""))
    return found


def candidates(images: Iterable[Image], holds: Held, path: str) -> list[Image]:
    """Images of ours that nobody holds.

    images
        The engine's list, with untagged ones.
    holds
        What must stay.
    path
        ``{registry/}{namespace}/{prefix}`` of this cloud's images; those with any other name are not ours.
    """
    found = []
    for image in images:
        labels = image.get("Labels") or {}
        ours = LABEL_IMAGE in labels or LABEL_STAGE in labels
        if ours and not holds.holds(image) and all(_named(name, path) for name in tags_of(image)):
            found.append(image)
    return found


def prune(
    engine: Engine,
    store: Store,
    *,
    path: str,
    keep: Iterable[str],
    tags: Iterable[str] = (),
    apply: bool = False,
) -> dict[str, Any]:
    """Show what would go, or remove it.

    engine, store
        The host's.
    path, keep, tags
        As for :func:`candidates` and :func:`held`.
    apply
        Remove.

    Returns ``{"images": [{"id", "image", "tags", "size", "unique", "left"}], "kept": number, "unique": bytes, "freed":
    bytes or None}``: ``unique`` is what only this image takes (the sum is the least that is freed), ``left`` why one
    stayed after all. Raises LockHeld while images are being made here, SalternError when the host's state cannot be
    read.
    """
    with removing(store.locks):
        usage = engine.call("disk usage", lambda api: dict(api.df()))
        images = engine.images()
        holds = held(store, engine.containers(), keep, tags)
        chosen = candidates(images, holds, path)
        ours = [image for image in images if LABEL_IMAGE in (image.get("Labels") or {})]
        unique = {each["Id"]: each["Size"] - max(0, each.get("SharedSize", 0)) for each in usage.get("Images") or ()}
        found = [
            {
                "id": image["Id"],
                "image": (image.get("Labels") or {}).get(LABEL_IMAGE, ""),
                "tags": tags_of(image),
                "size": image["Size"],
                "unique": unique.get(image["Id"], 0),
                "left": _remove(engine, image) if apply else "",
            }
            for image in chosen
        ]
        freed = None
        if apply:
            after = engine.call("disk usage", lambda api: dict(api.df()))
            freed = max(0, int(usage.get("LayersSize") or 0) - int(after.get("LayersSize") or 0))
    return {
        "images": found,
        "kept": len(ours) - sum(1 for image in chosen if image in ours),
        "unique": sum(each["unique"] for each in found),
        "freed": freed,
    }


def tags_of(image: Image) -> list[str]:
    """An image's names with tags."""
    return [name for name in image.get("RepoTags") or () if name != NAMELESS]


def _named(name: str, path: str) -> bool:
    return name.startswith(path) and "/" not in name[len(path) :]


def _remove(engine: Engine, image: Image) -> str:
    """Never by force: what a container began to use meanwhile stays. Why it stays, empty when it is gone."""
    digests = [name for name in image.get("RepoDigests") or () if name != "<none>@<none>"]
    for name in [*tags_of(image), *digests] or [image["Id"]]:
        try:
            remove(engine, name)
        except (ImageMissing, EngineRefused) as error:
            if isinstance(error, ImageMissing) or engine.inspect_image(name) is None:
                continue  # went with the name before it
            return error.message
    if not tags_of(image) and engine.inspect_image(image["Id"]) is not None:
        return _last(engine, image["Id"])
    return ""


def _last(engine: Engine, image: str) -> str:
    try:
        remove(engine, image)
    except SalternError as error:
        return error.message
    return ""
