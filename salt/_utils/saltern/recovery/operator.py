"""What operators say about healing, written down where the recovery engine reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.recovery import files, incoming
from saltern.recovery.history import History
from saltern.recovery.queue import Queue

FOREVER = 10 * 365 * 86400.0


def enqueue(root: Path, event: Any, sender: str, now: float) -> bool:
    """Put a failure into the queue; False when it is known already.

    root
        The master's state root.
    event
        The failure's own data.
    sender
        Id of the minion that sent it, as the master has verified it.

    Raises SalternError for what is no failure, or not the sender's own.
    """
    container = str(event.get("container") or "") if isinstance(event, Mapping) else ""
    message = incoming.accept(events.health_tag(sender, container, "failed"), event, sender) if container else None
    if message is None or event.get("host") not in (None, sender):
        raise SalternError(f"no failure that {sender!r} may report", hint="See docs/healing.md for the event's fields")
    new = Queue(root / "heal" / "queue").put({**message.data, "via": "reactor"})
    about = {"host": sender, "container": container, "event": message.data["event"]}
    _history(root).add("queued", now, **about, via="reactor", new=new)
    return new


def pause(root: Path, now: float, *, why: str = "", dry_run: bool = False) -> dict[str, Any]:
    """Pause healing, or let it only say what it would do; returns the settings."""
    return _set(root, now, why, {"paused": not dry_run, "dry_run": dry_run})


def resume(root: Path, now: float) -> dict[str, Any]:
    """Heal again; returns the settings."""
    return _set(root, now, "resumed", {"paused": False, "dry_run": False})


def reset(root: Path, now: float, container: str, host: str) -> None:
    """Write down that a back-off was cleared; empty names mean all."""
    _history(root).add("reset", now, host=host, container=container, why="back-off cleared")


def _set(root: Path, now: float, why: str, values: Mapping[str, Any]) -> dict[str, Any]:
    path = _settings(root)
    said = {**values, "why": why}
    settings = {**(files.read(path) or {}), **said, "at": now}
    files.write(path, settings)
    _history(root).add("setting", now, **said)
    return settings


def _settings(root: Path) -> Path:
    return root / "heal" / "settings.json"


def _history(root: Path) -> History:
    return History(root / "heal" / "history.jsonl")


def healed(root: Path, since: float) -> dict[tuple[str, str], int]:
    """How often each container was healed since then, by host and name."""
    found: dict[tuple[str, str], int] = {}
    for line in _history(root).read(since=since):
        done = line.get("kind") == "event" and line.get("what") == "healed"
        if done and (line.get("data") or {}).get("result") == "healed":
            key = (str(line.get("host")), str(line.get("container")))
            found[key] = found.get(key, 0) + 1
    return found


def mode(root: Path, heal: Mapping[str, Any]) -> str:
    """``on``, ``off``, ``paused`` or ``dry run``.

    heal
        The model's settings; what operators said since counts before them.
    """
    settings = {**heal, **(files.read(_settings(root)) or {})}
    if settings.get("enabled") is False:
        return "off"
    return "paused" if settings.get("paused") else "dry run" if settings.get("dry_run") else "on"
