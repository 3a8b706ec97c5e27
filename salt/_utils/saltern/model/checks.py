"""What a schema cannot say about a pillar and the services: names that must exist, things that must not meet twice."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import Problem
from saltern.contract.masking import SHORTEST
from saltern.contract.names import CONTAINER_NAME, instance, registry_of
from saltern.model.checks_networks import check_networks
from saltern.model.cloud import REGISTRY_PASSWORD, TOOLBOX, Cloud, enabled, in_start_order, needed_by
from saltern.model.first_cloud import check_first_cloud
from saltern.model.problems import Problems, did_you_mean, kind_of, known, listed, shown
from saltern.model.services import Service, roles_of
from saltern.model.sources import Path, Sources


def check_names(tree: Mapping[str, Any], services: Mapping[str, Service], sources: Sources) -> list[Problem]:
    """Names in the operator's tree that must exist, types of variables, and the order of services."""
    problems = Problems(sources)
    chosen = tree.get("services") or {}
    for name, settings in chosen.items():
        path = ("openstack", "services", name)
        if name not in services:
            problems.add(path, f"one of {listed(services)}", "unknown service", did_you_mean(name, services))
            continue
        _check_variables(settings, services[name], path, problems)
        for container in settings.get("limits") or {}:
            known((*path, "limits", container), container, services[name].containers, problems)
    on = enabled(tree, services)
    for name, service in on.items():
        _check_needs(name, service, services, on, problems)
    _check_order(on, problems)
    return problems.items


def _check_needs(
    name: str, service: Service, services: Mapping[str, Service], on: Mapping[str, Service], problems: Problems
) -> None:
    for need in service.needs:
        if need in services and need not in on:
            key = ("openstack", "services", need, "enabled")
            hint = f"or switch {name} off: openstack:services:{name}:enabled: false"
            problems.add(key, f'true, as service "{name}" needs it', "false", hint)


def _check_order(on: Mapping[str, Service], problems: Problems) -> None:
    _, cycle = in_start_order(on)
    if cycle:
        expected = "services that do not need each other in a circle"
        problems.append(Problem(on[cycle[0]].file, "needs", expected, " needs ".join(cycle)))
        return
    for name in needed_by(TOOLBOX, on) - {TOOLBOX}:
        if on[name].databases or on[name].jobs or any(on[name].identity.values()):
            expected = f"no need of {name}, whose databases, users or jobs are made in the toolbox"
            problems.append(Problem(on[TOOLBOX].file, "needs", expected, f"{TOOLBOX} needs {name}"))


def _check_variables(settings: Mapping[str, Any], service: Service, path: Path, problems: Problems) -> None:
    for key, value in (settings.get("variables") or {}).items():
        here = (*path, "variables", key)
        if key not in service.variables:
            problems.add(
                here,
                f"one of {listed(service.variables)}" if service.variables else "no variables",
                "unknown variable",
                did_you_mean(key, service.variables),
            )
            continue
        default = service.variables[key]
        if default is not None and kind_of(default) != kind_of(value):
            problems.add(here, f"{kind_of(default)}, like its default {default!r}", shown(value, path=here))


def check_cloud(cloud: Cloud) -> list[Problem]:
    """Faults of a resolved model: hosts, roles, overrides, secrets, ports."""
    problems = Problems(cloud.sources)
    parts = (_check_addresses, _check_roles, _check_providers, _check_instances, _check_overrides, _check_secrets)
    for part in (*parts, _check_registry, _check_ports, _check_frontends, check_networks, check_first_cloud):
        part(cloud, problems)
    return problems.items


def _check_addresses(cloud: Cloud, problems: Problems) -> None:
    seen: dict[Any, str] = {}
    folded: dict[str, str] = {}
    for host in cloud.hosts.values():
        address = ipaddress.ip_address(host.address)
        if address in seen:
            problems.add(
                ("openstack", "hosts", host.id, "address"),
                f'an address of its own; host "{seen[address]}" has this one',
                host.address,
            )
        seen.setdefault(address, host.id)
        if host.id.lower() in folded:
            problems.add(
                ("openstack", "hosts", host.id),
                f'one entry for a host; "{folded[host.id.lower()]}" differs in case only',
                f'"{host.id}"',
            )
        folded.setdefault(host.id.lower(), host.id)
        if address.is_loopback and len(cloud.hosts) > 1:
            problems.add(
                ("openstack", "hosts", host.id, "address"), "an address that the other hosts can reach", host.address
            )
    builder = cloud.images["builder"]
    if builder is not None and builder not in cloud.hosts:
        problems.add(
            ("openstack", "images", "builder"),
            f"one of the hosts: {listed(cloud.hosts)}",
            f'"{builder}"',
            did_you_mean(builder, cloud.hosts),
        )


