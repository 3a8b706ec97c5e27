"""What a schema cannot say about ``openstack:networks``: what would leave instances, or a host, without network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from saltern.model.cloud import Cloud, Host
from saltern.model.networks import MOST_TUNNELS, MOST_VLANS, NEUTRONS, ROLE, External, Range, Uplink
from saltern.model.problems import Problems, known, listed
from saltern.model.sources import Path

BASE: Path = ("openstack", "networks")
PROVIDER: Path = (*BASE, "provider")
EXTERNAL: Path = (*BASE, "external")


def check_networks(cloud: Cloud, problems: Problems) -> None:
    """Add every fault of the networks and of the hosts' parts in them."""
    _check_range((*BASE, "tunnel", "range"), cloud.networks.tunnel.range, MOST_TUNNELS, problems)
    for name, provider in cloud.networks.provider.items():
        for vlans in provider.vlans:
            _check_range((*PROVIDER, name, "vlans"), vlans, MOST_VLANS, problems)
        if provider.bridge in NEUTRONS:
            problems.add(
                (*PROVIDER, name, "bridge"), "a bridge of its own", f'"{provider.bridge}", which is Neutron\'s'
            )
    for host in cloud.hosts.values():
        _check_interfaces(cloud, host, problems)
    network = cloud.provider("network")
    if network:
        switched = cloud.members(network.provides["network"]["container"])
        _check_places(cloud, network.name, switched, problems)
        _check_tunnel_addresses(cloud, switched, problems)
    if cloud.networks.external:
        _check_external(cloud, cloud.networks.external, problems)


def _check_range(path: Path, found: Range, most: int, problems: Problems) -> None:
    if not 1 <= found[0] <= found[1] <= most:
        problems.add(path, f"a range between 1 and {most}, the lower number first", f"{found[0]}:{found[1]}")


def _check_interfaces(cloud: Cloud, host: Host, problems: Problems) -> None:
    """Each bridge of a host leads to one network, by an interface that nothing else uses."""
    base: Path = ("openstack", "hosts", host.id, "provider_interfaces")
    there = {uplink.name for uplink in host.provider}
    for name in host.provider_interfaces:
        known((*base, name), name, cloud.networks.provider, problems)
        if name in cloud.networks.provider and name not in there:
            roles = " or ".join(cloud.networks.provider[name].roles)
            hint = f"give the host that role, or name one of its own in openstack:networks:provider:{name}:roles"
            problems.add((*base, name), f"a host with role {roles}: they have the bridge", f"{host.id} has not", hint)
    bridges: dict[str, str] = {}
    interfaces: dict[str, str] = {}
    for uplink in host.provider:
        path = _interface_path(host, uplink)
        if uplink.bridge in bridges:
            expected = f"a bridge of its own: on {host.id} {bridges[uplink.bridge]} has this one"
            problems.add((*PROVIDER, uplink.name, "bridge"), expected, f'"{uplink.bridge}"')
        bridges.setdefault(uplink.bridge, uplink.name)
        if uplink.interface is None:
            continue
        if uplink.interface in interfaces:
            expected = f"an interface of its own: on {host.id} {interfaces[uplink.interface]} has this one"
            problems.add(path, expected, f'"{uplink.interface}"')
        interfaces.setdefault(uplink.interface, uplink.name)
        if uplink.interface == host.interface:
            problems.add(
                path,
                f"an interface that {host.id} does not need itself: a bridge's uplink carries no address",
                f'"{uplink.interface}", which is openstack:hosts:{host.id}:interface',
                f"name a second interface here or in {':'.join((*base, uplink.name))}; without one write null, and"
                " give the bridge an address by openstack:networks:external:host_address",
            )
        elif uplink.interface == uplink.bridge:
            problems.add(path, "the interface that the bridge leads to", "the bridge itself")


def _interface_path(host: Host, uplink: Uplink) -> Path:
    if uplink.name in host.provider_interfaces:
        return ("openstack", "hosts", host.id, "provider_interfaces", uplink.name)
    return (*PROVIDER, uplink.name, "interface")


def _check_places(cloud: Cloud, service: str, switched: list[Host], problems: Problems) -> None:
    for name in cloud.networks.provider:
        without = [h.id for h in cloud.hosts.values() if h not in switched and any(u.name == name for u in h.provider)]
        if without:
            expected = f"roles whose hosts run {service}, which makes the bridge"
            problems.add((*PROVIDER, name, "roles"), expected, f"not on {listed(without)}")


