"""The resolved model: one cloud with its hosts and the services that are enabled, every default in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from saltern.contract.names import image_reference, image_tag
from saltern.model import networks
from saltern.model.networks import Networks, Uplink
from saltern.model.services import Frontend, Service, roles_of
from saltern.model.sources import Sources
from saltern.model.units import hostport, seconds

TOOLBOX = "kolla_toolbox"
MEMCACHED_PORT = 11211
REGISTRY_PASSWORD = "registry_password"  # the secret that goes with images:registry_username

IMAGES = {
    "registry": None,
    "namespace": "saltern",
    "prefix": "",
    "tag": None,
    "builder": None,
    "type": "source",
    "distro": "debian",
    "registry_username": None,
    "registry_ca": None,
}
HEAL = {"enabled": True, "dry_run": False, "patience": 1.0, "sweep": 60, "interval": 30}
HEAL_SECONDS = ("patience", "sweep", "interval", "budget_window", "silent")
DEFAULTS: dict[str, Any] = {"cloud": "saltern", "release": "2025.2", "region": "RegionOne", "vip": None, "debug": False}


@dataclass(frozen=True)
class Host:
    """A machine with a minion and an engine."""

    id: str
    address: str
    roles: tuple[str, ...]
    interface: str | None
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tunnel_address: str = ""
    provider_interfaces: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    provider: tuple[Uplink, ...] = ()  # the provider networks that have a bridge here

    def runs(self, container: Mapping[str, Any]) -> bool:
        """Whether a container of a service.yaml runs here."""
        return not set(self.roles).isdisjoint(roles_of(container))

    def as_dict(self) -> dict[str, Any]:
        """What templates see."""
        return {
            "id": self.id,
            "address": self.address,
            "roles": list(self.roles),
            "interface": self.interface,
            "tunnel_address": self.tunnel_address,
            "provider": [uplink.as_dict() for uplink in self.provider],
        }


@dataclass
class Cloud:
    """All that slices, plan and checks are made of."""

    name: str
    release: str
    region: str
    vip: str
    debug: bool
    hosts: dict[str, Host]
    networks: Networks
    services: dict[str, Service]  # the enabled ones, in start order
    all_services: dict[str, Service]
    variables: dict[str, dict[str, Any]]
    limits: dict[str, dict[str, dict[str, Any]]]
    images: dict[str, Any]
    config: dict[str, Any]
    heal: dict[str, Any]
    secrets: dict[str, Any]
    sources: Sources
    auto_join: bool = False
    first_cloud: dict[str, Any] = field(default_factory=dict)  # as written; saltern.model.first_cloud has the defaults

    @cached_property
    def by_role(self) -> dict[str, list[Host]]:
        """Hosts of each role, in the order of the pillar."""
        roles: dict[str, list[Host]] = {}
        for host in self.hosts.values():
            for role in host.roles:
                roles.setdefault(role, []).append(host)
        return roles

    @cached_property
    def toolbox_host(self) -> Host | None:
        """The first host with role ``control``: batches and jobs run there."""
        return next(iter(self.by_role.get("control", ())), None)

    @cached_property
    def owners(self) -> dict[str, Service]:
        """The service of each container, by the container's base name."""
        return {name: service for service in self.services.values() for name in service.containers}

    @cached_property
    def secret_values(self) -> set[str]:
        """Every value under ``openstack:secrets``."""
        return texts_of(self.secrets)

    @cached_property
    def frontends(self) -> dict[str, Frontend]:
        """Frontends of enabled services by name, sorted."""
        found = {f.name: f for service in self.services.values() for f in service.frontends}
        return dict(sorted(found.items()))

    def members(self, container: str) -> list[Host]:
        """Hosts that run a container; none for one that is not enabled."""
        service = self.owners.get(container)
        return [h for h in self.hosts.values() if h.runs(service.containers[container])] if service else []

    def backends(self, frontend: Frontend) -> list[dict[str, Any]]:
        return [{"host": h.id, "address": h.address, "port": frontend.listen} for h in self.members(frontend.container)]

    def url(self, name: str) -> str:
        """``http://<vip>:<port>`` of a frontend. Raises KeyError for one that is not enabled."""
        return f"http://{hostport(self.vip, self.frontends[name].port)}"

    def image(self, name: str) -> str:
        """Full reference of an image."""
        images = self.images
        return image_reference(
            name,
            tag=images["tag"] or image_tag(self.release, images["distro"], images["type"]),
            namespace=images["namespace"],
            prefix=images["prefix"],
            registry=images["registry"] or "",
        )

    def provider(self, kind: str) -> Service | None:
        """The enabled service that provides ``database``, ``identity``, ``messaging`` or ``network``."""
        return next((s for s in self.services.values() if kind in s.provides), None)

    def memcached_servers(self) -> str:
        hosts = self.members("memcached")
        ports = self.owners["memcached"].containers["memcached"]["ports"] if hosts else []
        port = ports[0] if ports and isinstance(ports[0], int) else MEMCACHED_PORT
        return ",".join(hostport(host.address, port) for host in hosts)

    def instances(self, service: str, container: str) -> list[tuple[str | None, Any]]:
        """Keys and values that ``for_each`` makes of a container; one without key when it has none."""
        variable = self.services[service].containers[container]["for_each"]
        if not variable:
            return [(None, None)]
        items = self.variables[service].get(variable) or {}
        pairs = items.items() if isinstance(items, dict) else ((str(item), item) for item in items)
        return [(str(key), value) for key, value in pairs]


