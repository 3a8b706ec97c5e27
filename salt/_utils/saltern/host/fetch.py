"""Bring a host all images that it needs from the registry: a few at once, what is there already left alone.

One list of the engine's images tells what is there. Where the master knows the digest of a manifest, that very image
is pulled, so that all hosts get the same one whatever the tag means by then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import registry
from saltern.host.build import tag as name_image
from saltern.host.engine import Engine, image_ids
from saltern.host.registry import Access, Report

AT_ONCE = 3  # images of one host; the engine itself pulls three layers of each at once
PAUSE = 0.5  # least seconds between two reports of a host


@dataclass
class Reporter:
    """Gathers the progress of images that are transferred at once, and reports them together now and then.

    send
        Told ``{"of", "finished", "images": {reference: layers}}``; ``images`` has those that are under way.
    """

    send: Report
    of: int
    clock: Callable[[], float] = time.monotonic
    finished: int = 0
    running: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _last: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def feed(self, reference: str, layers: Mapping[str, Any]) -> None:
        """An image has come so far."""
        with self._lock:
            self.running[reference] = layers
            if self.clock() - self._last >= PAUSE:
                self._tell()

    def end(self, reference: str) -> None:
        """An image is done with."""
        with self._lock:
            self.running.pop(reference, None)
            self.finished += 1
            self._tell()

    def _tell(self) -> None:
        self._last = self.clock()
        self.send({"of": self.of, "finished": self.finished, "images": dict(self.running)})


def fetch(
    connect: Callable[[], Engine],
    wanted: Mapping[str, Mapping[str, Any]],
    access: Access,
    *,
    locks: Path,
    send: Report,
    at_once: int = AT_ONCE,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, dict[str, Any]]:
    """Pull what is missing.

    connect
        Opens a client of this host's engine; each transfer has its own.
    wanted
        Reference → ``{"id", "digest"}`` as far as the master knows them.
    access
        How the registry is reached.
    locks
        The host's directory of locks.
    send
        Told the progress, see `Reporter`.
    at_once
        Images pulled at once.

    Returns reference → ``{"result": "pulled" | "there" | "failed", "id", "digest", "seconds"}``; a failed one has
    ``error`` and ``hint``. Raises EngineUnavailable when the images cannot even be listed.
    """
    with connect() as engine:
        known = image_ids(engine.images())
    reporter = Reporter(send, len(wanted), clock)

    def one(reference: str) -> dict[str, Any]:
        told = wanted[reference]
        began = clock()
        try:
            with connect() as engine:
                return _one(engine, reference, told, known, access, locks, reporter, sleep) | {
                    "seconds": round(clock() - began, 1)
                }
        except SalternError as error:
            return {
                "result": "failed",
                "error": error.message,
                "hint": error.hint,
                "seconds": round(clock() - began, 1),
            }
        finally:
            reporter.end(reference)

    with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def _one(
    engine: Engine,
    reference: str,
    told: Mapping[str, Any],
    known: Mapping[str, str],
    access: Access,
    locks: Path,
    reporter: Reporter,
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    expected, digest, here = told.get("id"), told.get("digest"), known.get(reference)
    by_digest = known.get(f"{registry.split(reference)[0]}@{digest}") if digest else None
    if here and here == (expected or by_digest):
        return {"result": "there", "id": here, "digest": digest or ""}
    if expected and expected in known:  # under another name, or without one
        name_image(engine, expected, reference)
        return {"result": "there", "id": expected, "digest": digest or ""}
    found = registry.pull(
        engine,
        reference,
        access,
        locks=locks,
        digest=digest,
        expected=expected,
        report=lambda layers: reporter.feed(reference, layers),
        sleep=sleep,
    )
    return {"result": "there" if found["id"] == here else "pulled", **found}


def resolve(engine: Engine, references: list[str], access: Access) -> dict[str, str]:
    """What tags mean in the registry now: reference → digest of the manifest, without those that it does not tell.

    engine
        The engine that asks.
    references
        Names with tags.
    access
        How the registry is reached.
    """

    def ask(reference: str) -> str:
        login = access.login(reference)
        answer = engine.call(
            f"ask for {reference}", lambda api: dict(api.inspect_distribution(reference, auth_config=login))
        )
        return str((answer.get("Descriptor") or {}).get("digest") or "")

    found = {}
    for reference in references:
        try:
            found[reference] = ask(reference)
        except SalternError as error:  # whoever pulls it says what is wrong
            if registry.failed(error.message).transient:
                break  # a registry that does not answer would cost its patience for each
    return {reference: digest for reference, digest in found.items() if digest}
