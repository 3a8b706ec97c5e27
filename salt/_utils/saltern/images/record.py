"""What is remembered of builds on the master: ``images.json`` below its state root.

Per reference: inputs and their parts (they tell why an image is stale), id, sizes and seconds of the last build (they
order the next one and estimate its end). Per image: the versions of the distribution's packages at the last refresh.
Losing the file costs estimates and reasons, and never an image.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "images.json"


@dataclass
class Record:
    """The file's content.

    packages
        image → package → version, of the last refresh.
    builds
        reference → {"inputs", "parts", "details", "history", "id", "size", "layers", "seconds", "at", "digest",
        "made"}; parts, details and history are those of `saltern.images.causes`, and absent in old records;
        made has the last [inputs, id].
    """

    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def seconds(self, reference: str, default: float = 20.0) -> float:
        """How long the last build of a reference took."""
        return float(self.builds.get(reference, {}).get("seconds", default))


def read_record(state: Path) -> Record:
    """The record below a state root; an absent or broken file is an empty record."""
    try:
        data = json.loads((state / FILE).read_text())
        return Record(dict(data["packages"]), dict(data["builds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Record()


def write_record(state: Path, record: Record) -> None:
    """Replace the file in one step (0600)."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = state / f".{FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump({"packages": record.packages, "builds": record.builds}, handle, indent=1, sort_keys=True)
    os.replace(temporary, state / FILE)
