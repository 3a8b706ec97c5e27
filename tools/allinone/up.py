"""``./saltern up``: from nothing to a cloud.

Every phase looks first and does what is missing, so that it may be run at any time, also after a kill at any point.
"""

from __future__ import annotations

import os
import platform
import shutil

from allinone import cloud, engine, envfile, packages, pillar, salts, venvs
from allinone.console import Console, Stop
from allinone.layout import STATE_ROOT, Layout
from allinone.made import Made

RELEASE = "2025.2"
NAMES = {
    "keystone": "Keystone",
    "glance": "Glance",
    "placement": "Placement",
    "neutron": "Neutron",
    "nova": "Nova",
}


def run(layout: Layout, console: Console) -> int:
    """Set everything up; the exit code."""
    if os.geteuid() != 0:
        raise Stop(
            "./saltern up needs root: a minion and a Docker Engine work as root", advice="sudo ./saltern up", code=4
        )
    made = Made(layout.dot / "made.json")
    console.say(f"Saltern: an all-in-one OpenStack {RELEASE} on this machine ({machine()})")
    cloud.claim(layout)
    base(layout, made, console)
    with console.phase("Images") as phase:
        cloud.build(layout, console, phase)
    with console.phase("Deploy") as phase:
        cloud.deploy(layout, console, phase)
    endpoints = cloud.clouds(layout)
    if endpoints:
        client(layout, console)
    instance: dict[str, str] = {}
    if cloud.wants_first():
        with console.phase("First cloud") as phase:
            instance = cloud.first(layout, console, phase)
    farewell(layout, console, endpoints, instance)
    return 0


def base(layout: Layout, made: Made, console: Console) -> None:
    """Packages, engine, Salt, pillar, set-up: what images and deploy stand on."""
    layout.make()
    if packages.missing(packages.ALWAYS):
        with console.phase("Packages") as phase:
            installed = packages.install(packages.ALWAYS, phase, made, layout.log / "apt.log")
            phase.detail = f"installed {' '.join(installed)}"
    with console.phase("Docker Engine") as phase:
        engine.ensure(layout, made, phase)
    with console.phase("Salt") as phase:
        salts.ensure(layout, made, phase)
        envfile.write(layout)
    with console.phase("Pillar and set-up") as phase:
        copied = pillar.ensure(layout, made)
        cloud.secrets(layout)
        salts.setup(layout, phase)
        phase.detail = f"{'pillar copied' if copied else 'pillar as it was'}, {phase.detail}"


def client(layout: Layout, console: Console) -> None:
    """The ``openstack`` command, in an environment of its own; silent when it is there."""
    lock = layout.requirements / "openstack-client.txt"
    if venvs.current(layout.client_venv, [lock]):
        return
    with console.phase("OpenStack client") as phase:
        venvs.ensure(layout.client_venv, [lock], phase, layout.log / "pip.log")
        phase.detail = f"python-openstackclient {venvs.locked(lock, 'python-openstackclient')}"


def farewell(layout: Layout, console: Console, endpoints: dict[str, str], instance: dict[str, str]) -> None:
    """Where the cloud answers, where its credentials are, what to try next."""
    console.say()
    if instance.get("address"):
        console.say(f"{'Instance':<10}{instance['name']} at {instance['address']}")
    for service, url in sorted(endpoints.items(), key=lambda item: (item[0] != "keystone", item[0])):
        console.say(f"{NAMES.get(service, service):<10}{url}")
    console.say(f'Credentials: . {relative(layout)}.saltern/env      (or {layout.clouds}, cloud "saltern")')
    tries = ["salt-run openstack.status"]
    if "keystone" in endpoints:
        tries = [
            "openstack server list" if instance else "openstack token issue",
            *tries,
            "docker kill keystone && salt-run openstack.why keystone",
        ]
    console.say(f"Try: {' · '.join(tries)}")


def relative(layout: Layout) -> str:
    """Prefix of the checkout as seen from the present directory: nothing when it is that directory."""
    return "" if os.getcwd() == str(layout.checkout) else f"{layout.checkout}/"


def machine() -> str:
    """``Debian 12, 2 cores, 23.5 GiB, 80 GB free``."""
    system = platform.freedesktop_os_release()
    name = f"{system.get('NAME', 'Linux').split()[0]} {system.get('VERSION_ID', '')}".strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(STATE_ROOT.parent).free / 1e9
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} core{'s' if cores != 1 else ''}, {memory:.1f} GiB, {free:.0f} GB free"
