"""What has to be right on a host before anything is changed on it.

Each check is a function from plain readings to a `Check`; `Readings` holds what was read from the host, so that a
test (or another platform) can hand in its own. The cheap set asks the engine nothing: it rides in the step that
compares a host with the model. The full set adds the engine, its version and the images.

docker-py may be what is missing, so nothing here imports it at module level.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT, missing_hint
from saltern.host import sockets

LEAST_ENGINE = (20, 10)
LEAST_DOCKER_PY = (7, 0)
TRAVEL = 10.0  # seconds a job may take from the master to its start here before it looks like a wrong clock
GIB = 1 << 30
DOCKER_ROOT = Path("/var/lib/docker")


@dataclass(frozen=True)
class Check:
    """The outcome of one check: what was found, what was expected, and what to do where they differ."""

    name: str
    ok: bool
    found: str
    expected: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    model: Mapping[str, Any],
    *,
    root: Path = HOST_ROOT,
    engine: Any = None,
    now: float | None = None,
    local: float = 0.0,
    handed: Iterable[str] = (),
) -> list[Check]:
    """All checks of a host.

    model
        The host's slice; empty when it has none.
    root
        State root of the host.
    engine
        A `saltern.host.engine.Engine`; None = the cheap set, no call to the engine at all.
    now
        The master's clock when it sent the job, epoch seconds; None = the clock is not checked.
    local
        This host's clock.
    handed
        Top-level keys of the pillar that this minion gets.
    """
    wanted: Mapping[str, Any] = model.get("prechecks") or {}
    checks = [model_valid(model), pillar_private(handed), hostname(), memory(wanted.get("min_memory_mb", 0))]
    info: dict[str, Any] = {}
    if engine is not None:
        found, info = _engine(engine)
        checks += [docker_py(), found]
    docker_root = Path(info.get("DockerRootDir") or DOCKER_ROOT)
    checks += disks((root, docker_root), wanted.get("min_disk_gb", 0))
    checks += addresses(wanted.get("addresses") or (), sockets.local_addresses())
    checks += interfaces(wanted.get("interfaces") or ())
    checks += paths([*(model.get("containers") or ()), *(job["spec"] for job in model.get("jobs") or ())])
    checks += ports(wanted.get("ports") or (), sockets.listeners(), sockets.Holders())
    if now is not None:
        checks.append(clock(local, now, now + TRAVEL, wanted.get("max_clock_skew_s", 5)))
    if engine is not None and info:
        checks += images(model.get("images") or (), _references(engine))
    return checks


def model_valid(model: Mapping[str, Any]) -> Check:
    """The host has a model, and it has no errors."""
    expected = "a model without errors"
    if not model:
        hint = "Add it to openstack:hosts and run salt-run openstack.validate; if it is there: saltutil.refresh_pillar"
        return Check("model", False, "the master gives this minion no model", expected, hint)
    errors = model.get("errors") or []
    if not errors:
        return Check("model", True, f"model {model.get('model', '')}", expected)
    first = errors[0]
    found = (
        f"{len(errors)} errors; first: {first.get('key')}: expected {first.get('expected')}, found {first.get('found')}"
    )
    return Check("model", False, found, expected, "See salt-run openstack.validate")


def pillar_private(handed: Iterable[str]) -> Check:
    """The operator's tree, which has every secret of the cloud, is not in this minion's pillar."""
    leaked = "openstack" in set(handed)
    return Check(
        "pillar",
        not leaked,
        "the whole tree openstack: is in this minion's pillar" if leaked else "only this host's own slice",
        "only this host's own slice",
        "Take openstack out of the pillar top file: Saltern reads it on the master" if leaked else "",
    )


def docker_py() -> Check:
    """docker-py can be imported by the Python that runs the minion, and is new enough."""
    expected = f"docker (PyPI) {'.'.join(map(str, LEAST_DOCKER_PY))} or newer"
    hint = "Install it for the minion's own Python: salt-pip install docker (or pip install docker in its environment)"
    try:
        found = metadata.version("docker")
    except metadata.PackageNotFoundError:
        return Check("docker-py", False, "not installed for the minion's Python", expected, hint)
    good = numbers(found) >= LEAST_DOCKER_PY
    return Check("docker-py", good, found, expected, "" if good else hint)


def engine_version(answer: Mapping[str, Any]) -> Check:
    """The engine is new enough; ``answer`` is that of ``GET /version`` or ``/info``."""
    found = str(answer.get("ServerVersion") or answer.get("Version") or "unknown")
    good = numbers(found) >= LEAST_ENGINE
    expected = f"Docker Engine {'.'.join(map(str, LEAST_ENGINE))} or newer"
    return Check("engine", good, found, expected, "" if good else "Install a newer docker.io or docker-ce")


def hostname(resolve: Callable[[str], str] = socket.gethostbyname, name: str | None = None) -> Check:
    """The host's own name resolves: databases and message queues refuse to start where it does not."""
    name = name or socket.gethostname()
    try:
        found = resolve(name)
    except OSError as error:
        hint = f"Add a line for {name} to /etc/hosts"
        return Check("hostname", False, f"{name}: {error.strerror or error}", "an address", hint)
    return Check("hostname", True, f"{name} is {found}", "an address")


