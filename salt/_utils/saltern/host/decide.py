"""What is to be done about one container: a pure function of what is wanted, what is committed and what is there.

    none        as wanted                       start     there, but not running or never seen healthy
    create      not there                       reload    only files with ``on_change: reload`` differ
    replace     differs: a swap                 remove    there, but not wanted
    equivalent  nothing to do to the container, but the host's records are brought up to date
    stop        wanted stopped, and planned so

Asking the engine about a container (inspect) is left to the caller and done only where the spec label differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saltern.contract.names import LABEL_CONTAINER, LABEL_JOB, LABEL_OWN, LABEL_SPEC
from saltern.host import committed
from saltern.host.committed import RUNNING, STOPPED, Document

MODES = ("deploy", "reconfigure", "start", "stop", "destroy")
Reason = dict[str, Any]


@dataclass(frozen=True)
class Current:
    """A container as it is, from the engine's list or from an inspect: what a decision needs of it."""

    id: str
    name: str
    running: bool
    status: str
    image_id: str
    label: str
    job: bool = False
    own: bool = False

    @classmethod
    def listed(cls, item: dict[str, Any]) -> Current:
        """From an entry of ``GET /containers/json``."""
        labels = item.get("Labels") or {}
        # A linked container has several names; its own has one slash.
        name = next((n[1:] for n in item["Names"] if n.count("/") == 1), item["Names"][0].strip("/"))
        state = str(item.get("State"))
        return cls(
            item["Id"], name, state in ("running", "restarting"), state, item["ImageID"],
            labels.get(LABEL_SPEC, ""), LABEL_JOB in labels or LABEL_CONTAINER not in labels, LABEL_OWN in labels,
        )  # fmt: skip

    @classmethod
    def inspected(cls, item: dict[str, Any]) -> Current:
        """From ``GET /containers/<name>/json``."""
        labels, state = item["Config"].get("Labels") or {}, item["State"]
        running = bool(state.get("Running")) and not state.get("Paused")
        return cls(
            item["Id"], item["Name"].lstrip("/"), running, str(state.get("Status")), item["Image"],
            labels.get(LABEL_SPEC, ""), LABEL_JOB in labels or LABEL_CONTAINER not in labels, LABEL_OWN in labels,
        )  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What to do, and why: reasons are ``{"field", "current", "desired"}``."""

    action: str
    reasons: list[Reason] = field(default_factory=list)


def reason(name: str, current: Any, desired: Any) -> Reason:
    """One reason."""
    return {"field": name, "current": current, "desired": desired}


def present(
    wanted: str,
    document: Document | None,
    current: Current | None,
    differences: list[Reason] | None,
    *,
    loaded: bool,
    intact: bool,
    changes: list[Reason],
) -> Decision:
    """For a container that is to run.

    wanted
        Spec label of the body.
    differences
        Field by field, asked for when the label differs; None = it does not.
    loaded
        Whether the process has loaded the configuration.
    intact
        Whether the configuration on the host's disk is what is wanted.
    changes
        Fields of the committed spec that differ and need no new container.
    """
    if current is None:
        return Decision("create", [reason("container", "absent", "running")])
    same = committed.matches(document, current.label, wanted)
    if not same and differences:
        return Decision("replace", differences)
    if not current.running:
        return Decision("start", [reason("state", current.status, "running")])
    if document is None or document.get("state") != RUNNING or not document.get("proven", True):
        return Decision("start", [reason("committed", _committed(document), "running and healthy")])
    if not loaded:
        return Decision("reload", [reason("configuration", "former", "new")])
    if not same:
        return Decision("equivalent", [reason("spec", current.label, wanted)])
    if changes:
        return Decision("equivalent", changes)
    if document.get("digest") != wanted:
        return Decision("equivalent", [reason("committed", document.get("digest"), wanted)])
    if not intact:
        return Decision("equivalent", [reason("configuration on disk", "changed by somebody", "as the model says")])
    return Decision("none")


def stopped(document: Document | None, current: Current | None) -> Decision:
    """For a container that is to be stopped: planned, so that healing leaves it alone."""
    running = current is not None and (current.running or current.status == "paused")
    if not running and (document is None or document.get("state") == STOPPED):
        return Decision("none")
    was = current.status if current is not None else "absent"
    return Decision("stop", [reason("state", was if running else f"{was}, not planned", "stopped")])


def absent(document: Document | None, current: Current | None, *, traces: bool = False) -> Decision:
    """For a container that is not to be there; ``traces`` = something else of it is on the host."""
    if current is None and document is None and not traces:
        return Decision("none")
    was = current.status if current is not None else "absent, but committed"
    return Decision("remove", [reason("container", was, "absent")])


def _committed(document: Document | None) -> str:
    if document is None:
        return "no"
    return "stopped" if document.get("state") == STOPPED else "not seen healthy"
