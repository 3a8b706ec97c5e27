"""The open swaps of a host: enough to finish one, or to go back, after its process was killed at any moment.

One entry, written before the first change and dropped after the last. How far the swap came is not written down but
seen: which of the two containers (told apart by id) exists, under which name, and whether the new desired document is
committed. So there is no moment in which the journal and the engine can disagree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from saltern.host.committed import Document
from saltern.host.store import Store


@dataclass(frozen=True)
class Entry:
    """An open swap.

    former_id
        Id of the container that is replaced.
    policy
        Its restart policy, which is off while it waits as ``--former``.
    running
        Whether it ran, and so has to run again when the swap goes back.
    document
        What is committed when the new container is healthy.
    image
        Reference of the new image, for messages.
    """

    container: str
    former_id: str
    policy: str
    running: bool
    document: Document
    image: str
    at: float


def begin(store: Store, entry: Entry) -> None:
    """Write the entry. Raises SalternError when the disk does not take it: nothing has been changed then."""
    store.journal.put(entry.container, asdict(entry))


def open_swap(store: Store, name: str) -> Entry | None:
    """The open swap of a container."""
    found = store.journal.get(name)
    try:
        return None if found is None else Entry(**_known(found))
    except TypeError:
        return None  # written by another version: what it left is put right as without a journal


def open_names(store: Store) -> list[str]:
    """Containers with an open swap."""
    return store.journal.names()


def committed(store: Store, entry: Entry) -> bool:
    """Whether the swap came as far as its commit."""
    return store.desired.get(entry.container) == entry.document


def end(store: Store, name: str) -> None:
    """Drop the entry."""
    store.journal.drop(name)


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in Entry.__dataclass_fields__ if key in found}
