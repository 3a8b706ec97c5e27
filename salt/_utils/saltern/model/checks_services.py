"""What a schema cannot say about the service folders, whatever the pillar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saltern.contract.errors import Problem
from saltern.contract.users import UIDS
from saltern.model.problems import Problems, did_you_mean, known, listed
from saltern.model.services import Service
from saltern.model.sources import Path


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
    _check_messaging(service, problems)
    if "network" in service.provides:
        path = ("provides", "network", "container")
        known(path, service.provides["network"]["container"], service.containers, problems)
    for frontend in service.frontends:
        known(("frontend", "container"), frontend.container, service.containers, problems)
    for key, job in service.jobs.items():
        known(("jobs", key, "container"), job["container"], service.containers, problems)
        if (service.containers.get(job["container"]) or {}).get("for_each"):
            problems.add(("jobs", key, "container"), "a container without for_each", f'"{job["container"]}"')
        for name in job["inputs"]:
            kind, _, container_name = name.partition(".")
            if kind == "hosts":
                every = [c for s in services.values() for c in s.containers]
                known(("jobs", key, "inputs"), container_name, every, problems)
        _check_files(service, job["config"], ("jobs", key, "config"), problems)
        if job["container"] in service.containers:
            _check_places(service.containers[job["container"]], job["config"], ("jobs", key, "config"), problems)
    if service.identity["services"] and not service.frontends:
        problems.add(("identity", "services"), "a frontend, for the endpoints", "none")


def _check_messaging(service: Service, problems: Problems) -> None:
    """Clients are told the port that the members are checked for before a run."""
    given = service.provides.get("messaging")
    if given is None:
        return
    path = ("provides", "messaging")
    known((*path, "container"), given["container"], service.containers, problems)
    ports = (service.containers.get(given["container"]) or {"ports": [given["port"]]})["ports"]
    numbers = [port["port"] if isinstance(port, dict) else port for port in ports]
    if given["port"] not in numbers:
        problems.add((*path, "port"), f"one of the container's ports: {listed(map(str, numbers))}", str(given["port"]))


def _check_container(service: Service, name: str, container: Mapping[str, Any], problems: Problems) -> None:
    path = ("containers", name)
    if container["user"] not in UIDS:
        problems.add(
            (*path, "user"),
            f"a user of the fixed table: {listed(sorted(UIDS))}",
            f'"{container["user"]}"',
            did_you_mean(container["user"], UIDS),
        )
    for index, mount in enumerate(container["mounts"]):
        if mount.get("owner", "root") not in UIDS:
            where = (*path, "mounts", str(index), "owner")
            hint = did_you_mean(mount["owner"], UIDS)
            problems.add(where, "a user of the fixed table", f'"{mount["owner"]}"', hint)
    if container["for_each"]:
        known((*path, "for_each"), container["for_each"], service.variables, problems)
    _check_files(service, container["config"], (*path, "config"), problems)
    _check_places(container, container["config"], (*path, "config"), problems)
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


def _check_places(container: Mapping[str, Any], config: Mapping[str, Any], path: Path, problems: Problems) -> None:
    """A file must go where a container with a read-only root can write."""
    places = [*container["writable"], *(mount["target"] for mount in container["mounts"])]
    if not container["read_only"] or any("{{" in place for place in places):
        return
    for file, entry in config.items():
        dest = entry["dest"]
        if "{{" not in dest and not any(dest.startswith(f"{place.rstrip('/')}/") for place in places):
            expected = f"a place below one of writable: {listed(places)}" if places else "a directory under writable:"
            problems.add((*path, file, "dest"), expected, f'"{dest}"')


def _secret_references(service: Service) -> Iterable[tuple[Path, str]]:
    for database in service.databases:
        yield ("database", "password"), database["password"]
    for index, user in enumerate(service.identity["users"]):
        yield ("identity", "users", str(index), "password"), user["password"]
    for kind, provided in service.provides.items():
        if "password" in provided:
            yield ("provides", kind, "password"), provided["password"]
