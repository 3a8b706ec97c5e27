"""The health engine's eyes: committed specs, locks, holds and settings on disk, containers in the engine."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saltern.contract import names
from saltern.contract.errors import EngineUnavailable, SalternError
from saltern.host import lock, observe
from saltern.host.engine import Engine
from saltern.host.healing import Hold, Rules, rules_from
from saltern.host.observe import Observation
from saltern.host.store import Document, Shelf, Store

log = logging.getLogger(__name__)


class LocalWorld:
    """What one host's health engine may look at (`outages.World`).

    store
        The host's documents.
    connect
        Makes a client of the engine.
    connected
        Whether the master is connected.
    """

    def __init__(self, store: Store, connect: Callable[[], Engine], connected: Callable[[], bool]) -> None:
        self.store, self.connected = store, connected
        self.cloud: str | None = None
        self._connect, self._client = connect, None
        self._documents: dict[str, Document] = {}
        self._seen: dict[str, tuple[int, int]] | None = None
        self._rules, self._rules_seen = Rules(), (0, 0)
        self._resets = Shelf(store.health.directory / "resets")

    _client: Engine | None

    def desired(self) -> Mapping[str, Mapping[str, Any]] | None:
        """The committed documents, None while no file has changed. One that cannot be read keeps its former content."""
        seen = _stamps(self.store.desired.directory)
        if seen == self._seen:
            return None
        former, self._seen = self._seen or {}, seen
        for name in [n for n in self._documents if n not in seen]:
            del self._documents[name]
        for name in [n for n in seen if seen[n] != former.get(n)]:
            try:
                document = self.store.desired.get(name)
            except SalternError as error:
                log.warning("The committed spec of %s cannot be read: %s", name, error)
                continue
            if document is not None:
                self._documents[name] = document
        clouds = {str(d["spec"]["cloud"]) for d in self._documents.values() if (d.get("spec") or {}).get("cloud")}
        self.cloud = min(clouds) if clouds else self.cloud
        return self._documents

    def listed(self) -> dict[str, Observation]:
        """All containers of the cloud but one-shot jobs: one call. Raises EngineUnavailable."""
        if not self.cloud:
            return {}
        entries = self._engine().containers(self.cloud)
        ours = [e for e in entries if names.LABEL_JOB not in (e.get("Labels") or {})]
        return {seen.name: seen for seen in map(observe.from_list, ours)}

    def inspect(self, name: str) -> Observation | None:
        """One container, None when there is none. Raises EngineUnavailable."""
        info = self._engine().inspect(name)
        return observe.from_inspect(info) if info is not None else None

    def planned(self, name: str) -> bool:
        """Whether somebody of ours holds the container's lock."""
        return lock.held(self.store.locks, name) is not None

    def hold(self, name: str) -> Hold | None:
        """The longest of the holds on this container and on all of them."""
        found = []
        for which in (name, names.HOLD_ALL):
            with contextlib.suppress(SalternError, KeyError, TypeError, ValueError):
                document = self.store.holds.get(which)
                if document is not None:
                    found.append(Hold(float(document["until"]), str(document.get("why", ""))))
        return max(found, key=lambda hold: hold.until, default=None)

    def image_there(self, image_id: str) -> bool:
        """Whether an image is on this host; while the engine is away nothing is said against it."""
        try:
            return not image_id or self._engine().inspect_image(image_id) is not None
        except EngineUnavailable:
            return True

    def rules(self) -> Rules:
        """The heal settings that the last converging run left; the defaults before."""
        stamp = _stamp(self.store.health.path("settings"))
        if stamp != self._rules_seen:
            self._rules_seen = stamp
            try:
                self._rules = rules_from(self.store.health.get("settings"))
            except (SalternError, TypeError) as error:
                log.warning("Heal settings cannot be read, the former ones stay: %s", error)
        return self._rules

    def resets(self) -> list[str]:
        """Containers whose back-off an operator has cleared since the last call."""
        found = self._resets.names()
        for name in found:
            self._resets.drop(name)
        return found

    def _engine(self) -> Engine:
        if self._client is None:
            self._client = self._connect()
        return self._client


def _stamps(directory: Path) -> dict[str, tuple[int, int]]:
    found = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found[entry.name[:-5]] = (status.st_mtime_ns, status.st_ino)
    return found


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
