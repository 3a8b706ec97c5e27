"""Who listens where on this host and who is connected to whom, read from /proc: no engine, no netstat.

A socket belongs to one of our containers when its process has a configuration directory of ours mounted; the mount
names the container. So "is this port ours?" costs no call to the engine.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_ESTABLISHED, _LISTEN = "01", "0A"
_ANY = ("0.0.0.0", "::")
# In mountinfo the fourth field is the mounted directory as seen on its file system (which may begin anywhere above it),
# the fifth the mount point. A directory's name is one digest, or two where the former container needed the first name.
_CONFIG = re.compile(
    r"^\S+ \S+ \S+ \S*/([a-z][a-z0-9_]*)/(?:[0-9a-f]{16}(?:-[0-9a-f]{16})?|reload) /var/lib/kolla/config_files ", re.M
)


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket."""

    address: str
    port: int
    inode: int

    def covers(self, address: str) -> bool:
        """Whether binding ``address`` (empty: all of them) at this port would collide with this socket."""
        return address in ("", *_ANY) or self.address in _ANY or self.address == address


@dataclass(frozen=True)
class Holder:
    """The process that has a socket open; ``container`` when it is one of ours. ``pid`` 0: not found."""

    pid: int = 0
    command: str = ""
    container: str = ""

    def describe(self) -> str:
        if not self.pid:
            return "a process that cannot be seen from here"
        where = f" in container {self.container}" if self.container else ""
        return f"{self.command} (pid {self.pid}){where}"


def listeners(proc: Path = PROC) -> list[Listener]:
    """All listening TCP sockets of this network namespace."""
    found = []
    for fields in _table(proc):
        if fields[3] == _LISTEN:
            address, port = fields[1].split(":")
            found.append(Listener(_address(address), int(port, 16), int(fields[9])))
    return found


def established(proc: Path = PROC) -> dict[str, list[str]]:
    """The established TCP connections of this network namespace: peer as in :func:`peers` → links of their sockets.

    A connection that the other side has closed (CLOSE_WAIT) is none, whatever its owner believes. Peers stay as the
    kernel prints them: a busy host has thousands, of which a caller looks for a few.
    """
    found: dict[str, list[str]] = {}
    for fields in _table(proc):
        if fields[3] == _ESTABLISHED:
            found.setdefault(fields[2], []).append(f"socket:[{fields[9]}]")
    return found


def peers(address: str, port: int) -> list[str]:
    """An address as the kernel prints it: ``0B00000A:1628``; an IPv4 one also as a dual-stack socket shows it."""
    if ":" in address:
        forms = [socket.inet_pton(socket.AF_INET6, address)]
    else:
        raw = socket.inet_pton(socket.AF_INET, address)
        forms = [raw, b"\0" * 10 + b"\xff\xff" + raw]
    words = [struct.unpack(f"={len(form) // 4}I", form) for form in forms]
    return ["".join(f"{word:08X}" for word in form) + f":{port:04X}" for form in words]


def by_container(proc: Path = PROC) -> dict[str, list[str]]:
    """Processes (their directories in /proc) of our containers; one look at a mount namespace tells whose it is."""
    owners: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for process in _processes(proc):
        try:
            namespace = os.readlink(process / "ns" / "mnt")
        except OSError:  # ended since
            continue
        if namespace not in owners:
            mounts = _read(process / "mountinfo")
            if not mounts:  # ended since; another process of the namespace tells
                continue
            owners[namespace] = _named(mounts)
        if owners[namespace]:
            found.setdefault(owners[namespace], []).append(str(process))
    return found


def open_links(process: str) -> Iterable[tuple[str, str]]:
    """The open files of a process: their entries in /proc and where these point; none when it has ended."""
    directory = f"{process}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        path = f"{directory}/{name}"
        if target := link(path):
            yield path, target


def link(path: str) -> str:
    """Where a link points; empty when it is gone."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


class Holders:
    """Finds the process that holds a socket; /proc is walked once, when the first one is asked for."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._owners: dict[str, Path] | None = None

    def __call__(self, inode: int) -> Holder:
        if self._owners is None:
            self._owners = {}
            for process in _processes(self._proc):
                for _, target in open_links(str(process)):
                    self._owners.setdefault(target, process)
        owner = self._owners.get(f"socket:[{inode}]")
        if owner is None:
            return Holder()
        return Holder(int(owner.name), _read(owner / "comm").strip(), container_of(owner))


def local_addresses(proc: Path = PROC) -> list[str]:
    """All addresses of this host, IPv4 and IPv6."""
    found = set()
    previous = ""
    for line in _read(proc / "net" / "fib_trie").splitlines():
        if "32 host LOCAL" in line:
            found.add(previous)
        match = re.search(r"(\d+\.\d+\.\d+\.\d+)$", line)
        previous = match[1] if match else previous
    for line in _read(proc / "net" / "if_inet6").splitlines():
        found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])))
    return sorted(found)


def _table(proc: Path) -> Iterable[list[str]]:
    """The kernel's TCP sockets, split into their fields."""
    for name in ("tcp", "tcp6"):
        for line in _read(proc / "net" / name).splitlines()[1:]:  # empty: no IPv6 here
            yield line.split(None, 10)


def container_of(process: Path) -> str:
    """The container of ours that a process (its directory in /proc) runs in; empty: none."""
    return _named(_read(process / "mountinfo"))


def _named(mounts: str) -> str:
    match = _CONFIG.search(mounts)
    return match[1] if match else ""


def _processes(proc: Path) -> Iterable[Path]:
    return (path for path in proc.iterdir() if path.name.isdigit())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _address(text: str) -> str:
    """The kernel prints addresses as 32-bit words in its own byte order."""
    words = [text[i : i + 8] for i in range(0, len(text), 8)]
    raw = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    address = socket.inet_ntop(socket.AF_INET6, raw)
    return address.removeprefix("::ffff:")
