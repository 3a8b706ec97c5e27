"""What a schema cannot say about a pillar and the services: names that must exist, things that must not meet twice."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from saltern.contract.errors import Problem
from saltern.contract.masking import SHORTEST
from saltern.contract.users import UIDS
from saltern.model.cloud import TOOLBOX, Cloud, enabled, in_start_order, needed_by
from saltern.model.problems import Problems, did_you_mean, kind_of, listed, shown
from saltern.model.services import Service
from saltern.model.sources import Path, Sources


def check_services(services: Mapping[str, Service]) -> list[Problem]:
    """Faults of service folders that no pillar can mend."""
    found: list[Problem] = []
    owners: dict[str, str] = {}
    for service in services.values():
        problems = Problems(service.sources)
        _check_service(service, services, owners, problems)
        found += problems.items
    return found


def _check_service(
    service: Service, services: Mapping[str, Service], owners: dict[str, str], problems: Problems
) -> None:
    for need in service.needs:
        if need not in services:
            problems.add(("needs",), f"services: {listed(services)}", f'"{need}"', did_you_mean(need, services))
    secrets = {name for s in services.values() for name in s.secrets}
    for reference, name in _secret_references(service):
        if name not in secrets:
            problems.add(reference, "a name under secrets: of a service.yaml", f'"{name}"', did_you_mean(name, secrets))
    for name, container in service.containers.items():
        if name in owners:
            problems.add(("containers", name), f"a name that no other service uses ({owners[name]} does)", f'"{name}"')
        owners.setdefault(name, service.name)
        _check_container(service, name, container, problems)
    for frontend in service.frontends:
        _known(("frontend", "container"), frontend.container, service.containers, problems)
    for key, job in service.jobs.items():
        _known(("jobs", key, "container"), job["container"], service.containers, problems)
        if (service.containers.get(job["container"]) or {}).get("for_each"):
            problems.add(("jobs", key, "container"), "a container without for_each", f'"{job["container"]}"')
        _check_files(service, job["config"], ("jobs", key, "config"), problems)
    if service.identity["services"] and not service.frontends:
        problems.add(("identity", "services"), "a frontend, for the endpoints", "none")


def _check_container(service: Service, name: str, container: Mapping[str, Any], problems: Problems) -> None:
    path = ("containers", name)
    if container["user"] not in UIDS:
        problems.add(
            (*path, "user"),
            f"a user of the fixed table: {listed(sorted(UIDS))}",
            f'"{container["user"]}"',
            did_you_mean(container["user"], UIDS),
        )
    if container["for_each"]:
        _known((*path, "for_each"), container["for_each"], service.variables, problems)
    _check_files(service, container["config"], (*path, "config"), problems)
    if any(e.get("on_change") == "reload" for e in container["config"].values()) and not container["reload"]:
        problems.add((*path, "reload"), "a signal, as a file has on_change: reload", "nothing")


def _check_files(service: Service, config: Mapping[str, Any], path: Path, problems: Problems) -> None:
    for file, entry in config.items():
        template = entry.get("template", f"{file}.j2")
        if template not in service.templates:
            problems.add(
                (*path, file), f"a template files/{template}", "no such file", did_you_mean(template, service.templates)
            )
        owner = entry.get("owner")
        if owner is not None and owner not in UIDS:
            problems.add((*path, file, "owner"), "a user of the fixed table", f'"{owner}"', did_you_mean(owner, UIDS))


def _secret_references(service: Service) -> Iterable[tuple[Path, str]]:
    for database in service.databases:
        yield ("database", "password"), database["password"]
    for index, user in enumerate(service.identity["users"]):
        yield ("identity", "users", str(index), "password"), user["password"]
    for kind, provided in service.provides.items():
        yield ("provides", kind, "password"), provided["password"]


def _known(path: Path, name: str, choices: Iterable[str], problems: Problems) -> None:
    choices = list(choices)
    if name not in choices:
        problems.add(
            path,
            f"one of {listed(choices)}" if choices else "nothing, as there is none",
            f'"{name}"',
            did_you_mean(name, choices),
        )


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
            _known((*path, "limits", container), container, services[name].containers, problems)
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
    for part in (_check_addresses, _check_roles, _check_providers, _check_overrides, _check_secrets, _check_ports):
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
            if container["runs_on"] not in cloud.by_role:
                missing.setdefault(container["runs_on"], []).append(service.name)
    for role, names in missing.items():
        users = listed(sorted(set(names)))
        problems.add(
            ("openstack", "hosts"),
            f'a host with role "{role}" (for {users})',
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
        for kind in wanted:
            if cloud.provider(kind) is None:
                problems.add(path, f"an enabled service that provides {kind}", "none")
        if (wanted or service.jobs) and TOOLBOX not in cloud.services:
            problems.add(
                path, f"{TOOLBOX} enabled: databases, users and jobs of {service.name} are made there", "it is not"
            )


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
        _known((*base, "services", name), name, owned, problems)
        _check_files_of((*base, "services", name), entry, owned.get(name, every), files, problems)
    for name, entry in cloud.config["containers"].items():
        _known((*base, "containers", name), name, containers, problems)
        _check_files_of((*base, "containers", name), entry, containers.get(name, every), files, problems)
    for host in cloud.hosts.values():
        _check_files_of(("openstack", "hosts", host.id, "config"), host.config, every, files, problems)


def _check_files_of(
    path: Path,
    overrides: Mapping[str, Any],
    known: set[str],
    files: Mapping[str, Mapping[str, set[str]]],
    problems: Problems,
) -> None:
    for file in overrides:
        _known((*path, file), file, sorted(known), problems)
        if file in known and "ini" not in files.get(file, {}):
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
    for name, value in cloud.secrets.items():
        if name in declared:
            _check_secret(name, value, declared[name][0], problems)


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


def _check_ports(cloud: Cloud, problems: Problems) -> None:
    for host in cloud.hosts.values():
        taken: list[tuple[int, str, str]] = []
        for port, address, container in ports_of(cloud, host.id):
            clash = next((t for t in taken if t[0] == port and _meet(t[1], address)), None)
            if clash and clash[2] != container:
                path = ("openstack", "hosts", host.id)
                problems.add(path, f"port {port} on {address} used once", f"{clash[2]} and {container} both bind it")
            taken.append((port, address, container))


def _meet(one: str, other: str) -> bool:
    return one == other or any(a in ("0.0.0.0", "::") for a in (one, other))


def ports_of(cloud: Cloud, host_id: str) -> list[tuple[int, str, str]]:
    """What containers bind on a host: port, address, container."""
    host = cloud.hosts[host_id]
    found = []
    for service in cloud.services.values():
        for name, container in service.containers.items():
            if container["runs_on"] not in host.roles:
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
