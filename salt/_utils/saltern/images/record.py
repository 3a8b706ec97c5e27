"""What is remembered of builds on the master: ``images.json`` below its state root.

Per reference: inputs and their parts (they tell why an image is stale), id, sizes and seconds of the last build (they
order the next one and estimate its end). Per image: the versions of the distribution's packages at the last refresh.
Losing the file costs estimates and reasons, and never an image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
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
        reference → {"inputs", "parts", "id", "size", "seconds", "at"}.
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


def why(former: Mapping[str, str] | None, parts: Mapping[str, str]) -> str:
    """Why an image has to be built, in few words.

    former
        Parts of the inputs of its last build, None when there was none.
    parts
        Parts of its inputs now.

    >>> why({"image base": "1", "a.txt": "1"}, {"image base": "2", "a.txt": "1", "b.txt": "1"})
    'base was rebuilt, b.txt is new'
    """
    if former is None:
        return "never built"
    reasons = []
    for name in sorted(parts, key=lambda each: (not each.startswith("image "), each)):
        if former.get(name) == parts[name]:
            continue
        if name.startswith("image "):
            reasons.append(f"{name[6:]} was rebuilt" if name in former else f"{name[6:]} is a new parent")
        else:
            reasons.append(f"{name} changed" if name in former else f"{name} is new")
    reasons += [f"{name} is gone" for name in sorted(former) if name not in parts]
    return ", ".join(reasons[:4]) + (f" and {len(reasons) - 4} more" if len(reasons) > 4 else "") or "it was removed"
