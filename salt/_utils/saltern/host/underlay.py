"""Tunnels of the userspace datapath: their way out of the host, beside the kernel's and without touching it.

Open vSwitch in userspace sends a tunnel's packets only by a bridge of its own. To move the host's address there would
make the host's whole network depend on the switch; instead the bridge ``br-underlay`` shares the interface with the
kernel:

- The interface that has the tunnels' address is its port. A packet socket gives the switch a copy of what comes in; the
  kernel goes on as before.
- Its own interface has the tunnels' address a second time, without a route: the switch knows by it who it is.
- Three flows let through what is the tunnels' and nothing else, so that the kernel gets nothing twice.
- The switch's own routes lead to the other hosts by this bridge.

Flows and routes live in the switch's memory; the mark in ``external_ids`` says what to give it again after its restart.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import cutguard, openflow
from saltern.host.links import Link, Links
from saltern.host.openflow import LOCAL, Flow
from saltern.host.ovsdb import DATABASE, JsonRpc, Operation, Ovsdb, mapping, named

BRIDGE = "br-underlay"
TUNNEL = "saltern-tunnel"
PORT = 1  # OpenFlow's number of the interface
VXLAN = 4789


@dataclass(frozen=True)
class Underlay:
    """The way of the tunnels. ``peers``: address of another host → gateway to it, empty where it is on the link."""

    interface: str
    mac: str
    address: str
    peers: dict[str, str]

    def mark(self) -> str:
        """As it is remembered in the database."""
        return json.dumps(asdict(self), sort_keys=True)

    def __str__(self) -> str:
        return f"by {self.interface} to {len(self.peers)} host{'' if len(self.peers) == 1 else 's'}"


def marked(text: str) -> Underlay | None:
    """What a mark says; None for none."""
    try:
        return Underlay(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None


def wanted(network: Mapping[str, Any], kind: str, all_links: Mapping[str, Link], links: Links) -> Underlay | None:
    """What a slice's ``network`` needs with a datapath; None: nothing. Raises SalternError where no interface has the
    tunnels' address."""
    peers = network.get("peers") or ()
    if kind != "netdev" or not peers:
        return None
    for link in all_links.values():
        for address in link.addresses if link.name not in ("lo", BRIDGE) else ():
            if address.partition("/")[0] == network["tunnel_address"]:
                return Underlay(
                    link.name, link.mac, address, {peer: links.gateway(peer, link.name) for peer in sorted(peers)}
                )
    raise SalternError(
        f"no interface of this host has the address of the tunnels {network['tunnel_address']}",
        hint="Correct openstack:hosts:<id>:tunnel_address, or configure the address",
    )


def insert(way: Underlay, mtu: int) -> list[Operation]:
    """Makes the bridge with its port."""
    own = {"name": BRIDGE, "type": "internal", "mtu_request": mtu}
    port = {"name": way.interface, "ofport_request": PORT}
    ids = mapping({"saltern": "tunnel", TUNNEL: way.mark()})
    # One link, one address of it: else the other hosts would learn two for the same IP address, and send the kernel's
    # packets to the one that it does not listen to.
    own_mac = mapping({"hwaddr": way.mac})
    bridge: dict[str, Any] = {"name": BRIDGE, "datapath_type": "netdev", "fail_mode": "secure", "external_ids": ids}
    bridge["other_config"] = own_mac
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "i0", "row": own},
        {"op": "insert", "table": "Interface", "uuid-name": "i1", "row": port},
        {"op": "insert", "table": "Port", "uuid-name": "p0", "row": {"name": BRIDGE, "interfaces": named("i0")}},
        {"op": "insert", "table": "Port", "uuid-name": "p1", "row": {"name": way.interface, "interfaces": named("i1")}},
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {**bridge, "ports": ["set", [named("p0"), named("p1")]]},
        },
        {"op": "mutate", "table": DATABASE, "where": [], "mutations": [["bridges", "insert", ["set", [named("b")]]]]},
    ]


def remove(uuid: str) -> Operation:
    """Takes the whole bridge away."""
    gone = ["bridges", "delete", ["set", [["uuid", uuid]]]]
    return {"op": "mutate", "table": DATABASE, "where": [], "mutations": [gone]}


