"""Builds the images that are missing or stale on this machine's engine, without any Salt daemon.

Usage: images.py CHECKOUT STATE [IMAGE...]

Progress goes to standard error, the last line of standard output is a summary. Runs in the test environment.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CHECKOUT, STATE = map(Path, sys.argv[1:3])
sys.path.insert(0, str(CHECKOUT / "salt" / "_utils"))

from saltern.contract.names import DOCKER_URL  # noqa: E402
from saltern.host.engine import Engine  # noqa: E402
from saltern.images.builders import LocalBuilder  # noqa: E402
from saltern.images.options import SUITES, Options  # noqa: E402
from saltern.images.run import build_all  # noqa: E402


def report(event: str, data: Any) -> None:
    """One line for each image that begins or ends; steps would be noise in a log."""
    if event in ("start", "end", "retry"):
        name = data.get("image", "") if isinstance(data, dict) else ""
        seconds = f" {data['seconds']} s" if isinstance(data, dict) and data.get("seconds") is not None else ""
        print(f"{name}: {event}{seconds}", file=sys.stderr, flush=True)


def main() -> int:
    """See the module."""
    with Engine(DOCKER_URL) as engine:
        builder = LocalBuilder(engine, suite=SUITES["debian"], root=STATE, report=report)
        data = build_all(
            builder, CHECKOUT / "images", Options(), state=STATE / "master", names=sys.argv[3:], report=report
        )
    for entry in data["images"]:
        if entry["result"] == "failed":
            print(f"{entry['image']}: {entry.get('error', '')}", *entry.get("log", []), sep="\n  ", file=sys.stderr)
    counts = data["counts"]
    print(f"{counts['built'] + counts['tagged']} built, {counts['unchanged']} unchanged")
    return int(data["retcode"])


if __name__ == "__main__":
    sys.exit(main())
