"""One slice per host, the toolbox host's batch, and the plan's tables (docs/interfaces.md sections 3, 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from saltern.contract.errors import Problem
from saltern.model import first_cloud
from saltern.model.checks import ports_of
from saltern.model.cloud import REGISTRY_PASSWORD, TOOLBOX, Cloud, Host
from saltern.model.problems import Problems
from saltern.model.services import Service
from saltern.model.specs import SpecBuilder, SpecFault
from saltern.model.templating import TemplateFault

MIN_DISK_GB = 5
MIN_MEMORY_MB = 512
CLOCK_SKEW_S = 5


@dataclass
class Slices:
    """Slices by minion id, who set each configuration key, and what did not render."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Slicer:
    """Makes the slices of one cloud; a fault of a template is reported once, not once per host."""

    def __init__(self, cloud: Cloud, model: str, library: str) -> None:
        self.cloud, self.model, self.library = cloud, model, library
        self.builder = SpecBuilder(cloud)
        self._problems: dict[str, Problems] = {}
        self._seen: set[tuple[Any, ...]] = set()
        self._every_secret: set[str] = set()

    def all(self) -> Slices:
        made = Slices()
        counts: dict[str, int] = {}
        for host in self.cloud.hosts.values():
            made.hosts[host.id] = self.host(host)
            self._every_secret.update(made.hosts[host.id]["secrets"])
            for spec in made.hosts[host.id]["containers"]:
                counts[spec["name"]] = counts.get(spec["name"], 0) + 1
        made.origins = self.builder.configs.origins.as_dict(counts, self._every_secret | self.cloud.secret_values)
        made.problems = [p for problems in self._problems.values() for p in problems.items]
        return made

    def host(self, host: Host) -> dict[str, Any]:
        """The slice of one host."""
        toolbox = self.cloud.toolbox_host == host and TOOLBOX in self.cloud.services
        secrets: set[str] = set()
        containers = self._containers(host, secrets)
        jobs = self._jobs(host, secrets) if toolbox else []
        batch = batch_of(self.cloud, jobs, secrets) if toolbox else None
        images = {spec["image"] for spec in containers} | {job["spec"]["image"] for job in jobs}
        return {
            "model": self.model,
            "library": self.library,
            "cloud": self.cloud.name,
            "release": self.cloud.release,
            "host": host.id,
            "address": host.address,
            "roles": list(host.roles),
            "toolbox": toolbox,
            "errors": [],
            "containers": containers,
            "jobs": jobs,
            "batch": batch,
            "first_cloud": first_cloud.wanted(self.cloud) if toolbox else None,
            "images": sorted(images),
            "registry": registry_of(self.cloud, secrets),
            "prechecks": self._prechecks(host),
            "network": network_of(self.cloud, host),
            "heal": self.cloud.heal,
            "secrets": sorted(s for s in secrets if s),
        }

    def _containers(self, host: Host, secrets: set[str]) -> list[dict[str, Any]]:
        specs = []
        claims = _Claims()
        for service in self.cloud.services.values():
            for name, container in service.containers.items():
                if not host.runs(container):
                    continue
                for each in self.cloud.instances(service.name, name):
                    try:
                        spec, used = self.builder.container(host, service, name, each)
                    except (TemplateFault, SpecFault) as exc:
                        self._report(service, ("containers", name), exc, host)
                        continue
                    if fault := claims.clash(spec):
                        self._report(service, ("containers", name), fault, host)
                    specs.append(spec)
                    secrets |= used
        return specs

    def _jobs(self, host: Host, secrets: set[str]) -> list[dict[str, Any]]:
        jobs = []
        for service in self.cloud.services.values():
            for name in service.jobs:
                try:
                    job, used = self.builder.job(host, service, name)
                except (TemplateFault, SpecFault) as exc:
                    self._report(service, ("jobs", name), exc, host)
                    continue
                jobs.append(job)
                secrets |= used
        return jobs

    def _report(self, service: Service, path: tuple[str, ...], exc: TemplateFault | SpecFault, host: Host) -> None:
        problems = self._problems.setdefault(service.name, Problems(service.sources))
        if isinstance(exc, SpecFault):
            if (service.name, *path, *exc.key) not in self._seen:
                problems.add((*path, *exc.key), exc.expected, exc.found)
            self._seen.add((service.name, *path, *exc.key))
            return
        known = (service.name, exc.template, exc.line, exc.message)
        if known in self._seen:
            return
        self._seen.add(known)
        key = f"{':'.join(path)} on {host.id}"
        if exc.template in service.templates:
            file = f"{service.folder}/files/{exc.template}"
            problems.append(Problem(file, key, "a template that renders", exc.message, exc.line))
        else:
            where = service.sources.locate(path)
            problems.append(Problem(where.file, key, "text that renders", exc.message, where.line))

    def _prechecks(self, host: Host) -> dict[str, Any]:
        network = network_of(self.cloud, host)
        services = [s for s in self.cloud.services.values() if any(map(host.runs, s.containers.values()))]
        return {
            "ports": [
                {"port": port, "address": address, "container": name}
                for port, address, name in ports_of(self.cloud, host.id)
            ],
            "min_disk_gb": max([MIN_DISK_GB, *(s.prechecks.get("min_disk_gb", 0) for s in services)]),
            "min_memory_mb": max(MIN_MEMORY_MB, sum(s.prechecks.get("min_memory_mb", 0) for s in services)),
            "interfaces": [host.interface] if host.interface else [],
            "addresses": list(dict.fromkeys([host.address, network["tunnel_address"]] if network else [host.address])),
            "max_clock_skew_s": CLOCK_SKEW_S,
        }


