"""What the functions of this package work with: the host's engine, its store, its clock. Handed in, never looked up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.masking import mask, mask_tree
from saltern.host import probes
from saltern.host.engine import Engine
from saltern.host.store import Store

Probe = Callable[[dict[str, Any]], probes.Answer]


@dataclass
class Host:
    """One host and the model it is to follow.

    name
        Minion id.
    model
        Digest of the compiled model; empty without a master.
    secrets
        Values that must not appear in any text that leaves this host.
    lock_timeout
        Seconds to wait for another holder of a container's lock.
    images
        The engine's images as they were last listed, for whoever needs them in the same job.
    """

    engine: Engine
    store: Store
    name: str = ""
    cloud: str = "saltern"
    model: str = ""
    secrets: tuple[str, ...] = ()
    lock_timeout: float = 30.0
    workers: int = 4
    probe: Probe = probes.probe
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    images: list[dict[str, Any]] = field(default_factory=list)

    def mask(self, text: str) -> str:
        """``text`` without secrets."""
        return mask(text, self.secrets)

    def mask_tree(self, value: Any) -> Any:
        """A tree of dicts and lists without secrets."""
        return mask_tree(value, self.secrets)