def memory(least_mb: int, meminfo: Path = Path("/proc/meminfo")) -> Check:
    """The host has enough memory (its total: what is free says little once containers run)."""
    total = re.search(r"^MemTotal:\s+(\d+) kB", meminfo.read_text(encoding="ascii"), re.M)
    found = int(total[1]) // 1024 if total else 0
    good = found >= least_mb
    hint = "" if good else "Add memory, or give this host fewer roles"
    return Check("memory", good, f"{found} MB", f"at least {least_mb} MB", hint)


def disks(paths: Iterable[Path], least_gb: float) -> list[Check]:
    """Every path has free space; paths on one file system are one check."""
    seen: dict[int, Check] = {}
    for path in paths:
        there = next(p for p in (path, *path.parents) if p.exists())
        device = there.stat().st_dev
        if device in seen:
            continue
        usage = os.statvfs(there)
        free = usage.f_bavail * usage.f_frsize / GIB
        good = free >= least_gb and (usage.f_favail > 1000 or usage.f_files == 0)
        text = f"{free:.1f} GB free" if usage.f_favail > 1000 or usage.f_files == 0 else "no free inodes"
        hint = "" if good else f"Free space below {path}, or move it to a larger file system"
        seen[device] = Check(f"disk {path}", good, text, f"at least {least_gb} GB", hint)
    return list(seen.values())


def addresses(wanted: Iterable[str], local: Iterable[str]) -> list[Check]:
    """The host has the addresses that the model gives it."""
    have = sorted(set(local))
    shown = ", ".join(a for a in have if not a.startswith("127.") and a != "::1") or "none"
    return [
        Check(
            f"address {address}",
            address in have,
            "on this host" if address in have else f"not on this host (it has {shown})",
            "on this host",
            "" if address in have else "Correct openstack:hosts:<id>:address or tunnel_address, or configure it",
        )
        for address in wanted
    ]


def interfaces(wanted: Iterable[str], sysfs: Path = Path("/sys/class/net")) -> list[Check]:
    """The host has the network interfaces that the model names, and they are up."""
    checks = []
    for name in wanted:
        state = sysfs / name / "operstate"
        found = state.read_text(encoding="ascii").strip() if state.exists() else "not there"
        good = found in ("up", "unknown")  # tunnels and loopbacks do not tell
        have = ", ".join(sorted(p.name for p in sysfs.iterdir()))
        hint = "" if good else f"Correct openstack:hosts:<id>:interface (this host has {have}), or bring it up"
        checks.append(Check(f"interface {name}", good, found, "there and up", hint))
    return checks


MODULES = {"/dev/net/tun": "tun", "/dev/kvm": "kvm_intel or kvm_amd", "/dev/vhost-net": "vhost_net"}