def texts_of(value: Any) -> set[str]:
    """Every text and number in a tree, as text."""
    if isinstance(value, Mapping):
        return {text for item in value.values() for text in texts_of(item)}
    if isinstance(value, list):
        return {text for item in value for text in texts_of(item)}
    return {str(value)} if isinstance(value, (str, int, float)) and not isinstance(value, bool) else set()


def enabled(tree: Mapping[str, Any], services: Mapping[str, Service]) -> dict[str, Service]:
    """The services that are switched on, by the pillar, else by themselves, else by a role that a host has."""
    chosen = tree.get("services") or {}
    roles = {role for host in (tree.get("hosts") or {}).values() for role in (host or {}).get("roles") or ()}

    def on(name: str, service: Service) -> bool:
        wanted = (chosen.get(name) or {}).get("enabled", service.enabled)
        return wanted in roles if isinstance(wanted, str) else bool(wanted)

    return {name: service for name, service in services.items() if on(name, service)}


def in_start_order(services: Mapping[str, Service]) -> tuple[dict[str, Service], list[str]]:
    """Services so that each comes after what it needs, names breaking ties; and the names that lie in a cycle."""
    left = dict(sorted(services.items()))
    ordered: dict[str, Service] = {}
    while left:
        ready = next(
            (n for n, s in left.items() if all(need in ordered or need not in services for need in s.needs)), None
        )
        if ready is None:
            return {**ordered, **left}, _cycle(left)
        ordered[ready] = left.pop(ready)
    return ordered, []


def needed_by(name: str, services: Mapping[str, Service]) -> set[str]:
    """A service and all that it needs, near and far; empty when it is not enabled."""
    found: set[str] = set()
    left = [name]
    while left:
        name = left.pop()
        if name not in found and name in services:
            found.add(name)
            left += services[name].needs
    return found


def _cycle(services: Mapping[str, Service]) -> list[str]:
    """One cycle among services of which each waits for another: a, b, a."""
    trail = [next(iter(services))]
    while True:
        following = next(need for need in services[trail[-1]].needs if need in services)
        if following in trail:
            return [*trail[trail.index(following) :], following]
        trail.append(following)


def resolve(tree: Mapping[str, Any], services: Mapping[str, Service], sources: Sources) -> Cloud:
    """Fill in defaults. The tree must have passed the schema; what else may be wrong is for ``checks`` to say.

    tree
        What stands below ``openstack:``.
    services
        Every loaded service.
    """
    nets = networks.resolve(tree.get("networks") or {})
    hosts = {name: _host(name, entry, nets) for name, entry in tree["hosts"].items()}
    basic = {key: tree.get(key, default) for key, default in DEFAULTS.items()}
    chosen = tree.get("services") or {}
    ordered, _ = in_start_order(enabled(tree, services))
    heal = {**HEAL, **(tree.get("heal") or {})}
    return Cloud(
        name=basic["cloud"],
        release=basic["release"],
        region=basic["region"],
        vip=basic["vip"] or _default_vip(hosts),
        debug=basic["debug"],
        hosts=hosts,
        networks=nets,
        services=ordered,
        all_services=dict(services),
        variables={
            name: {**s.variables, **((chosen.get(name) or {}).get("variables") or {})} for name, s in ordered.items()
        },
        limits={name: (chosen.get(name) or {}).get("limits") or {} for name in ordered},
        images={**IMAGES, **(tree.get("images") or {})},
        config={"global": {}, "services": {}, "containers": {}, **(tree.get("config") or {})},
        heal={**heal, **{key: seconds(heal[key]) for key in HEAL_SECONDS if key in heal}},
        secrets=dict(tree.get("secrets") or {}),
        sources=sources,
        auto_join=bool(tree.get("auto_join")),
        first_cloud=dict(tree.get("first_cloud") or {}),
    )


def _host(name: str, entry: Mapping[str, Any], nets: Networks) -> Host:
    roles = tuple(entry.get("roles") or ())
    interfaces = entry.get("provider_interfaces") or {}
    return Host(
        id=name,
        address=entry["address"],
        roles=roles,
        interface=entry.get("interface"),
        config=entry.get("config") or {},
        tunnel_address=entry.get("tunnel_address") or entry["address"],
        provider_interfaces=interfaces,
        provider=nets.uplinks(roles, interfaces),
    )


def _default_vip(hosts: Mapping[str, Host]) -> str:
    """Where frontends listen when no vip is named: the first load balancer."""
    return next((h.address for h in hosts.values() if "loadbalancer" in h.roles), "127.0.0.1")
