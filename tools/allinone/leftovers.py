"""What the cloud leaves on the machine outside of the engine: instances that outlive their containers, bridges, network
namespaces, directories below /run, a file of sysctls. Only what is known to be ours is touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from allinone import engine, shell

INSTANCES = "nova_instances"  # the volume that hypervisor and instances have in common
AT = "var/lib/nova/instances"  # where they see it
SWITCH = "openvswitch_vswitchd"
NAMESPACES = re.compile(r"(qrouter|qdhcp|snat|fip)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # Neutron's
TAPS = ("br-int", "br-tun", "ovs-netdev")  # Neutron's bridges, the userspace datapath's own
SYSCTLS = Path("etc/sysctl.d/60-saltern.conf")
CGROUP = "saltern-libvirt"
END_SECONDS = 10.0


# -- instances ---------------------------------------------------------------------------------------------------------


def instances(volumes: list[str], proc: Path = Path("/proc")) -> list[int]:
    """Process ids of the emulators that run on our volume of instances; another's hypervisor has another.

    volumes
        Names of the cloud's volumes.
    """
    place = _place(INSTANCES) if INSTANCES in volumes else None
    return [pid for pid in _emulators(proc) if place and _same(proc / str(pid) / "root" / AT, place)]


def end(pids: list[int], kill: Callable[[int, int], None] = os.kill, proc: Path = Path("/proc")) -> int:
    """Switch instances off; how many there were."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _left(pids, proc):
            try:
                kill(pid, number)
            except ProcessLookupError:
                continue
        until = time.monotonic() + END_SECONDS
        while _left(pids, proc) and time.monotonic() < until:
            time.sleep(0.1)
    return len(pids)


def _emulators(proc: Path) -> Iterator[int]:
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            program = (directory / "cmdline").read_bytes().partition(b"\0")[0]
        except OSError:  # it has ended meanwhile
            continue
        if os.path.basename(program).startswith(b"qemu-system-"):
            yield int(directory.name)


def _left(pids: list[int], proc: Path) -> list[int]:
    """Those that still run; one that nobody has waited for yet has ended as well."""
    return [pid for pid in pids if pid in _emulators(proc)]


def _place(volume: str) -> Path | None:
    status, body = engine.ask("GET", f"/volumes/{volume}")
    return Path(json.loads(body)["Mountpoint"]) if status == 200 else None


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


# -- networks ----------------------------------------------------------------------------------------------------------


def remove_bridges() -> int:
    """Remove all bridges of our Open vSwitch while it runs, so that it takes its interfaces with it; how many went."""
    code, text = engine.run(SWITCH, ["ovs-vsctl", "--timeout=10", "list-br"])
    names = text.split() if code == 0 else []
    return sum(
        engine.run(SWITCH, ["ovs-vsctl", "--timeout=10", "--if-exists", "del-br", name])[0] == 0 for name in names
    )


def remove_taps(bridges: list[str], links: Path = Path("/sys/class/net")) -> list[str]:
    """Remove the interfaces that a stopped Open vSwitch has left behind: taps by the names of our bridges."""
    found = [name for name in sorted({*TAPS, *bridges}) if (links / name / "tun_flags").exists()]
    return [name for name in found if shell.output(["ip", "link", "delete", name])[0] == 0]


def bridges(state: Path) -> list[str]:
    """Names of the bridges in the compiled model of this machine."""
    names: list[str] = []
    for path in (state / "master" / "compiled" / "current" / "hosts").glob("*.json"):
        try:
            network = json.loads(path.read_text()).get("network") or {}
        except (ValueError, OSError):
            continue
        names += [bridge["name"] for bridge in network.get("bridges") or []]
    return names


def remove_namespaces(run: Path = Path("/run")) -> int:
    """Remove the network namespaces of routers and DHCP, and their directory's mount when nothing is left in it."""
    place, removed = run / "netns", 0
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if NAMESPACES.fullmatch(path.name):
            shell.output(["umount", path])
            path.unlink(missing_ok=True)
            removed += 1
    if removed and not any(place.iterdir()):
        shell.output(["umount", place])
        _rmdir(place)
    return removed


# -- directories and files ---------------------------------------------------------------------------------------------


def made_below_run(state: Path, run: Path = Path("/run")) -> list[Path]:
    """Directories below /run that our containers have made by their mounts' ``create``."""
    found: set[Path] = set()
    for path in (state / "desired").glob("*.json"):
        try:
            mounts = json.loads(path.read_text())["spec"].get("mounts") or []
        except (ValueError, KeyError, OSError):
            continue
        found.update(Path(mount["source"]) for mount in mounts if mount.get("create") == "directory")
    return sorted(path for path in found if run in path.parents)


def remove_directories(paths: list[Path]) -> list[Path]:
    """Remove them, but one in which somebody listens: the machine has a switch or a hypervisor of its own."""
    gone = [path for path in paths if path.is_dir() and not any(map(_listening, path.rglob("*")))]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return gone


def remove_settings(root: Path = Path("/")) -> None:
    """The file of sysctls, whose values count until the next boot, and our empty cgroups."""
    (root / SYSCTLS).unlink(missing_ok=True)
    groups = root / "sys/fs/cgroup"
    for path in [groups / CGROUP, *groups.glob(f"*/{CGROUP}")]:
        _rmdir(path)


def _listening(path: Path) -> bool:
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:  # not there, or not empty: then it is not ours alone
        return
