"""Whether an address answers: an ICMP echo, the first line that a TCP port says. It takes no program of the host."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

ECHO, REPLY = 8, 0
TRY_SECONDS = 1.0  # for one echo, one connection
LONGEST = 200  # bytes of a greeting


@dataclass
class Reached:
    """What an address answered; None where it did not.

    ping
        Seconds there and back.
    banner
        First line of the greeting.
    ping_after, banner_after
        Seconds until the first answer.
    """

    ping: float | None = None
    banner: str | None = None
    ping_after: float | None = None
    banner_after: float | None = None


def wait(
    address: str,
    port: int,
    seconds: float,
    *,
    enough: Callable[[str], bool] = bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    echo: Callable[[str], float | None] | None = None,
    greeting: Callable[[str, int], str | None] | None = None,
) -> Reached:
    """Wait until an address answers an echo and greets on a port, at most ``seconds`` for both together.

    enough
        Whether a greeting is the one that is waited for; when the time is over, the last one counts.

    Raises OSError where this process may not send an echo at all (it takes CAP_NET_RAW).
    """
    found, begun = Reached(), clock()
    while True:
        if found.ping is None:
            found.ping = (echo or ping)(address)
            found.ping_after = None if found.ping is None else clock() - begun
        if found.ping is not None:
            found.banner = (greeting or banner)(address, port)
            found.banner_after = None if found.banner is None else clock() - begun
        if (found.banner is not None and enough(found.banner)) or clock() - begun >= seconds:
            return found
        sleep(0.2)


def ping(address: str, timeout: float = TRY_SECONDS) -> float | None:
    """Seconds until an IPv4 address answered one echo; None when it did not."""
    number = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        begun = time.monotonic()
        try:
            raw.sendto(packet(number, 1), (address, 0))
        except OSError:  # no route, or the gateway says that nobody is there
            return None
        while (left := begun + timeout - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                answer, (sender, _) = raw.recvfrom(1024)
            except OSError:
                return None
            if sender == address and is_reply(answer, number):
                return time.monotonic() - begun
    return None


def packet(number: int, sequence: int) -> bytes:
    """An echo request (RFC 792)."""
    body = b"saltern" + bytes(9)
    header = struct.pack("!BBHHH", ECHO, 0, 0, number, sequence)
    return struct.pack("!BBHHH", ECHO, 0, checksum(header + body), number, sequence) + body


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_reply(answer: bytes, number: int) -> bool:
    """Whether an IPv4 packet is the reply to one of ours."""
    start = (answer[0] & 0xF) * 4 if answer else 0
    if len(answer) < start + 8:
        return False
    kind, _, _, found, _ = struct.unpack("!BBHHH", answer[start : start + 8])
    return bool(kind == REPLY and found == number)


def banner(address: str, port: int, timeout: float = TRY_SECONDS) -> str | None:
    """The first line that a port says by itself; None when it says nothing."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout) as connection:
        text = b""
        while b"\n" not in text and len(text) < LONGEST:
            more = connection.recv(LONGEST)
            if not more:
                break
            text += more
        line = text.splitlines()[0] if text else b""
        return "".join(c for c in line.decode("utf-8", "replace") if c.isprintable()) or None
    return None
