"""What minions say, checked before it is used: who sent it, of which host it speaks, and that it has its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saltern.contract import events


@dataclass(frozen=True)
class Message:
    """A health event: ``kind`` as in its tag, ``container`` empty for a snapshot."""

    host: str
    container: str
    kind: str
    data: dict[str, Any]


def accept(tag: str, data: Any, sender: str) -> Message | None:
    """A health event that can be used, None for anything else.

    data
        The event's own data.
    sender
        Id of the minion as the master has verified it: one that speaks of another host is not listened to.
    """
    parsed = events.parse_health(tag)
    if parsed is None or parsed.host != sender or not isinstance(data, Mapping):
        return None
    known = {**data, "host": parsed.host, "container": parsed.container or ""}
    if parsed.kind == "snapshot":
        rows = data.get("containers")
        if not isinstance(rows, Mapping):
            return None
        known["containers"] = {str(name): dict(row) for name, row in rows.items() if isinstance(row, Mapping)}
    if parsed.kind == "failed" and not isinstance(data.get("event"), str):
        return None
    return Message(parsed.host, parsed.container or "", parsed.kind, known)