def _check_tunnel_addresses(cloud: Cloud, switched: list[Host], problems: Problems) -> None:
    owners = {ipaddress.ip_address(host.address): host.id for host in cloud.hosts.values()}
    for host in cloud.hosts.values():
        path: Path = ("openstack", "hosts", host.id, "tunnel_address")
        address = ipaddress.ip_address(host.tunnel_address)
        if owners.setdefault(address, host.id) != host.id and host.tunnel_address != host.address:
            problems.add(path, f'an address of its own; host "{owners[address]}" has this one', host.tunnel_address)
        if address.version != 4 and host in switched:
            problems.add(path, "an IPv4 address: tunnels over IPv6 are not supported", f"{host.tunnel_address}")
        elif address.is_loopback and host.tunnel_address != host.address and len(cloud.hosts) > 1:
            problems.add(path, "an address that the other hosts can reach", host.tunnel_address)


def _check_external(cloud: Cloud, external: External, problems: Problems) -> None:
    _check_floating(external, problems)
    _check_host_address(external, problems)
    for who, text in _addresses(cloud):
        address = ipaddress.ip_address(text)
        if address.version == 4 and address in external.cidr:
            problems.add(
                (*EXTERNAL, "cidr"),
                "a network apart from the hosts' own: Neutron answers for its addresses",
                f"{external.cidr}, in which {who} is {text}",
                "name the network that only floating addresses are in, by a VLAN or an interface of its own",
            )
    _check_external_provider(cloud, external, problems)


def _check_floating(external: External, problems: Problems) -> None:
    first, last = external.floating
    path: Path = (*EXTERNAL, "floating")
    usable = f"addresses of {external.cidr} that a host can have"
    if first > last:
        problems.add(path, "the lower address first", f"{first}, {last}")
    elif not all(_usable(external, address) for address in (first, last)):
        problems.add(path, usable, f"{first} to {last}")
    elif first <= external.gateway <= last:
        problems.add(path, f"a range without the gateway {external.gateway}", f"{first} to {last}")
    if not _usable(external, external.gateway):
        problems.add(
            (*EXTERNAL, "gateway"), f"an address of {external.cidr} that a host can have", str(external.gateway)
        )


def _check_host_address(external: External, problems: Problems) -> None:
    address, path = external.host_address, (*EXTERNAL, "host_address")
    if address is None:
        return
    first, last = external.floating
    if not _usable(external, address.ip) or address.network != external.cidr:
        expected = f"an address of {external.cidr} with its prefix, <address>/{external.cidr.prefixlen}"
        problems.add(path, expected, address.with_prefixlen)
    elif first <= address.ip <= last:
        problems.add(path, f"an address outside of the floating ones, {first} to {last}", str(address.ip))
    if external.vlan is not None:
        expected = "no host_address, as the network is a VLAN: the bridge's own address is in none"
        problems.add(path, expected, address.with_prefixlen)


def _usable(external: External, address: ipaddress.IPv4Address) -> bool:
    cidr = external.cidr
    ends = (cidr.network_address, cidr.broadcast_address) if cidr.prefixlen < 31 else ()
    return address in cidr and address not in ends


def _addresses(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Addresses that hosts need for themselves, with words for whose they are; each once."""
    seen: set[str] = set()
    for host in cloud.hosts.values():
        for key, address in (("address", host.address), ("tunnel_address", host.tunnel_address)):
            if address not in seen:
                yield f"the {key} of host {host.id}", address
            seen.add(address)
    if cloud.vip not in seen:
        yield "the vip", cloud.vip


def _check_external_provider(cloud: Cloud, external: External, problems: Problems) -> None:
    path: Path = (*EXTERNAL, "provider")
    provider = cloud.networks.provider.get(external.provider)
    if provider is None:
        known(path, external.provider, cloud.networks.provider, problems)
        return
    if external.vlan is not None and not provider.vlans:
        expected = "VLAN ids of the physical network, as openstack:networks:external:vlan is set"
        problems.add((*PROVIDER, provider.name, "vlans"), expected, "nothing")
    uplinks = {
        host.id: uplink for host in cloud.hosts.values() for uplink in host.provider if uplink.name == provider.name
    }
    without = [host.id for host in cloud.by_role.get(ROLE, ()) if host.id not in uplinks]
    if without:
        hint = f"add {ROLE} to openstack:networks:provider:{provider.name}:roles"
        problems.add(
            path,
            f"a network whose bridge is on all hosts with role {ROLE}, where routers are",
            f"not on {listed(without)}",
            hint,
        )
    apart = [host for host, uplink in uplinks.items() if uplink.interface is None]
    if external.host_address and len(uplinks) > 1 and apart:
        expected = (
            "no host_address, or an interface on each host with the bridge: one host has the address, all have routers"
        )
        problems.add((*EXTERNAL, "host_address"), expected, f"no interface on {listed(apart)}")
