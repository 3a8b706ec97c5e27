"""Brings events to the master: now, or when it is back.

Salt drops a minion's event silently while the master is away, and says that it sent it. So what is fired while no
connection to the master is established lies in the outbox (one file an event, in order) until there is one again;
what was fired just before a connection broke is sent once more. An event may therefore arrive twice: its tag and its
``at`` are the same then, and readers drop the second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.host.store import Shelf

DOUBTFUL = 10.0  # seconds before a break within which an event may have been lost
SETTLE = 1.5  # seconds a new connection needs until the minion has signed in again
LOOK = 1.0
OUTBOX_MOST = 1000
BURST, REFILL = 60.0, 2.0  # for events that nobody acts on: tokens, tokens a second
UNIMPORTANT = ("mended", "planned", "held")

Fire = Callable[[str, dict[str, Any]], object]


class Courier:
    """Sends events of one host.

    fire
        Sends one event (tag, data) to the master; may raise.
    outbox
        Where events wait.
    connected
        Whether the master is connected.
    back
        Called with the time when the master is back and the outbox is empty.
    """

    def __init__(self, fire: Fire, outbox: Shelf, connected: Callable[[], bool], back: Callable[[float], None]) -> None:
        self._fire, self._outbox, self._is_connected, self._back = fire, outbox, connected, back
        self._recent: deque[tuple[float, str, dict[str, Any]]] = deque(maxlen=200)
        self._up: bool | None = None
        self._up_since = 0.0
        self._came_back = False
        self._look_at = 0.0
        self._sequence = 0
        self._tokens, self._filled_at = BURST, 0.0
        self.dropped = 0

    def send(self, tag: str, data: dict[str, Any], now: float) -> None:
        """Send an event, or keep it. Never raises: an event that is lost is made good by the next snapshot."""
        kind = tag.rsplit("/", 1)[-1]
        if kind in UNIMPORTANT and not self._token(now):
            self.dropped += 1
            return
        if self._up is None or not self._is_connected():
            self._look(now)
        if self._ready(now):
            self._flush(now)  # what waits goes first
        if self._ready(now) and self._try(tag, data):
            self._recent.append((now, tag, data))
        else:
            self._keep(tag, data, now)

    def tick(self, now: float) -> None:
        """Look at the connection, and empty the outbox when it has come back."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        self._look(now)
        if self._ready(now):
            self._flush(now)

    def waiting(self) -> int:
        """How many events wait."""
        return len(self._outbox.names())

    def _look(self, now: float) -> None:
        up = self._is_connected()
        if up == self._up:
            return
        if up:
            # The first look at a standing connection needs no patience; a returning one does.
            self._up_since = now - SETTLE if self._up is None else now
        else:
            while self._recent:
                at, tag, data = self._recent.popleft()
                if now - at <= DOUBTFUL:
                    self._keep(tag, data, at)
        self._came_back = up
        self._up = up

    def _ready(self, now: float) -> bool:
        return bool(self._up) and now - self._up_since >= SETTLE

    def _flush(self, now: float) -> None:
        for name in self._outbox.names():
            try:
                letter = self._outbox.get(name)
            except SalternError:
                letter = None  # cut by a full disk: there is nothing to send
            if letter is not None and not self._try(str(letter.get("tag")), {**letter.get("data", {}), "late": True}):
                return
            self._outbox.drop(name)
        if self._came_back:
            self._came_back = False
            self._back(now)

    def _try(self, tag: str, data: dict[str, Any]) -> bool:
        try:
            self._fire(tag, data)
        except Exception:
            return False  # the minion's own bus is away: as good as no master
        return True

    def _keep(self, tag: str, data: dict[str, Any], now: float) -> None:
        parsed = events.parse_health(tag)
        if parsed is not None and parsed.kind == "snapshot":
            return  # a fresh one is sent when the master is back
        self._sequence += 1
        names = self._outbox.names()
        try:
            for name in names[: max(0, len(names) + 1 - OUTBOX_MOST)]:
                self._outbox.drop(name)
            self._outbox.put(f"{int(now * 1000):015d}-{self._sequence:06d}", {"tag": tag, "data": data})
        except (SalternError, OSError):
            self.dropped += 1

    def _token(self, now: float) -> bool:
        self._tokens = min(BURST, self._tokens + (now - self._filled_at) * REFILL if self._filled_at else BURST)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