def _check_roles(cloud: Cloud, problems: Problems) -> None:
    missing: dict[str, list[str]] = {}
    for service in cloud.services.values():
        for container in service.containers.values():
            if cloud.by_role.keys().isdisjoint(roles_of(container)):
                missing.setdefault(" or ".join(f'"{role}"' for role in roles_of(container)), []).append(service.name)
    for roles, names in missing.items():
        users = listed(sorted(set(names)))
        problems.add(
            ("openstack", "hosts"),
            f"a host with role {roles} (for {users})",
            "none",
            "give a host that role, or switch the service off",
        )


def _check_providers(cloud: Cloud, problems: Problems) -> None:
    for service in cloud.services.values():
        wanted = [
            kind
            for kind, used in (("database", service.databases), ("identity", any(service.identity.values())))
            if used
        ]
        path = ("openstack", "services", service.name)
        for kind in [*wanted, *(["messaging"] if service.messaging is not None else [])]:
            if cloud.provider(kind) is None:
                problems.add(path, f"an enabled service that provides {kind}", "none")
        if (wanted or service.jobs) and TOOLBOX not in cloud.services:
            problems.add(
                path, f"{TOOLBOX} enabled: databases, users and jobs of {service.name} are made there", "it is not"
            )


def _check_instances(cloud: Cloud, problems: Problems) -> None:
    """Names that ``for_each`` makes: they become names of containers, of files and of events."""
    owners: dict[str, str] = {}
    for service in cloud.services.values():
        for base, container in service.containers.items():
            for key, _ in cloud.instances(service.name, base):
                name = instance(base, key)
                path = ("openstack", "services", service.name, "variables", str(container["for_each"]))
                if name in owners:
                    problems.add(path, f"a container name of its own; {owners[name]} has it", f'"{name}"')
                elif not CONTAINER_NAME.fullmatch(name) or "--" in name:
                    problems.add(path, "keys of a-z, 0-9 and underscores", shown(key))
                owners[name] = base


def _check_overrides(cloud: Cloud, problems: Problems) -> None:
    files: dict[str, dict[str, set[str]]] = {}  # file -> format -> containers
    for service in cloud.all_services.values():
        for name, container in service.containers.items():
            for file, entry in container["config"].items():
                files.setdefault(file, {}).setdefault(entry.get("format", "text"), set()).add(name)
    owned = {s.name: {f for c in s.containers.values() for f in c["config"]} for s in cloud.all_services.values()}
    containers = {n: set(c["config"]) for s in cloud.all_services.values() for n, c in s.containers.items()}
    containers |= {
        f"{name}_{key}": containers[name]
        for service in cloud.services.values()
        for name in service.containers
        for key, _ in cloud.instances(service.name, name)
        if key
    }
    base: Path = ("openstack", "config")
    every = set(files)
    _check_files_of((*base, "global"), cloud.config["global"], every, files, problems)
    for name, entry in cloud.config["services"].items():
        known((*base, "services", name), name, owned, problems)
        _check_files_of((*base, "services", name), entry, owned.get(name, every), files, problems)
    for name, entry in cloud.config["containers"].items():
        known((*base, "containers", name), name, containers, problems)
        _check_files_of((*base, "containers", name), entry, containers.get(name, every), files, problems)
    for host in cloud.hosts.values():
        _check_files_of(("openstack", "hosts", host.id, "config"), host.config, every, files, problems)


def _check_files_of(
    path: Path,
    overrides: Mapping[str, Any],
    there: set[str],
    files: Mapping[str, Mapping[str, set[str]]],
    problems: Problems,
) -> None:
    for file in overrides:
        known((*path, file), file, sorted(there), problems)
        if file in there and "ini" not in files.get(file, {}):
            problems.add((*path, file), "a file in INI format", f'"{file}", which is none')


