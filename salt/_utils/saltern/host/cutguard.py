"""Change a host's network so that a change which cuts it off is taken back by the host itself.

Whoever asked for the change is on the far side of that network: when it is lost, nobody is left to say "take it back".
So the host looks before, changes, and looks again for some seconds; what answered before has to answer afterwards.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host.links import Links

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds for everything to answer again
ROUNDS = 3  # in a row, a second apart: an entry of a table somewhere that is still good hides a cut for a moment
PUBLISH_PORT, REQUEST_PORT = 4505, 4506
_TIMEOUT = 2.0


class CutOff(SalternError):
    """The change was taken back, as something did not answer any more."""


@dataclass(frozen=True)
class Witness:
    """Something that is seen over the network while it is well.

    needed
        It has to be seen before as well, else nothing is changed; otherwise it only counts if it was.
    """

    name: str
    sees: Callable[[], bool]
    needed: bool = True


def change(
    do: Callable[[], None],
    undo: Callable[[], None],
    witnesses: Sequence[Witness],
    *,
    what: str,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Do it, and undo it when a witness is lost or anything goes wrong.

    what
        For messages: "attaching eth1 to br-ex".

    Raises SalternError, with nothing changed, when a needed witness is not seen before; CutOff when one is lost.
    """
    seen = [witness for witness in witnesses if witness.sees()]
    if blind := [witness.name for witness in witnesses if witness.needed and witness not in seen]:
        raise SalternError(
            f"{' and '.join(blind)} cannot be reached from here before anything is changed; {what} was not tried",
            hint="Without it the host could not tell whether it cuts itself off",
        )
    kept = False
    try:
        do()
        lost = _watch(seen, patience, clock, sleep)
        kept = not lost
    finally:
        if not kept:
            log.warning("%s is taken back", what)
            undo()
    if not kept:
        back = not _watch(seen, patience, clock, sleep, rounds=1)
        raise CutOff(
            f"{what} cut this host off from {' and '.join(lost)}; it was taken back after {patience:g} s"
            + ("" if back else f", but {' and '.join(w.name for w in seen if not w.sees())} does not answer again yet"),
            hint="Take another interface: this one leads to what manages the host",
        )


def _watch(
    seen: Sequence[Witness],
    patience: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    rounds: int = ROUNDS,
) -> list[str]:
    """Names of those that did not answer until the end, empty as soon as all have so many times in a row."""
    end, good = clock() + patience, 0
    while True:
        lost = [witness.name for witness in seen if not witness.sees()]
        good = 0 if lost else good + 1
        if good == rounds:
            return []
        if clock() >= end and lost:
            return lost
        sleep(1.0)


def witnesses(options: Mapping[str, Any], links: Links) -> list[Witness]:
    """The minion's master, its publish and its request port; and the gateways of this host's default routes.

    options
        ``__opts__`` of the minion.
    """
    found = []
    if options.get("master_ip") and options.get("file_client") != "local":
        address = str(options["master_ip"]).strip("[]")
        ports = (options.get("publish_port") or PUBLISH_PORT, options.get("master_port") or REQUEST_PORT)
        found += [Witness(f"the master's port {address}:{port}", _connects(address, int(port))) for port in ports]
    for route in links.default_routes():
        if "." in route.gateway:
            name = f"the default gateway {route.gateway}"
            found.append(Witness(name, _resolves(route.gateway, route.device), needed=False))
    return found


def _connects(address: str, port: int) -> Callable[[], bool]:
    def sees() -> bool:
        try:
            with socket.create_connection((address, port), timeout=_TIMEOUT):
                return True
        except OSError:
            return False

    return sees


def _resolves(address: str, device: str) -> Callable[[], bool]:
    def sees() -> bool:
        try:
            return arp(address, device)
        except OSError:
            return False

    return sees


def arp(address: str, device: str, timeout: float = _TIMEOUT) -> bool:
    """Whether somebody on the link of an interface says that it has an IPv4 address. Raises OSError without rights."""
    asked = socket.inet_aton(address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as link:
        link.bind((device, 0x0806))
        own = link.getsockname()[4]
        # who-has, with our own address left out (a probe of RFC 5227): no table learns anything from it
        question = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, bytes(4), bytes(6), asked)
        link.send(b"\xff" * 6 + own + b"\x08\x06" + question)
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0 and select.select([link], [], [], left)[0]:
            frame = link.recv(2048)
            if frame[20:22] == b"\0\2" and frame[28:32] == asked:
                return True
    return False
