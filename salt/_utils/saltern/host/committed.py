"""What a host has committed to: the document in ``desired/<container>.json`` from which healing works without a master.

It holds no text of configuration files (that may be secret and lies in the mounted directory), only their digests.
"""

from __future__ import annotations

from typing import Any

from saltern.contract.names import LABEL_SPEC
from saltern.host import files
from saltern.host.spec import Body, Spec, config_source

RUNNING, STOPPED = "running", "stopped"
Document = dict[str, Any]


def document(spec: Spec, made: Body, *, model: str, now: float, label: str | None = None) -> Document:
    """The document of a container that was created from ``made``.

    label
        Spec label on the container that runs, where it is another (equivalent) one than the body's.
    """
    source = config_source(made)
    return {
        "spec": files.without_content(spec),
        "digest": made["Labels"][LABEL_SPEC],
        "label": label or made["Labels"][LABEL_SPEC],
        "image_id": made["Image"],
        "config": source.name if source else None,
        "state": RUNNING,
        "proven": True,
        "committed": now,
        "model": model,
    }


def matches(document_: Document | None, label: str, wanted: str) -> bool:
    """Whether a container with this label is what is wanted: its own digest, or one recorded as equivalent."""
    if label == wanted:
        return True
    return document_ is not None and document_.get("digest") == wanted and document_.get("label") == label


def spec_changes(document_: Document, spec: Spec) -> list[dict[str, Any]]:
    """Fields of the spec that differ from the committed ones; those that need no new container are just recorded."""
    former, new = document_.get("spec") or {}, files.without_content(spec)
    # A key that the spec has learnt meanwhile is no change while it says what its absence has meant.
    former = {**{key: value for key, value in new.items() if not value and key not in former}, **former}
    return [
        {"field": key, "current": former.get(key), "desired": new.get(key)}
        for key in sorted({*former, *new})
        if key != "files" and former.get(key) != new.get(key)
    ]