def _check_secrets(cloud: Cloud, problems: Problems) -> None:
    declared = {name: (spec, service) for service in cloud.services.values() for name, spec in service.secrets.items()}
    every = {name for service in cloud.all_services.values() for name in service.secrets}
    strangers = [name for name in cloud.secrets if name not in every]
    missing = [name for name in declared if name not in cloud.secrets]
    for name in missing:
        near = difflib.get_close_matches(name, strangers, n=1, cutoff=0.8)
        meant = f'; or is "{near[0]}" meant to be it?' if near else ""
        service = declared[name][1].name
        problems.add(
            ("openstack", "secrets", name),
            f"a secret of service {service}",
            "nothing",
            f"salt-run openstack.secrets_generate makes it{meant}",
        )
    shown = {cloud.name, cloud.region, *(cloud.images[part] for part in ("registry", "namespace", "prefix", "tag"))}
    for name, value in cloud.secrets.items():
        if name in declared:
            _check_secret(name, value, declared[name][0], problems)
        if shown & set(value if isinstance(value, list) else [value]):
            found = "the cloud's or region's name, or a part of the images' names"
            problems.add(("openstack", "secrets", name), "a value that nobody is shown", found)


def _check_secret(name: str, value: Any, spec: Mapping[str, Any], problems: Problems) -> None:
    path = ("openstack", "secrets", name)
    count = spec.get("count")
    values = value if isinstance(value, list) else [value]
    if (count is not None) != isinstance(value, list):
        problems.add(path, f"a list of {count}" if count is not None else "text", kind_of(value))
    elif count is not None and len(values) < count:
        problems.add(path, f"a list of at least {count}", f"a list of {len(values)}")
    if any(len(str(v)) < SHORTEST for v in values):
        problems.add(path, f"at least {SHORTEST} characters: shorter ones cannot be masked", "fewer")


def _check_registry(cloud: Cloud, problems: Problems) -> None:
    images = cloud.images
    if images["registry"] and not registry_of(f"{images['registry']}/x"):
        wanted = "host:port, or a host name with a dot: engines take other words for users of a public registry"
        problems.add(("openstack", "images", "registry"), wanted, shown(images["registry"]))
    for key in ("registry_username", "registry_ca"):
        if images[key] and not images["registry"]:
            problems.add(("openstack", "images", "registry"), f"a registry, as images:{key} is set", "nothing")
            return
    if not images["registry_username"]:
        return
    path = ("openstack", "secrets", REGISTRY_PASSWORD)
    if REGISTRY_PASSWORD not in cloud.secrets:
        hint = "write it into openstack/secrets.sls yourself; without images:registry_username hosts use docker login"
        problems.add(path, f"the password of {images['registry_username']} at {images['registry']}", "nothing", hint)
    else:
        _check_secret(REGISTRY_PASSWORD, cloud.secrets[REGISTRY_PASSWORD], {}, problems)


def _check_ports(cloud: Cloud, problems: Problems) -> None:
    for host in cloud.hosts.values():
        taken: list[tuple[int, str, str]] = []
        for port, address, container in ports_of(cloud, host.id):
            clash = next((t for t in taken if t[0] == port and _meet(t[1], address)), None)
            if clash and clash[2] != container:
                path = ("openstack", "hosts", host.id)
                problems.add(path, f"port {port} on {address} used once", f"{clash[2]} and {container} both bind it")
            taken.append((port, address, container))


def _check_frontends(cloud: Cloud, problems: Problems) -> None:
    """All frontends are bound on one address, by one load balancer."""
    seen: dict[int, str] = {}
    for frontend in cloud.frontends.values():
        if frontend.port in seen:
            path = ("openstack", "services", frontend.service)
            problems.add(path, f"a frontend port of its own; {seen[frontend.port]} has this one", str(frontend.port))
        seen.setdefault(frontend.port, frontend.name)


def _meet(one: str, other: str) -> bool:
    return one == other or any(a in ("0.0.0.0", "::") for a in (one, other))


def ports_of(cloud: Cloud, host_id: str) -> list[tuple[int, str, str]]:
    """What containers bind on a host: port, address, container."""
    host = cloud.hosts[host_id]
    found = []
    for service in cloud.services.values():
        for name, container in service.containers.items():
            if not host.runs(container):
                continue
            for frontend in service.frontends:
                if frontend.container == name:
                    found.append((frontend.listen, host.address, name))
            for port in container["ports"]:
                entry = port if isinstance(port, dict) else {"port": port}
                found.append((entry["port"], entry.get("address", host.address), name))
            if container["binds_frontends"]:
                found += [(f.port, cloud.vip, name) for f in cloud.frontends.values()]
    return found
