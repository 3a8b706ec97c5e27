"""What the benchmarks share: the integration tests' cloud on two hosts of a rig, tables, memory."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "salt/_utils")]

from rig import twohosts  # noqa: E402
from rig.cloud import SaltCloud  # noqa: E402
from rig.rig import Rig  # noqa: E402


@contextmanager
def cloud() -> Iterator[SaltCloud]:
    """Salt on two hosts, secrets made, nothing deployed yet."""
    with Rig(twohosts.NAMES) as rig, SaltCloud(rig) as made:
        twohosts.write(made)
        made.start_master()
        made.verb("secrets_generate")
        made.start()
        yield made


def seconds(do: Callable[[], Any], times: int = 1) -> list[float]:
    """How long each of ``times`` calls took."""
    taken = []
    for _ in range(times):
        begun = time.monotonic()
        do()
        taken.append(time.monotonic() - begun)
    return taken


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pss(pattern: str) -> int:
    """Proportional memory of all processes whose command line has ``pattern``, MiB."""
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if pattern in command:
                total += sum(
                    int(line.split()[1])
                    for line in (process / "smaps_rollup").read_text().splitlines()
                    if line.startswith("Pss:")
                )
        except OSError:  # ended since
            continue
    return total // 1024


def load() -> str:
    """How busy the machine is."""
    return f"{os.getloadavg()[0]:.1f}"


def machine() -> str:
    """One line about what it ran on; wall times are to be read as ratios."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f} at the end"
