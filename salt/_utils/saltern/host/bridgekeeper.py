"""Keeps what Saltern gave to bridges, beside the health engine and without a master.

At a boot the switch makes its bridges anew from its database, but nobody gives them their addresses; and a minion that
was killed while it attached an uplink cannot take it off again. Both are found here within seconds, and so are ports of
instances that are down though nobody wants it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from saltern.contract.errors import SalternError
from saltern.host import bridges, underlay
from saltern.host.links import Link, Links
from saltern.host.ovsdb import SOCKET, NoDatabase, Ovsdb, many

log = logging.getLogger(__name__)

EVERY = 3.0  # seconds


def start(sleep: Callable[[float], None] = time.sleep) -> threading.Thread:
    """Look every three seconds, and within one when the switch was started, in a thread that ends with the process."""

    def keep() -> None:
        seen, looked = "", 0.0
        while True:
            switch = _switch()
            if switch != seen or time.monotonic() - looked > EVERY:
                # What failed is tried again soon: a switch that has just started may not have its bridges yet.
                seen = switch if look(bridges.World()) else ""
                looked = time.monotonic()
            sleep(1.0)

    thread = threading.Thread(target=keep, name="bridges", daemon=True)
    thread.start()
    return thread


def _switch(path: str = os.path.join(os.path.dirname(SOCKET), "ovs-vswitchd.ctl")) -> str:
    """Another text for each start of the switch: its flows and routes are lost then."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_ctime_ns}"


def look(world: bridges.World, socket: str = SOCKET) -> bool:
    """Look once; whether all was well. What goes wrong is told in the log and tried again at the next look."""
    if not os.path.exists(socket):
        return True
    try:
        for sentence in restore(world):
            log.warning("%s", sentence)
        return True
    except NoDatabase as error:
        log.debug("%s", error)
    except (SalternError, OSError) as error:
        log.warning("Bridges were not looked after: %s", error)
    except Exception:
        log.exception("Bridges were not looked after")
    return False


def restore(world: bridges.World) -> list[str]:
    """Give bridges the addresses back that the kernel has lost, as at a boot; the database knows them, no model does.

    Also takes off an uplink whose attachment nobody lived to see well. Returns sentences of what was done. Raises
    SalternError; NoDatabase where Open vSwitch does not run.
    """
    done = []
    with world.database() as database:
        rows = database.select("Bridge", ["_uuid", "name", "external_ids", "ports"])
        for uuid, name in _overdue(database, world.now()):
            for row in rows:
                if uuid in many(row["ports"]):
                    database.commit(bridges.take_off(row["_uuid"], uuid), clock=world.clock, sleep=world.sleep)
                    done.append(f"{name} was taken off {row['name']}: nobody had seen that it cuts nobody off")
        if given := {str(row["name"]): bridges.addresses_of(row) for row in rows if bridges.addresses_of(row)}:
            links = world.links.all()
            for name, addresses in given.items():
                done += _readdress(world.links, links.get(name), addresses)
        done += _lift(database, world.links)
        for row in rows:
            if way := underlay.marked(row["external_ids"].get(underlay.TUNNEL, "")):
                underlay.settle(way, database, world.links, os.path.dirname(database.path))
    return done


def _lift(database: Ovsdb, links: Links) -> Iterator[str]:
    """Instances' ports that are down: the switch may have put them there.

    Nova names the port before libvirt makes the tap and brings it up at once. The switch, which has just seen it made,
    sets it promiscuous with the flags that it last knew of, and "up" is lost between the two.
    """
    rows = database.select("Interface", ["name", "external_ids", "admin_state"])
    down = [row for row in rows if row["admin_state"] == "down" and "vm-uuid" in row["external_ids"]]
    there = links.all() if down else {}
    for row in down:
        link = there.get(row["name"])
        if link is not None and not link.up:  # the database learns of it seconds later
            links.up(link.name)
            yield f"{link.name} of instance {row['external_ids']['vm-uuid']} was down and is up again"


def _overdue(database: Ovsdb, now: float) -> Iterator[tuple[str, str]]:
    for row in database.select("Port", ["_uuid", "name", "external_ids"]):
        until = row["external_ids"].get(bridges.UNTIL)
        if until is not None and row["external_ids"].get(bridges.MARK) == bridges.UPLINK and float(until) < now:
            yield row["_uuid"], row["name"]


def _readdress(links: Links, link: Link | None, addresses: list[str]) -> Iterator[str]:
    if link is None:  # the switch has not made it yet
        return
    for address in addresses:
        if address not in link.addresses:
            links.add_address(link.name, address)
            yield f"{link.name} has its address {address} again"
    if addresses and not link.up:
        links.up(link.name)
        yield f"{link.name} is up again"