class _Claims:
    """What the containers of one host want of its kernel: one value a setting."""

    def __init__(self) -> None:
        self._sysctls: dict[str, tuple[str, str]] = {}

    def clash(self, spec: Mapping[str, Any]) -> SpecFault | None:
        """The first setting of which another container wants another value."""
        for key, value in spec["host"].get("sysctls", {}).items():
            other, wanted = self._sysctls.setdefault(key, (spec["name"], value))
            if wanted != value:
                expected = f'"{wanted}", as container {other} on the same host wants it'
                return SpecFault(("host", "sysctls", key), expected, f'"{value}" for {spec["name"]}')
        return None


def network_of(cloud: Cloud, host: Host) -> dict[str, Any] | None:
    """What a host needs to make its bridges. None where no Open vSwitch runs."""
    provider = cloud.provider("network")
    container = provider.provides["network"]["container"] if provider else ""
    members = cloud.members(container)
    if host not in members:
        return None
    return {
        "container": container,
        "datapath": cloud.networks.datapath,
        "tunnel_address": host.tunnel_address,
        "mtu": cloud.networks.tunnel.mtu,
        "peers": sorted(member.tunnel_address for member in members if member != host),
        "bridges": [
            {
                "name": uplink.bridge,
                "provider": uplink.name,
                "interface": uplink.interface,
                "addresses": bridge_addresses(cloud, members, host, uplink.name),
                "mtu": uplink.mtu,
            }
            for uplink in host.provider
        ],
    }


def bridge_addresses(cloud: Cloud, members: list[Host], host: Host, provider: str) -> list[str]:
    """The host's own addresses on a bridge: ``host_address``, on the first host that has the external network's."""
    external = cloud.networks.external
    if external is None or external.host_address is None or external.provider != provider:
        return []
    first = next(h for h in members if any(uplink.name == provider for uplink in h.provider))
    return [external.host_address.with_prefixlen] if host == first else []


def registry_of(cloud: Cloud, secrets: set[str]) -> dict[str, Any] | None:
    """How a host reaches the registry; the password is added to ``secrets``. None where the model names none."""
    images = cloud.images
    if not images["registry"]:
        return None
    password = str(cloud.secrets.get(REGISTRY_PASSWORD, "")) if images["registry_username"] else None
    secrets.update((password, quote(password, safe="")) if password else ())
    return {
        "address": images["registry"],
        "username": images["registry_username"],
        "password": password,
        "ca": images["registry_ca"],
    }


def batch_of(cloud: Cloud, jobs: list[dict[str, Any]], secrets: set[str]) -> dict[str, Any]:
    """What the toolbox compares and applies; every secret in it is added to ``secrets``."""

    def secret(name: str) -> str:
        value = str(cloud.secrets.get(name, ""))
        secrets.update((value, quote(value, safe="")))
        return value

    return {
        "database": _database_login(cloud, secret),
        "identity": _identity_login(cloud, secret),
        "services": {s.name: entry for s in cloud.services.values() if (entry := _entry(cloud, s, jobs, secret))},
    }


def _database_login(cloud: Cloud, secret: Any) -> dict[str, Any] | None:
    provider = cloud.provider("database")
    if provider is None or not provider.frontends:
        return None
    given = provider.provides["database"]
    return {
        "host": cloud.vip,
        "port": provider.frontends[0].port,
        "user": given["user"],
        "password": secret(given["password"]),
    }


def _identity_login(cloud: Cloud, secret: Any) -> dict[str, Any] | None:
    provider = cloud.provider("identity")
    if provider is None or not provider.frontends:
        return None
    given = provider.provides["identity"]
    return {
        "auth_url": cloud.url(provider.frontends[0].name) + given.get("path", ""),
        "user": given["user"],
        "password": secret(given["password"]),
        "project": given.get("project", "admin"),
        "domain": given.get("domain", "Default"),
        "region": cloud.region,
    }


def _entry(cloud: Cloud, service: Service, jobs: list[dict[str, Any]], secret: Any) -> dict[str, Any] | None:
    identity = service.identity
    due = [{"name": job["name"], "input": job["input"]} for job in jobs if job["service"] == service.name]
    if not (service.databases or any(identity.values()) or due):
        return None
    return {
        "databases": [
            {"name": d["name"], "user": d["user"], "password": secret(d["password"])} for d in service.databases
        ],
        "identity": {
            "users": [
                {
                    "name": u["name"],
                    "password": secret(u["password"]),
                    "project": u.get("project", "service"),
                    "roles": u.get("roles", []),
                }
                for u in identity["users"]
            ],
            "roles": identity["roles"],
            "projects": identity["projects"],
            "services": [
                {
                    "name": s["name"],
                    "type": s["type"],
                    "description": s.get("description", ""),
                    "endpoints": _endpoints(cloud, service, s),
                }
                for s in identity["services"]
            ],
        },
        "jobs": due,
    }


def _endpoints(cloud: Cloud, service: Service, entry: Mapping[str, Any]) -> dict[str, str]:
    url = endpoint(cloud, service, entry)
    return {"public": url, "internal": url, "admin": url}


def endpoint(cloud: Cloud, service: Service, entry: Mapping[str, Any]) -> str:
    """URL of a service in the catalogue."""
    frontend = service.frontends[0].name
    if "frontend" in entry:
        frontend = f"{service.name}_{entry['frontend']}"
    return cloud.url(frontend) + str(entry.get("path", ""))


__all__ = ["Slicer", "Slices", "batch_of", "endpoint", "network_of", "registry_of"]
