"""Which models' images hosts keep: the pillar's, the one in force, the one before it, an open run's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from saltern.model.store import DIGEST, Store
from saltern.plan import compiled, runs
from saltern.plan.lock import RunLock


def models_kept(root: Path, planned: str) -> list[str]:
    """Models whose images stay: the pillar's, the one in force, the one before it, an open run's.

    root
        Master state root.
    planned
        Digest of the model as the pillar has it now.
    """
    current = compiled.current(root)
    run = RunLock(root).read()
    good = [
        str(each["model"])
        for each in runs.summaries(root, runs.KEPT)
        if each["state"] == "ok" and each["verb"] in ("deploy", "apply")
    ]
    former = next((model for model in good if model != current), "")
    return list(dict.fromkeys(model for model in (planned, current, former, run.model if run else "") if model))


def needed(root: Path, models: Iterable[str], host: str, more: Iterable[str]) -> list[str]:
    """References that models want on a host, and ``more``."""
    store = Store(root)
    found = set(more)
    for model in models:
        found |= set((store.slice(model, host) or {}).get("images") or ()) if DIGEST.fullmatch(model) else set()
    return sorted(found)
