"""Reports of builds: what a call has done, as JSON on the master's disk; the last few stay."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "builds"
KEPT = 20


def write_report(state: Path, data: Mapping[str, Any], now: float) -> Path:
    """Write a report below the master's state root and forget the oldest ones.

    data
        The verb's answer.
    now
        Epoch seconds.

    Returns ``<state>/builds/<time>-<hex>.json`` (0600).
    """
    folder = state / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}.json"
    temporary = folder / f".{name}"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump({**data, "at": now, "report": str(folder / name)}, handle, indent=1, ensure_ascii=False)
    os.replace(temporary, folder / name)
    others = [path for path in folder.glob("*.json") if path.name != name]  # names of one second have no order
    for old in sorted(others, key=lambda path: path.stat().st_mtime_ns)[: 1 - KEPT]:
        old.unlink(missing_ok=True)
    return folder / name
