"""Is the master there? As far as a host can tell without asking: a connection to its publish port is established.

A master that was stopped shows at once (its connections close); one that is frozen, or behind a cut cable, looks
connected until the transport's keep-alive notices. So "not connected" is certain, "connected" is a hope, and healing
has its patience for the rest.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
PUBLISH_PORT = 4505
_ESTABLISHED = "01"


def connected(port: int = PUBLISH_PORT, addresses: Iterable[str] = (), proc: Path = PROC) -> bool:
    """Whether a TCP connection from here to a master's publish port is established.

    port
        The publish port.
    addresses
        Addresses of the masters; empty: any address counts.
    proc
        Where procfs is.
    """
    endings = tuple(_kernel_form(address) for address in addresses if address)
    wanted = f":{port:04X}"
    for name in ("tcp", "tcp6"):
        for fields in _rows(proc / "net" / name):
            remote = fields[2]
            if fields[3] == _ESTABLISHED and remote.endswith(wanted):
                address = remote.partition(":")[0]
                if not endings or address.endswith(endings):
                    return True
    return False


def _rows(table: Path) -> Iterable[list[str]]:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # no IPv6 here
        return
    yield from (line.split() for line in lines)


def _kernel_form(address: str) -> str:
    """As the kernel prints it: words in its own byte order. An IPv4 address ends its mapped IPv6 form too."""
    packed = ipaddress.ip_address(address.strip("[]")).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)
