"""Flows for a bridge of ours, by OpenFlow 1.0 over the bridge's own management socket: a handful, put there at once."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from saltern.contract.errors import SalternError

LOCAL = 0xFFFE
_VERSION, _HELLO, _ERROR, _ECHO, _ECHO_REPLY, _FLOW_MOD, _BARRIER, _BARRIER_REPLY = 1, 0, 1, 2, 3, 14, 18, 19
_IN_PORT, _DL_TYPE, _NW_PROTO, _TP_DST, _NW_DST, _ALL = 1, 1 << 4, 1 << 5, 1 << 7, 0x3F << 14, (1 << 22) - 1
ARP, IPV4, UDP, ARP_REPLY = 0x0806, 0x0800, 17, 2


@dataclass(frozen=True)
class Flow:
    """What comes in by a port and looks so goes out by another one. For ARP, ``protocol`` is the operation."""

    in_port: int
    out_port: int
    kind: int | None = None
    protocol: int | None = None
    to: str | None = None
    port: int | None = None
    priority: int = 10

    def packed(self) -> bytes:
        """The message's body: match, flow_mod (add), one action."""
        wild = _ALL & ~_IN_PORT
        for value, bits in (
            (self.kind, _DL_TYPE),
            (self.protocol, _NW_PROTO),
            (self.port, _TP_DST),
            (self.to, _NW_DST),
        ):
            wild &= ~bits if value is not None else _ALL
        fields = (self.in_port, bytes(6), bytes(6), 0, 0, self.kind or 0, 0, self.protocol or 0)
        address = int(IPv4Address(self.to)) if self.to else 0
        match = struct.pack("!IH6s6sHBxHBB2xIIHH", wild, *fields, 0, address, 0, self.port or 0)
        rest = struct.pack("!QHHHHIHH", 0, 0, 0, 0, self.priority, 0xFFFFFFFF, 0xFFFF, 0)
        return match + rest + struct.pack("!HHHH", 0, 8, self.out_port, 0)


def put(path: str, flows: Sequence[Flow], timeout: float = 5.0) -> None:
    """Add flows and wait until the bridge has them. Raises SalternError.

    path
        ``<bridge>.mgmt`` in Open vSwitch's run directory.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout)
            link.connect(path)
            link.sendall(_message(_HELLO, 1))
            for number, flow in enumerate(flows, 2):
                link.sendall(_message(_FLOW_MOD, number, flow.packed()))
            last = len(flows) + 2
            link.sendall(_message(_BARRIER, last))
            while True:
                _, kind, size, number = struct.unpack("!BBHI", _exactly(link, 8))
                body = _exactly(link, size - 8)
                if kind == _ECHO:
                    link.sendall(_message(_ECHO_REPLY, number, body))
                elif kind == _ERROR:
                    raise SalternError(f"the bridge refuses a flow: error {body[:4].hex()}", where=path)
                elif kind == _BARRIER_REPLY and number == last:
                    return
    except OSError as error:
        raise SalternError(f"the bridge takes no flows: {error}", where=path) from error


def _message(kind: int, number: int, body: bytes = b"") -> bytes:
    return struct.pack("!BBHI", _VERSION, kind, 8 + len(body), number) + body


def _exactly(link: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = link.recv(size - len(found))
        if not more:
            raise ConnectionError("it closed the connection")
        found += more
    return found
