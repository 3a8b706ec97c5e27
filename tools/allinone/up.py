"""``./saltern up``: from nothing to a cloud. Every phase looks first and does what is missing, so that it may be run at any time."""

from __future__ import annotations

import os
import platform
import shutil

from allinone import engine, packages, salts
from allinone.console import Console, Stop
from allinone.layout import STATE_ROOT, Layout
from allinone.made import Made


def run(layout: Layout, console: Console) -> int:
    """Set everything up; the exit code."""
    if os.geteuid() != 0:
        raise Stop(
            "./saltern up needs root: a minion and a Docker Engine work as root", advice="sudo ./saltern up", code=4
        )
    made = Made(layout.dot / "made.json")
    console.say(f"Saltern: an all-in-one OpenStack on this machine ({machine()})")
    base(layout, made, console)
    return 0


def base(layout: Layout, made: Made, console: Console) -> None:
    """Packages, engine, Salt: what everything else stands on."""
    layout.make()
    if packages.missing(packages.ALWAYS):
        with console.phase("Packages") as phase:
            installed = packages.install(packages.ALWAYS, phase, made, layout.log / "apt.log")
            phase.detail = f"installed {' '.join(installed)}"
    with console.phase("Docker Engine") as phase:
        engine.ensure(layout, made, phase)
    with console.phase("Salt") as phase:
        salts.ensure(layout, made, phase)


def machine() -> str:
    """``Debian 12, 2 cores, 23.5 GiB, 80 GB free``."""
    system = platform.freedesktop_os_release()
    name = f"{system.get('NAME', 'Linux').split()[0]} {system.get('VERSION_ID', '')}".strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(STATE_ROOT.parent).free / 1e9
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} core{'s' if cores != 1 else ''}, {memory:.1f} GiB, {free:.0f} GB free"
