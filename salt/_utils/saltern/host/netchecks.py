"""Prechecks of a host's network: uplinks, MTUs, addresses of bridges, an Open vSwitch that is not ours. No engine.

What the state of the bridges refuses (`saltern.host.bridges`) is found here before a run changes anything at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import bridges, sockets
from saltern.host.links import Link, Links
from saltern.host.ovsdb import SOCKET, Ovsdb
from saltern.host.prechecks import Check
from saltern.host.underlay import BRIDGE

PROGRAMS = ("ovs-vswitchd", "ovsdb-server")


def run(model: Mapping[str, Any], links: Links | None = None, proc: Path = sockets.PROC) -> list[Check]:
    """All of them; none for a host without Open vSwitch.

    model
        The host's slice.
    """
    network, links = model.get("network"), links or Links()
    if not network:
        return []
    try:
        now = _now(links)
    except SalternError as error:
        return [Check("network interfaces", False, error.message, "to be read", error.hint)]
    return [
        *uplinks(model, now, links),
        *mtus(network, now.links),
        *bridge_names(network, now),
        *addresses(network, now.links),
        foreign(proc),
    ]


def _now(links: Links) -> bridges.Now:
    try:
        with Ovsdb(SOCKET, timeout=3) as database:
            return bridges.read(database, links)
    except SalternError:  # not there yet, or of no help: then the kernel alone tells
        return bridges.Now({}, links.all())


def uplinks(model: Mapping[str, Any], now: bridges.Now, links: Links) -> Iterator[Check]:
    """Each uplink is there, up, and free: the host does not live on it, and no other bridge or bond has it."""
    for wanted in model["network"]["bridges"]:
        name, interface = wanted["name"], wanted["interface"]
        if not interface:
            continue
        link, expected = now.links.get(interface), f"there, up and free for {name}"
        check = f"uplink {interface}"
        if link is None:
            have = ", ".join(sorted(set(now.links) - {"lo"}))
            hint = f"This host has {have}; correct openstack:hosts:<id>:provider_interfaces:{wanted['provider']}"
            yield Check(check, False, "not there", expected, hint)
        elif not link.up:
            yield Check(check, False, "down", expected, f"Bring it up: ip link set {interface} up, also at boot")
        elif now.holder(interface) == name:
            yield Check(check, True, f"attached to {name}", expected)
        elif why := bridges.lives_on(model, interface, now.links, links):
            hint = f"The host would be cut off: give {name} an interface of its own, or none (interface: null)"
            yield Check(check, False, why, expected, hint)
        elif held := _held(interface, link, now):
            yield Check(check, False, held, expected, f"Take it out there first, or give {name} another interface")
        else:
            yield Check(check, True, "up and free", expected)


def _held(interface: str, link: Link, now: bridges.Now) -> str:
    """Who has an interface, empty where nobody has or where we put it and may take it away."""
    holder = now.holder(interface)
    if holder:
        ours = now.bridges[holder].ports[interface].ours
        return "" if ours else f"a port of the Open vSwitch bridge {holder}"
    return f"a port of the {link.port_of or 'interface'} {link.master}" if link.master else ""


def mtus(network: Mapping[str, Any], links: Mapping[str, Link]) -> Iterator[Check]:
    """Interfaces let frames through that are as large as the model says."""
    for wanted in network["bridges"]:
        link = links.get(wanted["interface"] or "")
        if link is not None:
            key = f"openstack:networks:provider:{wanted['provider']}:mtu"
            yield _mtu(link, wanted["mtu"], f"for {wanted['provider']}", key)
    for link in links.values():
        if network["tunnel_address"] in _plain(link) and link.name not in ("lo", BRIDGE):
            yield _mtu(link, network["mtu"], "for tunnels", "openstack:networks:tunnel:mtu")


def _mtu(link: Link, least: int, use: str, key: str) -> Check:
    good = link.mtu >= least
    hint = "" if good else f"Set it (ip link set {link.name} mtu {least}, also at boot), or say {key}: {link.mtu}"
    return Check(f"mtu {link.name}", good, str(link.mtu), f"at least {least} {use}", hint)


def bridge_names(network: Mapping[str, Any], now: bridges.Now) -> Iterator[Check]:
    """No interface that is something else has the name of a bridge."""
    for wanted in network["bridges"]:
        link = now.links.get(wanted["name"])
        if link is None or wanted["name"] in now.bridges or link.kind in ("", "tun", "openvswitch"):
            continue
        found = f"an interface of kind {link.kind} has this name"
        hint = f"Say another openstack:networks:provider:{wanted['provider']}:bridge, or remove that interface"
        yield Check(f"bridge {wanted['name']}", False, found, "the name of no other interface", hint)


def addresses(network: Mapping[str, Any], links: Mapping[str, Link]) -> Iterator[Check]:
    """The network of a bridge's address is on no other interface: the host would answer it by the wrong one."""
    for wanted in network["bridges"]:
        for text in wanted["addresses"]:
            net = ip_interface(text).network
            others = [
                f"{address} on {link.name}"
                for link in links.values()
                if link.name != wanted["name"]
                for address in link.addresses
                if ip_interface(address).version == net.version and ip_interface(address).network.overlaps(net)
            ]
            found = f"overlaps {others[0]}" if others else "a network of its own"
            hint = "Correct openstack:networks:external, or remove that address" if others else ""
            yield Check(f"address {text} of {wanted['name']}", not others, found, "a network of its own", hint)


def foreign(proc: Path = sockets.PROC) -> Check:
    """No Open vSwitch runs in the host's network but ours: two of them would fight for its interfaces."""
    found = [f"{name} (pid {pid})" for name, pid in _foreign(proc)]
    hint = "Stop it for good (systemctl disable --now openvswitch-switch); what uses its bridges loses its network"
    shown = ", ".join(found) or "none but ours"
    return Check("Open vSwitch", not found, shown, "none but ours", hint if found else "")


def _foreign(proc: Path) -> Iterable[tuple[str, int]]:
    """Programs of an Open vSwitch in this network namespace that run in no container of ours."""
    here = os.readlink(proc / "self" / "ns" / "net")
    for process in sorted(path for path in proc.iterdir() if path.name.isdigit()):
        try:
            name = (process / "comm").read_text().strip()
            if name in PROGRAMS and os.readlink(process / "ns" / "net") == here and not sockets.container_of(process):
                yield name, int(process.name)
        except OSError:  # ended since
            continue


def _plain(link: Link) -> set[str]:
    return {address.partition("/")[0] for address in link.addresses}
