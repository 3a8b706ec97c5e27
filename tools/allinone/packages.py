"""Debian packages: only what is missing, said before it is done, remembered for ``down --purge``."""

from __future__ import annotations

import shutil
from pathlib import Path

from allinone import shell
from allinone.console import Phase, Stop
from allinone.made import Made

ALWAYS = ["ca-certificates", "iproute2", "iptables", "mmdebstrap", "python3-venv"]
ENGINE = ["docker.io"]
OPTIONS = ["-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]


def missing(names: list[str]) -> list[str]:
    """Those of ``names`` that dpkg does not have installed."""
    _, text = shell.output(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names])
    installed = {line.split()[0] for line in text.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def install(names: list[str], phase: Phase, made: Made, log: Path) -> list[str]:
    """Install what is missing of ``names`` and return it.

    Raises ``Stop`` where there is no apt, or where it fails.
    """
    wanted = missing(names)
    if not wanted:
        return []
    if not shutil.which("apt-get", path=shell.SYSTEM_PATH):
        raise Stop(
            f"This machine has no apt-get, and misses: {' '.join(wanted)}",
            advice="install them, then ./saltern up",
            code=5,
        )
    # Before the work: a killed up knows what it may have installed.
    made.add("packages", wanted)
    phase.step(f"installing with apt-get: {' '.join(wanted)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    shell.run(
        ["apt-get", "-q", "update"],
        log,
        what="apt-get update failed",
        advice="apt-get update",
        extra=quiet,
        on_line=_short(phase),
    )
    shell.run(
        ["apt-get", "install", *OPTIONS, *wanted],
        log,
        what=f"apt-get could not install {' '.join(wanted)}",
        advice=f"apt-get install {' '.join(wanted)}",
        extra=quiet,
        on_line=_short(phase),
    )
    return wanted


def _short(phase: Phase):  # type: ignore[no-untyped-def]
    """Of apt's many lines show those that tell where it is, and on a terminal only."""

    def show(line: str) -> None:
        if phase.console.live and line.startswith(("Get:", "Unpacking", "Setting up")):
            phase.step(f"apt-get: {line}")

    return show
