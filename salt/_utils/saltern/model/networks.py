"""``openstack:networks`` with every default in place: the tunnels between hosts, and the networks around the cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

MTU = 1500
ROLE = "network"  # hosts with it have the bridges, and the routers
NEUTRONS = ("br-int", "br-tun", "br-underlay")  # bridges of its agent, and ours for tunnels in userspace
MOST_TUNNELS = 2**24 - 1  # a VXLAN identifier has 24 bits
MOST_VLANS = 4094

Range = tuple[int, int]


@dataclass(frozen=True)
class Tunnel:
    """The networks of projects: what carries them from host to host."""

    type: str
    range: Range
    mtu: int  # of the network below; Neutron takes the tunnel's own part off


@dataclass(frozen=True)
class Provider:
    """A physical network that Neutron knows by a name, and the bridge that leads to it."""

    name: str
    bridge: str
    interface: str | None
    mtu: int
    vlans: tuple[Range, ...]
    roles: tuple[str, ...]  # whose hosts have the bridge


@dataclass(frozen=True)
class External:
    """The network that floating addresses come from."""

    name: str
    provider: str
    vlan: int | None
    cidr: IPv4Network
    gateway: IPv4Address
    floating: tuple[IPv4Address, IPv4Address]
    host_address: IPv4Interface | None


@dataclass(frozen=True)
class Uplink:
    """A provider network as one host has it."""

    name: str
    bridge: str
    interface: str | None
    mtu: int

    def as_dict(self) -> dict[str, Any]:
        """What templates see."""
        return {"name": self.name, "bridge": self.bridge, "interface": self.interface}


@dataclass(frozen=True)
class Networks:
    """All of it."""

    tunnel: Tunnel
    provider: Mapping[str, Provider] = field(hash=False)
    external: External | None
    datapath: str

    def uplinks(self, roles: Iterable[str], interfaces: Mapping[str, str | None]) -> tuple[Uplink, ...]:
        """The provider networks of a host with these roles.

        interfaces
            The host's ``provider_interfaces``: they win over the networks' own.
        """
        return tuple(
            Uplink(p.name, p.bridge, interfaces.get(p.name, p.interface), p.mtu)
            for p in self.provider.values()
            if not set(p.roles).isdisjoint(roles)
        )

    def as_dict(self) -> dict[str, Any]:
        """What templates and the plan hold: ranges as Neutron's files write them, ``100:199``."""
        return {
            "tunnel": {"type": self.tunnel.type, "range": _text(self.tunnel.range), "mtu": self.tunnel.mtu},
            "provider": {
                p.name: {
                    "bridge": p.bridge,
                    "interface": p.interface,
                    "mtu": p.mtu,
                    "vlans": [_text(vlans) for vlans in p.vlans],
                    "roles": list(p.roles),
                }
                for p in self.provider.values()
            },
            "external": self.external
            and {
                "name": self.external.name,
                "provider": self.external.provider,
                "vlan": self.external.vlan,
                "cidr": str(self.external.cidr),
                "gateway": str(self.external.gateway),
                "floating": [str(address) for address in self.external.floating],
                "host_address": self.external.host_address and self.external.host_address.with_prefixlen,
            },
            "datapath": self.datapath,
        }


def resolve(tree: Mapping[str, Any]) -> Networks:
    """Fill in defaults. The tree must have passed the schema."""
    tunnel = tree.get("tunnel") or {}
    external = tree.get("external")
    return Networks(
        tunnel=Tunnel(tunnel.get("type", "vxlan"), _range(tunnel.get("range", "1:65535")), tunnel.get("mtu", MTU)),
        provider={name: _provider(name, entry) for name, entry in (tree.get("provider") or {}).items()},
        external=_external(external) if external else None,
        datapath=tree.get("datapath", "auto"),
    )


def _provider(name: str, entry: Mapping[str, Any]) -> Provider:
    vlans = entry.get("vlans") or []
    return Provider(
        name=name,
        bridge=entry["bridge"],
        interface=entry.get("interface"),
        mtu=entry.get("mtu", MTU),
        vlans=tuple(_range(text) for text in ([vlans] if isinstance(vlans, str) else vlans)),
        roles=tuple(entry.get("roles", (ROLE,))),
    )


def _external(entry: Mapping[str, Any]) -> External:
    cidr = IPv4Network(entry["cidr"])
    first, last = entry["floating"]
    address = entry.get("host_address")
    return External(
        name=entry.get("name", "public"),
        provider=entry["provider"],
        vlan=entry.get("vlan"),
        cidr=cidr,
        # Neutron's own choice where nobody makes one
        gateway=IPv4Address(entry["gateway"]) if entry.get("gateway") else next(iter(cidr.hosts())),
        floating=(IPv4Address(first), IPv4Address(last)),
        host_address=IPv4Interface(address) if address else None,
    )


def _range(text: str) -> Range:
    first, _, last = text.partition(":")
    return int(first), int(last or first)


def _text(found: Range) -> str:
    return f"{found[0]}:{found[1]}"
