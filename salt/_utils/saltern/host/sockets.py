"""Who listens where on this host, read from /proc: no engine, no netstat.

A socket belongs to one of our containers when its process has a configuration directory of ours mounted; the mount
names the container. So "is this port ours?" costs no call to the engine.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"
_ANY = ("0.0.0.0", "::")
# In mountinfo the fourth field is the mounted directory as seen on its file system (which may begin anywhere above it),
# the fifth the mount point.
_CONFIG = re.compile(r"^\S+ \S+ \S+ \S*/([a-z][a-z0-9_]*)/(?:[0-9a-f]{16}|reload) /var/lib/kolla/config_files ", re.M)


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
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        if not table.exists():  # no IPv6 here
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                found.append(Listener(_address(address), int(port, 16), int(fields[9])))
    return found


class Holders:
    """Finds the process that holds a socket; /proc is walked once, when the first one is asked for."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._owners: dict[str, Path] | None = None

    def __call__(self, inode: int) -> Holder:
        if self._owners is None:
            self._owners = {}
            for process in _processes(self._proc):
                for link in _links(process / "fd"):
                    self._owners.setdefault(link, process)
        owner = self._owners.get(f"socket:[{inode}]")
        if owner is None:
            return Holder()
        return Holder(int(owner.name), _read(owner / "comm").strip(), _container(owner))


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


def _container(process: Path) -> str:
    match = _CONFIG.search(_read(process / "mountinfo"))
    return match[1] if match else ""


def _processes(proc: Path) -> Iterable[Path]:
    return (path for path in proc.iterdir() if path.name.isdigit())


def _links(directory: Path) -> set[str]:
    found = set()
    try:
        for entry in directory.iterdir():
            try:
                found.add(str(entry.readlink()))
            except OSError:  # closed since
                continue
    except OSError:  # ended since, or another user's
        pass
    return found


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