def remember(way: Underlay) -> list[Operation]:
    """Writes another mark."""
    row = {"table": "Bridge", "where": [["name", "==", BRIDGE]]}
    return [
        {"op": "mutate", **row, "mutations": [["external_ids", "delete", ["set", [TUNNEL]]]]},
        {"op": "mutate", **row, "mutations": [["external_ids", "insert", mapping({TUNNEL: way.mark()})]]},
        {"op": "update", **row, "row": {"other_config": mapping({"hwaddr": way.mac})}},
    ]


def difference(mark: str | None, way: Underlay | None) -> tuple[str | None, str | None] | None:
    """(current, desired), None where nothing differs.

    mark
        That of the bridge; None: there is no such bridge.
    """
    if (mark or "") == (way.mark() if way else "") and (mark is None) == (way is None):
        return None
    return None if mark is None else str(marked(mark) or "unknown"), None if way is None else str(way)


def lay(
    way: Underlay | None,
    there: tuple[str, str] | None,
    mtu: int,
    database: Ovsdb,
    links: Links,
    run: str,
    witnesses: Sequence[cutguard.Witness],
    commit: Callable[..., None],
) -> None:
    """Bring the bridge to what is wanted. Raises SalternError; CutOff when it was taken back.

    there
        UUID and mark of the bridge that there is.
    commit
        ``database.commit`` with a clock.
    """
    former = marked(there[1]) if there else None
    if there and (way is None or former is None or former.interface != way.interface):
        commit(remove(there[0]))
        there = None
    if way is None:
        return
    if there is None:

        def do() -> None:
            commit(*insert(way, mtu))
            _settled(way, database, links, run)

        what = f"sharing {way.interface} with {BRIDGE}"
        cutguard.change(do, lambda: _undo(database, commit), witnesses, what=what)
        return
    if there[1] != way.mark():
        commit(*remember(way))
    _settled(way, database, links, run)


def _undo(database: Ovsdb, commit: Callable[..., None]) -> None:
    for row in database.select("Bridge", ["_uuid"], [["name", "==", BRIDGE]]):
        commit(remove(row["_uuid"]))


def _settled(
    way: Underlay, database: Ovsdb, links: Links, run: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """As :func:`settle`; the switch hears of a new address a moment after the kernel has it."""
    for left in range(20, -1, -1):
        try:
            return settle(way, database, links, run)
        except SalternError:
            if not left:
                raise
        sleep(0.1)


def settle(way: Underlay, database: Ovsdb, links: Links, run: str) -> None:
    """Address, flows and routes; they may be there already. Raises SalternError.

    run
        Open vSwitch's run directory.
    """
    link = links.all().get(BRIDGE)
    if link is None:
        raise SalternError(f"the bridge {BRIDGE} has no interface of its own yet")
    if way.address not in link.addresses:
        links.add_address(BRIDGE, way.address, routed=False)
    if not link.up:
        links.up(BRIDGE)
    rows = database.select("Interface", ["ofport", "error"], [["name", "==", way.interface]])
    port = rows[0]["ofport"] if rows else -1
    if not isinstance(port, int) or port < 1:
        raise SalternError(
            f"Open vSwitch cannot use {way.interface} for tunnels: {rows[0]['error'] if rows else 'gone'}"
        )
    own = way.address.partition("/")[0]
    flows = [
        Flow(LOCAL, port),
        Flow(port, LOCAL, kind=openflow.IPV4, protocol=openflow.UDP, to=own, port=VXLAN),
        Flow(port, LOCAL, kind=openflow.ARP, protocol=openflow.ARP_REPLY),
    ]
    openflow.put(os.path.join(run, f"{BRIDGE}.mgmt"), flows)
    with JsonRpc(os.path.join(run, "ovs-vswitchd.ctl")) as switch:
        for peer, gateway in way.peers.items():
            switch.call("ovs/route/add", [f"{peer}/32", BRIDGE, *([gateway] if gateway else []), f"src={own}"])
