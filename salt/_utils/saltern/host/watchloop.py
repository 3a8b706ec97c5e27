"""Runs the health engine: threads that bring what Docker and probes say, one loop that feeds the state machine.

Only the loop's own thread touches the machine. The stream of Docker events, probes and heals run beside it and put
what they have into one queue.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.host import lock, observe
from saltern.host.courier import Courier, Fire
from saltern.host.engine import Engine
from saltern.host.healing import Backoff, backoff_from
from saltern.host.probes import Answer, of, probe
from saltern.host.store import Shelf, Store
from saltern.host.track import Probing
from saltern.host.watch import Watch
from saltern.host.watchworld import LocalWorld

log = logging.getLogger(__name__)

PROBE_THREADS, HEAL_THREADS = 4, 4
SHORTEST_SLEEP = 0.02
CURSOR_EVERY = 1.0
STREAM_RETRY_FIRST, STREAM_RETRY_LONGEST = 0.2, 5.0
MENDED_MOST = 256 * 1024

Heal = Callable[[str, str | None], Mapping[str, Any]]


class Loop:
    """The health engine of one host.

    store
        The host's documents.
    connect
        Makes a client of the engine; each thread has its own.
    heal
        Heals one container under its lock and says how it went (docs/interfaces.md, section 5). Its second argument is
        the start of the process that was found unhealthy, if that is the case.
    fire
        Sends an event to the master.
    connected
        Whether the master is connected.
    host
        Minion id.
    """

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Engine],
        heal: Heal,
        fire: Fire,
        connected: Callable[[], bool],
        *,
        host: str,
        boot_id: str | None = None,
        now: Callable[[], float] = time.time,
        ask: Callable[[dict[str, Any]], Answer] = probe,
    ) -> None:
        self.store, self.connect, self.host, self.now = store, connect, host, now
        self._heal, self._ask = heal, ask
        self._inbox: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        boot = boot_id if boot_id is not None else lock.boot_id()
        self.boot_id = boot
        self.world = LocalWorld(store, connect, connected)
        self.watch = Watch(self.world, self, boot_id=boot, backoffs=_remembered(store))
        outbox = Shelf(store.health.directory / "outbox")
        self.courier = Courier(fire, outbox, connected, self.watch.reconnected)
        self._probers = ThreadPoolExecutor(PROBE_THREADS, "saltern-probe")
        self._healers = ThreadPoolExecutor(HEAL_THREADS, "saltern-heal")
        self._stop = threading.Event()
        self._stream: threading.Thread | None = None
        self._open: Any = None
        self._cursor = _cursor(store, boot)
        self._cursor_saved, self._cursor_due = self._cursor, 0.0

    # the loop

    def run(self) -> None:
        """Run until :meth:`stop`. Never returns by itself; an error in one input is logged and the next one taken."""
        try:
            while not self._stop.is_set():
                self.step(self._sleep())
        finally:
            self.close()

    def stop(self) -> None:
        """End :meth:`run` from any thread."""
        self._stop.set()
        self._inbox.put(lambda now: None)

    def close(self) -> None:
        """End the threads and write down how far the events were read."""
        self._stop.set()
        if self._open is not None:
            with contextlib.suppress(Exception):
                self._open.close()
        self._probers.shutdown(wait=False, cancel_futures=True)
        self._healers.shutdown(wait=False, cancel_futures=True)
        self._save_cursor(float("inf"))

    def step(self, timeout: float) -> None:
        """One turn: what came in within ``timeout`` seconds, then whatever is due."""
        with contextlib.suppress(queue.Empty):
            self._guarded(self._inbox.get(timeout=timeout))
            while True:
                self._guarded(self._inbox.get_nowait())
        self._guarded(self.watch.tick)
        self._guarded(self.courier.tick)
        self._guarded(self._save_cursor)
        self._follow()

    def _sleep(self) -> float:
        now = self.now()
        return max(SHORTEST_SLEEP, self.watch.next_due(now) - now)

    def _guarded(self, work: Callable[[float], None]) -> None:
        try:
            work(self.now())
        except Exception:
            log.exception("Saltern's health engine could not do one thing and goes on")

    # hands of the machine

    def fire(self, kind: str, name: str | None, data: dict[str, Any]) -> None:
        """Send an event of the machine."""
        now = self.now()
        about = {"host": self.host, **({"container": name} if name else {})}
        payload = events.stamped(self.world.cloud or "", now, **about, **data)
        tag = events.health_tag(self.host, name, kind) if name else events.snapshot_tag(self.host)
        if kind == "mended":
            _append(self.store.health.directory / "mended.jsonl", payload)
        self.courier.send(tag, payload, now)

    def heal(self, name: str, event: str, started: str | None) -> None:
        """Heal in a thread of its own; the outcome comes back through the queue."""
        self._healers.submit(self._do_heal, name, started)

    def probe(self, name: str, generation: int, probing: Probing) -> None:
        """Probe in a thread of its own; the answer comes back through the queue."""
        self._probers.submit(self._do_probe, name, generation, probing.kind, of(name, probing.check))

    def remember(self, backoffs: Mapping[str, Backoff]) -> None:
        """Write the back-offs down."""
        document = {name: backoff.as_dict() for name, backoff in backoffs.items()}
        self.store.health.put("backoff", document)

    # threads

    def _do_heal(self, name: str, started: str | None) -> None:
        try:
            result = dict(self._heal(name, started))
        except SalternError as error:
            result = {"result": "failed", "why": str(error)}
        except Exception as error:
            log.exception("Healing %s ended in an error", name)
            result = {"result": "failed", "why": f"{type(error).__name__}: {error}"}
        self._inbox.put(lambda now: self.watch.healed(name, result, now))

    def _do_probe(self, name: str, generation: int, kind: str, check: dict[str, Any]) -> None:
        try:
            answer = self._ask(check)
        except Exception as error:
            answer = Answer(False, f"{type(error).__name__}: {error}")
        self._inbox.put(lambda now: self.watch.answered(name, generation, kind, answer.ok, answer.text, now))

    def _follow(self) -> None:
        """Follow Docker's events as soon as it is known of which cloud."""
        if self._stream is None and self.world.cloud:
            self._stream = threading.Thread(target=self._read_stream, name="saltern-events", daemon=True)
            self._stream.start()

    def _read_stream(self) -> None:
        wait = STREAM_RETRY_FIRST
        while not self._stop.is_set():
            try:
                with self.connect() as engine:
                    self._open = engine.events(self._cursor, observe.filters(self.world.cloud or ""))
                    for raw in self._open:
                        wait = STREAM_RETRY_FIRST
                        self._event(raw)
            except Exception as error:
                log.debug("The stream of Docker events ended: %s", error)
            self._stop.wait(wait)
            wait = min(wait * 2, STREAM_RETRY_LONGEST)

    def _event(self, raw: Mapping[str, Any]) -> None:
        event = observe.from_event(raw)
        if event is None or event.at <= self._cursor:
            return  # sent again because reading resumes at the last one
        self._cursor = event.at
        self._inbox.put(lambda now: self.watch.docker(event, now))

    def _save_cursor(self, now: float) -> None:
        if self._cursor == self._cursor_saved or now < self._cursor_due:
            return
        self._cursor_due = now + CURSOR_EVERY
        self._cursor_saved = self._cursor
        self.store.health.put("cursor", {"since": self._cursor, "boot_id": self.boot_id})


def _cursor(store: Store, boot_id: str) -> float:
    """How far a former engine of this boot read; else from now on: the full list tells where things stand."""
    with contextlib.suppress(SalternError):
        known = store.health.get("cursor")
        if known and known.get("boot_id") == boot_id:
            return float(known["since"])
    return time.time()


def _remembered(store: Store) -> dict[str, Backoff]:
    try:
        known = store.health.get("backoff") or {}
        return {str(name): backoff_from(data) for name, data in known.items()}
    except (SalternError, AttributeError, TypeError) as error:
        log.warning("The back-offs of the former health engine cannot be read and are forgotten: %s", error)
        return {}


def _append(path: Path, line: Mapping[str, Any]) -> None:
    """One line of the local record; the older half goes when it is large."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > MENDED_MOST:
            path.rename(path.with_suffix(".1.jsonl"))
        with open(path, "a", encoding="utf-8", opener=_private) as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
