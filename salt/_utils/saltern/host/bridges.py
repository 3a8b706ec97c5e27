"""The bridges of a host: what its slice says (``network``) against what Open vSwitch's database and the kernel have.

Everything goes through the database's socket and ``ip``; the engine is not asked. What Saltern itself put on a bridge
bears its mark in ``external_ids``: the uplink's port ``saltern=uplink``, the bridge ``saltern-addresses``. Only that is
ever taken off again, when the model does not have it any more. Bridges themselves stay: Neutron may have ports there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host import cutguard, datapath, underlay
from saltern.host.links import Link, Links
from saltern.host.ovsdb import DATABASE, SOCKET, NoDatabase, Operation, Ovsdb, by_uuid, many, mapping, named

MARK, UPLINK, ADDRESSES = "saltern", "uplink", "saltern-addresses"
# On a port that was attached but not yet seen to cut nobody off: until when, epoch seconds. Whoever finds it later
# takes the port off (`saltern.host.bridgekeeper`), as whoever attached it did not live to see.
UNTIL = "saltern-until"
_LONGEST = 60.0  # seconds an attachment may take to be seen well
KIND = "network"  # of the changes
_APPEARS = 5.0  # seconds for the kernel to show a bridge's own interface

Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Port:
    """A port of a bridge, named as its interface."""

    uuid: str
    ours: bool
    error: str = ""


@dataclass
class Bridge:
    """A bridge as the database has it."""

    uuid: str
    datapath: str
    addresses: list[str]  # that Saltern gave to its own interface
    ports: dict[str, Port] = field(default_factory=dict)
    own: str = ""  # uuid of its own interface
    mtu: int | None = None  # that was asked for
    tunnel: str = ""  # mark of `saltern.host.underlay`


@dataclass
class Now:
    """What is there."""

    bridges: dict[str, Bridge]
    links: Mapping[str, Link]

    def holder(self, interface: str) -> str:
        """The bridge that has a port of this name; empty: none."""
        return next((name for name, bridge in self.bridges.items() if interface in bridge.ports), "")


@dataclass
class World:
    """What is needed of the host; handed in by tests."""

    root: Path | str = HOST_ROOT
    links: Links = field(default_factory=Links)
    database: Callable[[], Ovsdb] = lambda: Ovsdb(SOCKET)
    witnesses: Callable[[], list[cutguard.Witness]] = list
    settle: Callable[[str, Path | str], str] = datapath.settle
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time


def compare(model: Mapping[str, Any], world: World) -> Changes:
    """What :func:`present` would change; nothing is changed, no module of the kernel loaded.

    model
        The host's slice.

    Where no database answers yet, everything is still to be made. Returns ``{what: {"kind": "network", "current",
    "desired", "containers"}}``.
    """
    network = model.get("network")
    if not network:
        return {}
    known = datapath.known(world.root)
    changes = {} if known else {"datapath": (None, network["datapath"])}
    wanted = network["datapath"] if network["datapath"] != datapath.AUTO else known or ""
    try:
        with world.database() as database:
            now = read(database, world.links)
    except NoDatabase:
        now = Now({}, world.links.all())
    changes |= {what: (current, desired) for what, current, desired in _differences(network, wanted, now)}
    changes |= _tunnels(now, underlay.wanted(network, wanted, now.links, world.links) if wanted else None)
    return _document(network, changes)


def present(model: Mapping[str, Any], world: World) -> Changes:
    """Make the bridges as the slice says; arguments and answer as :func:`compare`.

    Raises SalternError: an uplink that the host itself lives on is refused before anything is changed, one that cuts it
    off is taken back.
    """
    network = model.get("network")
    if not network:
        return {}
    known = datapath.known(world.root)
    kind = world.settle(network["datapath"], world.root)
    changes: dict[str, tuple[Any, Any]] = {} if known == kind else {"datapath": (known, kind)}
    with world.database() as database:
        now = read(database, world.links)
        if faults := list(refusals(model, now, world.links)):
            raise SalternError("; ".join(faults), where="openstack:networks:provider", hint="Nothing was changed")
        way = underlay.wanted(network, kind, now.links, world.links)
        changes |= {what: (current, desired) for what, current, desired in _differences(network, kind, now)}
        changes |= _tunnels(now, way)
        maker = _Maker(database, world, now, kind)
        maker.make(network["bridges"])
        old = now.bridges.get(underlay.BRIDGE)
        there = (old.uuid, old.tunnel) if old else None
        run = os.path.dirname(database.path)
        underlay.lay(
            way, there, network["mtu"], database, world.links, run, world.witnesses() if way else (), maker.commit
        )
    return _document(network, changes)


def read(database: Ovsdb, links: Links) -> Now:
    """Bridges with their ports, and the interfaces of the host."""
    interfaces = {
        row["_uuid"]: row for row in database.select("Interface", ["_uuid", "name", "mtu_request", "error", "type"])
    }
    ports = {row["_uuid"]: row for row in database.select("Port", ["_uuid", "name", "interfaces", "external_ids"])}
    bridges = {}
    for row in database.select("Bridge", ["_uuid", "name", "datapath_type", "external_ids", "ports"]):
        made = Bridge(row["_uuid"], row["datapath_type"] or datapath.KERNEL, addresses_of(row))
        made.tunnel = row["external_ids"].get(underlay.TUNNEL, "")
        for uuid in many(row["ports"]):
            port = ports[uuid]
            for interface in (interfaces[each] for each in many(port["interfaces"])):
                name, ours = str(interface["name"]), port["external_ids"].get(MARK) == UPLINK
                if name == row["name"]:
                    made.own, made.mtu = interface["_uuid"], next(iter(many(interface["mtu_request"])), None)
                else:
                    made.ports[name] = Port(uuid, ours, "; ".join(map(str, many(interface["error"]))))
        bridges[str(row["name"])] = made
    return Now(bridges, links.all())


def refusals(model: Mapping[str, Any], now: Now, links: Links) -> Iterator[str]:
    """Why an uplink of the slice may not be attached, sentences: the host lives on it, or another bridge has it."""
    for wanted in model["network"]["bridges"]:
        name, interface = wanted["name"], wanted["interface"]
        if not interface or now.holder(interface) == name:
            continue
        if interface not in now.links:
            yield f"{interface} for {name} is not there (this host has {', '.join(sorted(now.links))})"
            continue
        if why := lives_on(model, interface, now.links, links):
            yield f"{interface} cannot be the uplink of {name}: {why}"
        other = now.holder(interface)
        if other and not now.bridges[other].ports[interface].ours:
            yield f"{interface} is a port of the bridge {other}, which somebody else made it; {name} cannot have it too"
        master = now.links[interface].master
        if master and not other:
            yield f"{interface} belongs to {master} already; {name} cannot have it too"


def lives_on(model: Mapping[str, Any], interface: str, all_links: Mapping[str, Link], links: Links) -> str:
    """Why a host would be cut off by giving away an interface; empty when it would not."""
    network, has = model["network"], {text.partition("/")[0] for text in all_links[interface].addresses}
    if model["address"] in has:
        return f"it has the host's address {model['address']}"
    if network["tunnel_address"] in has:
        return f"it has the address of the tunnels {network['tunnel_address']}"
    if any(route.device == interface for route in links.default_routes()):
        return "the default route leads out of it"
    others = [link for link in all_links.values() if link.name not in ("lo", interface) and link.addresses]
    return "it has the only address of the host" if has and not others else ""


def _differences(network: Mapping[str, Any], kind: str, now: Now) -> Iterator[tuple[str, Any, Any]]:
    """(what, current, desired) of everything that is not as the slice says. ``kind`` empty: not found out yet."""
    for name, bridge, wanted in _both(network["bridges"], now):
        if bridge is None and wanted is not None:
            yield f"bridge {name}", None, f"datapath {kind or network['datapath']}"
        if bridge is not None and wanted is not None and kind and bridge.datapath != kind:
            yield f"bridge {name}", f"datapath {bridge.datapath}", f"datapath {kind}"
        if bridge is not None and wanted is not None and bridge.mtu != wanted["mtu"]:
            yield f"mtu of {name}", bridge.mtu, wanted["mtu"]
        for interface in _surplus_uplinks(bridge, wanted):
            yield f"uplink {interface} of {name}", "attached", None
        for address in _surplus_addresses(bridge, wanted):
            yield f"address {address} of {name}", "there", None
        if wanted is not None:
            yield from _missing(name, bridge, wanted, now)


def _missing(name: str, bridge: Bridge | None, wanted: Mapping[str, Any], now: Now) -> Iterator[tuple[str, Any, Any]]:
    link = now.links.get(name) if bridge else None
    for address in wanted["addresses"]:
        if link is None or address not in link.addresses:
            yield f"address {address} of {name}", None, "there"
    if wanted["addresses"] and link is not None and not link.up:
        yield f"link {name}", "down", "up"
    if wanted["interface"] and (bridge is None or wanted["interface"] not in bridge.ports):
        yield f"uplink {wanted['interface']} of {name}", None, "attached"


def _both(wanted: list[Mapping[str, Any]], now: Now) -> Iterator[tuple[str, Bridge | None, Mapping[str, Any] | None]]:
    """Every bridge there is or that is wanted."""
    by_name = {entry["name"]: entry for entry in wanted}
    for name in dict.fromkeys([*by_name, *now.bridges]):
        yield name, now.bridges.get(name), by_name.get(name)


def _surplus_uplinks(bridge: Bridge | None, wanted: Mapping[str, Any] | None) -> list[str]:
    keep = wanted["interface"] if wanted else None
    return [name for name, port in bridge.ports.items() if port.ours and name != keep] if bridge else []


def _surplus_addresses(bridge: Bridge | None, wanted: Mapping[str, Any] | None) -> list[str]:
    keep = wanted["addresses"] if wanted else []
    return [address for address in bridge.addresses if address not in keep] if bridge else []


class _Maker:
    """Makes it so, in an order in which nothing is attached to what is not ready, nor held by two."""

    def __init__(self, database: Ovsdb, world: World, now: Now, kind: str) -> None:
        self.database, self.world, self.now, self.kind = database, world, now, kind

    def make(self, wanted: list[Mapping[str, Any]]) -> None:
        operations = [op for entry in wanted for op in self._bridge(entry)]
        for name, bridge, entry in _both(wanted, self.now):
            operations += [op for each in _surplus_uplinks(bridge, entry) for op in self._detach(name, each)]
        if operations:
            self.commit(*operations)
        for name, bridge, entry in _both(wanted, self.now):
            if bridge is not None:
                self._unaddress(name, bridge, _surplus_addresses(bridge, entry))
        self.now = read(self.database, self.world.links)
        for entry in wanted:
            self._address(entry)
        for entry in wanted:
            interface = entry["interface"]
            if interface and interface not in self.now.bridges[entry["name"]].ports:
                self._attach(entry["name"], interface)

    def commit(self, *operations: Operation) -> None:
        self.database.commit(*operations, clock=self.world.clock, sleep=self.world.sleep)

    def _bridge(self, wanted: Mapping[str, Any]) -> Iterator[Operation]:
        name, bridge = wanted["name"], self.now.bridges.get(wanted["name"])
        if bridge is not None:
            if bridge.datapath != self.kind:
                yield _update("Bridge", bridge.uuid, {"datapath_type": self.kind})
            if bridge.mtu != wanted["mtu"]:
                yield _update("Interface", bridge.own, {"mtu_request": wanted["mtu"]})
            return
        tag = "".join(each if each.isalnum() else "_" for each in name)
        own = {"name": name, "type": "internal", "mtu_request": wanted["mtu"]}
        yield {"op": "insert", "table": "Interface", "uuid-name": f"i_{tag}", "row": own}
        row: dict[str, Any] = {"name": name, "interfaces": named(f"i_{tag}")}
        yield {"op": "insert", "table": "Port", "uuid-name": f"p_{tag}", "row": row}
        # secure: without flows it forwards nothing, so that it is no loop before Neutron's agent has put them there,
        # nor while the agent is away; the agent would set it, too.
        row = {"name": name, "datapath_type": self.kind, "fail_mode": "secure", "ports": named(f"p_{tag}")}
        row["external_ids"] = mapping({MARK: "bridge"})
        yield {"op": "insert", "table": "Bridge", "uuid-name": f"b_{tag}", "row": row}
        yield _mutate(DATABASE, [], ["bridges", "insert", ["set", [named(f"b_{tag}")]]])

    def _detach(self, name: str, interface: str) -> list[Operation]:
        bridge = self.now.bridges[name]
        return [take_off(bridge.uuid, bridge.ports[interface].uuid)]

    def _unaddress(self, name: str, bridge: Bridge, surplus: list[str]) -> None:
        link = self.now.links.get(name)
        if surplus:
            # The mark first, else the keeper would give it back.
            self._remember(bridge, [each for each in bridge.addresses if each not in surplus])
        for address in surplus:
            if link is not None and address in link.addresses:
                self.world.links.remove_address(name, address)

    def _address(self, wanted: Mapping[str, Any]) -> None:
        name = wanted["name"]
        if not wanted["addresses"]:
            return
        bridge, link = self.now.bridges[name], self._appeared(name)
        missing = [address for address in wanted["addresses"] if address not in link.addresses]
        if missing:
            # The mark first: an address without one would stay for ever.
            self._remember(bridge, list(dict.fromkeys([*bridge.addresses, *missing])))
        for address in missing:
            self.world.links.add_address(name, address)
        # Without an address it stays down: it would only take what others announce on the provider's network.
        if not link.up:
            self.world.links.up(name)

    def _appeared(self, name: str) -> Link:
        end = self.world.clock() + _APPEARS
        while (link := self.world.links.all().get(name)) is None:
            if self.world.clock() >= end:
                raise SalternError(
                    f"the bridge {name} has no interface of its own on this host",
                    hint="Look at it: docker logs openvswitch_vswitchd",
                )
            self.world.sleep(0.1)
        return link

    def _remember(self, bridge: Bridge, addresses: list[str]) -> None:
        column = "external_ids"
        operations = [_mutate("Bridge", by_uuid(bridge.uuid), [column, "delete", ["set", [ADDRESSES]]])]
        if addresses:
            value = mapping({ADDRESSES: " ".join(addresses)})
            operations.append(_mutate("Bridge", by_uuid(bridge.uuid), [column, "insert", value]))
        self.database.transact(*operations)

    def _attach(self, name: str, interface: str) -> None:
        bridge = self.now.bridges[name]
        own = {"name": interface}
        marks = mapping({MARK: UPLINK, UNTIL: f"{self.world.now() + _LONGEST:.0f}"})
        row = {"name": interface, "interfaces": named("i"), "external_ids": marks}

        def do() -> None:
            self.commit(
                {"op": "insert", "table": "Interface", "uuid-name": "i", "row": own},
                {"op": "insert", "table": "Port", "uuid-name": "p", "row": row},
                _mutate("Bridge", by_uuid(bridge.uuid), ["ports", "insert", ["set", [named("p")]]]),
            )
            port = read(self.database, self.world.links).bridges[name].ports[interface]
            if port.error:
                raise SalternError(f"Open vSwitch cannot use {interface} on {name}: {port.error}")

        def undo() -> None:
            self.now = read(self.database, self.world.links)
            if interface in self.now.bridges[name].ports:
                self.commit(*self._detach(name, interface))

        cutguard.change(
            do,
            undo,
            self.world.witnesses(),
            what=f"attaching {interface} to {name}",
            clock=self.world.clock,
            sleep=self.world.sleep,
        )
        port = read(self.database, self.world.links).bridges[name].ports[interface]
        self.database.transact(_mutate("Port", by_uuid(port.uuid), ["external_ids", "delete", ["set", [UNTIL]]]))


def _tunnels(now: Now, way: underlay.Underlay | None) -> dict[str, tuple[Any, Any]]:
    bridge = now.bridges.get(underlay.BRIDGE)
    differs = underlay.difference(bridge.tunnel if bridge else None, way)
    return {"tunnels": differs} if differs else {}


def _document(network: Mapping[str, Any], changes: Mapping[str, tuple[Any, Any]]) -> Changes:
    containers = [network["container"]]
    return {
        what: {"kind": KIND, "current": current, "desired": desired, "containers": containers}
        for what, (current, desired) in changes.items()
    }


def addresses_of(row: Mapping[str, Any]) -> list[str]:
    """The addresses that Saltern gave to a bridge, from its row in the database."""
    return [ip_interface(text).with_prefixlen for text in row["external_ids"].get(ADDRESSES, "").split()]


def _update(table: str, uuid: str, row: Mapping[str, Any]) -> Operation:
    return {"op": "update", "table": table, "where": by_uuid(uuid), "row": dict(row)}


def take_off(bridge: str, port: str) -> Operation:
    """Takes a port off a bridge, both by their UUIDs."""
    return _mutate("Bridge", by_uuid(bridge), ["ports", "delete", ["set", [["uuid", port]]]])


def _mutate(table: str, where: list[Any], mutation: list[Any]) -> Operation:
    return {"op": "mutate", "table": table, "where": where, "mutations": [mutation]}
