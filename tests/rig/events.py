"""A recorder on the master's event bus: tests wait for events by tag and content, never for a time."""

from __future__ import annotations

import fnmatch
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import salt.utils.event


@dataclass(frozen=True)
class Event:
    at: float
    tag: str
    data: dict[str, Any]


class Recorder:
    """Keeps every event from its start on; ``attach`` again after the master was restarted."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def attach(self, opts: dict[str, Any]) -> None:
        """Listen on the bus of the master that runs with ``opts``; returns when it hears."""
        self.detach()
        self._stop.clear()
        heard = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(opts, heard), daemon=True)
        self._thread.start()
        if not heard.wait(60):
            raise TimeoutError("the master's event bus does not answer")

    def detach(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=10)
            self._thread = None

    def _listen(self, opts: dict[str, Any], heard: threading.Event) -> None:
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=True) as bus:
            bus.connect_pub(timeout=30)
            heard.set()
            while not self._stop.is_set():
                got = bus.get_event(wait=0.5, full=True, auto_reconnect=True)
                if got:
                    with self._changed:
                        self._events.append(Event(time.time(), got["tag"], _payload(got["data"])))
                        self._changed.notify_all()

    def mark(self) -> int:
        """A position to look from."""
        with self._changed:
            return len(self._events)

    def seen(self, pattern: str = "*", since: int = 0) -> list[Event]:
        """Events so far whose tag matches a shell pattern."""
        with self._changed:
            return [event for event in self._events[since:] if fnmatch.fnmatchcase(event.tag, pattern)]

    def wait(
        self,
        pattern: str,
        *,
        since: int = 0,
        timeout: float = 60,
        where: Callable[[dict[str, Any]], bool] = lambda data: True,
    ) -> Event:
        """The first event from ``since`` on with a matching tag and content. Raises TimeoutError with what was seen."""
        deadline = time.monotonic() + timeout
        with self._changed:
            position = since
            while True:
                for event in self._events[position:]:
                    if fnmatch.fnmatchcase(event.tag, pattern) and where(event.data):
                        return event
                position = len(self._events)
                left = deadline - time.monotonic()
                if left <= 0:
                    tags = sorted({event.tag for event in self._events[since:]})
                    raise TimeoutError(f"no {pattern} within {timeout} s; seen: {', '.join(tags) or 'nothing'}")
                self._changed.wait(left)

    def save(self, path: Path) -> None:
        """Write all of them as JSON lines (for the scan for secrets)."""
        with self._changed:
            lines = [json.dumps([e.at, e.tag, e.data], default=str) for e in self._events]
        path.write_text("\n".join(lines), encoding="utf-8")


def _payload(data: dict[str, Any]) -> dict[str, Any]:
    """What was fired: an event from a minion comes wrapped."""
    return dict(data["data"]) if data.get("cmd") == "_minion_event" and isinstance(data.get("data"), dict) else data