def paths(specs: Iterable[Mapping[str, Any]], exists: Callable[[str], bool] = os.path.exists) -> list[Check]:
    """What containers take from the host is there: devices, sources of bind mounts, ``host: paths``.

    Not what a mount's ``create`` makes, nor what a container puts below that.
    """
    users: dict[str, list[str]] = {}
    made: list[str] = []
    for spec in specs:
        binds = [mount for mount in spec.get("mounts") or () if mount.get("type") == "bind"]
        made += [mount["source"].rstrip("/") for mount in binds if mount.get("create")]
        found = [mount["source"] for mount in binds if not mount.get("create")]
        found += [device.partition(":")[0] for device in spec.get("devices") or ()]
        for path in {*found, *((spec.get("host") or {}).get("paths") or ())}:
            users.setdefault(path, []).append(spec["name"])
    checks = []
    for path, names in sorted(users.items()):
        if any(f"{path}/".startswith(f"{place}/") for place in made):
            continue
        good, who = exists(path), ", ".join(dict.fromkeys(names))
        hint = "" if good else _missing(path, who)
        checks.append(Check(f"path {path}", good, "there" if good else "not there", f"there, for {who}", hint))
    return checks


def _missing(path: str, who: str) -> str:
    module = MODULES.get(path)
    if module is None:
        return f"Make {path} available to the host, or give it no role that runs {who}"
    return f"Run modprobe {module}, and name the module in /etc/modules-load.d/saltern.conf for the next boot"


def ports(
    wanted: Iterable[Mapping[str, Any]],
    listeners: Iterable[sockets.Listener],
    holder: Callable[[int], sockets.Holder],
) -> list[Check]:
    """Every port is free, or held by the very container that is to have it."""
    by_port: dict[int, list[sockets.Listener]] = {}
    for listener in listeners:
        by_port.setdefault(listener.port, []).append(listener)
    checks = []
    for want in wanted:
        port, address, container = int(want["port"]), str(want.get("address") or ""), str(want["container"])
        in_the_way = [
            held
            for listener in by_port.get(port, ())
            if listener.covers(address) and (held := holder(listener.inode)).container != container
        ]
        found = f"held by {in_the_way[0].describe()}" if in_the_way else "free or ours"
        hint = f"Stop it, or give {container} another port" if in_the_way else ""
        name = f"port {address}:{port}" if address else f"port {port}"
        checks.append(Check(name, not in_the_way, found, f"free for {container}", hint))
    return checks


def clock(local: float, earliest: float, latest: float, most: float) -> Check:
    """The host's clock lies between the master's two readings, give or take ``most`` seconds.

    local
        This host's clock.
    earliest, latest
        The master's clock before and after ``local`` was read (or a bound of it), epoch seconds.
    """
    behind, ahead = earliest - local, local - latest
    good = behind <= most and ahead <= most
    if good:
        found = "agrees with the master's"
    else:
        found = f"{behind:.1f} s behind the master" if behind > 0 else f"{ahead:.1f} s ahead of the master"
    hint = "" if good else "Run a time service (chrony) on master and hosts: tokens and database clusters need it"
    return Check("clock", good, found, f"within {most:g} s of the master", hint)


def images(wanted: Iterable[str], present: Iterable[str]) -> list[Check]:
    """The images that the host needs are there; deploy never builds one."""
    have = set(present)
    checks = []
    for reference in sorted(set(wanted)):
        good = reference in have
        hint = "" if good else missing_hint([reference])
        checks.append(Check(f"image {reference}", good, "there" if good else "not on this host", "there", hint))
    return checks


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> numbers("20.10.24+dfsg1")
    (20, 10, 24)
    """
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _engine(engine: Any) -> tuple[Check, dict[str, Any]]:
    try:
        info: dict[str, Any] = engine.info()
    except SalternError as error:
        expected = f"Docker Engine {'.'.join(map(str, LEAST_ENGINE))} or newer"
        hint = "Start it (systemctl start docker), or set the minion option saltern_docker_url"
        return Check("engine", False, error.message, expected, hint), {}
    return engine_version(info), info


def _references(engine: Any) -> set[str]:
    return {tag for image in engine.images() for tag in (image.get("RepoTags") or ())}
