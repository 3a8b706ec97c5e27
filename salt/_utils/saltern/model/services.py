"""Load the service folders: ``<name>/service.yaml`` and its ``files/``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saltern.contract.errors import Problem
from saltern.model import schema
from saltern.model.problems import Problems
from saltern.model.schema_service import SERVICE
from saltern.model.sources import Sources, Where, load_marked


@dataclass(frozen=True)
class Frontend:
    """One port that the load balancer serves, and the container behind it."""

    name: str
    service: str
    container: str
    port: int
    listen: int
    mode: str
    check: Mapping[str, Any] | None
    backend_options: tuple[str, ...]
    single_writer: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "check": dict(self.check) if self.check else None,
            "backend_options": list(self.backend_options),
        }


@dataclass
class Service:
    """A service folder, checked against the schema and with every default filled in."""

    name: str
    title: str
    enabled: bool | str  # a role: where a host has it
    needs: tuple[str, ...]
    secrets: dict[str, dict[str, Any]]
    variables: dict[str, Any]
    containers: dict[str, dict[str, Any]]
    databases: tuple[dict[str, str], ...]
    messaging: dict[str, Any] | None
    identity: dict[str, Any]
    frontends: tuple[Frontend, ...]
    jobs: dict[str, dict[str, Any]]
    prechecks: dict[str, int]
    provides: dict[str, dict[str, Any]]
    raw: dict[str, Any]
    templates: dict[str, str]
    file: str
    sources: Sources = field(repr=False)

    @property
    def folder(self) -> str:
        """The folder as messages name it."""
        return self.file.rsplit("/", 1)[0]

    def frontend_of(self, container: str) -> Frontend | None:
        """The first frontend served by ``container``."""
        return next((f for f in self.frontends if f.container == container), None)


@dataclass
class Services:
    """All service folders, in the order of their names, and a fingerprint of each file in them."""

    services: dict[str, Service]
    problems: list[Problem]


def fingerprints(root: Path) -> dict[str, str]:
    """sha256 of every file below ``root`` by its relative path; editors' leftovers and bytecode apart."""
    found = {}
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(("~", ".swp", ".pyc")):
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def load_services(root: Path, show: str = "states/openstack/services") -> Services:
    """Load every folder below ``root`` that has a ``service.yaml``.

    root
        ``<checkout>/states/openstack/services``.
    show
        How messages name ``root``.
    """
    loaded: dict[str, Service] = {}
    problems: list[Problem] = []
    for path in sorted(root.glob("*/service.yaml")):
        file = f"{show}/{path.parent.name}/service.yaml"
        service, found = _load(path, file)
        problems += found
        if service:
            loaded[service.name] = service
    if not loaded and not problems:
        problems.append(
            Problem(
                show,
                "",
                "at least one service folder",
                "none",
                hint="is saltern_checkout right in the master's configuration?",
            )
        )
    return Services(loaded, problems)


def _load(path: Path, file: str) -> tuple[Service | None, list[Problem]]:
    try:
        marked = load_marked(path.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as exc:
        return None, [Problem(file, "", "a readable file", type(exc).__name__)]
    problems = Problems(Sources(file, {key: Where(file, line) for key, line in marked.lines.items()}))
    problems.extend(marked.problems)
    if marked.problems:
        return None, problems.items
    schema.check(marked.data, SERVICE, problems)
    if problems.items:
        return None, problems.items
    service = normalise(marked.data, file, problems.sources, _templates(path.parent / "files"))
    if service.name != path.parent.name:
        problems.add(("name",), f'the folder\'s name "{path.parent.name}"', f'"{service.name}"')
    return service, problems.items


def _templates(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


def normalise(data: dict[str, Any], file: str, sources: Sources, templates: dict[str, str]) -> Service:
    """A service of checked data, with every default in place."""
    name = data["name"]
    databases = data.get("database", [])
    return Service(
        name=name,
        title=data.get("title", name),
        enabled=data.get("enabled", True),
        needs=tuple(data.get("needs", ())),
        secrets=data.get("secrets", {}),
        variables=data.get("variables", {}),
        containers={key: container_defaults(value) for key, value in data["containers"].items()},
        databases=tuple([databases] if isinstance(databases, dict) else databases),
        messaging={"options": {}, **data["messaging"]} if "messaging" in data else None,
        identity={"roles": [], "projects": [], "users": [], "services": [], **data.get("identity", {})},
        frontends=tuple(_frontends(name, data)),
        jobs={
            key: {"when": "before_start", "timeout": 300, "inputs": ["release"], "config": {}, **value}
            for key, value in data.get("jobs", {}).items()
        },
        prechecks=data.get("prechecks", {}),
        provides=data.get("provides", {}),
        raw=data,
        templates=templates,
        file=file,
        sources=sources,
    )


def _frontends(service: str, data: dict[str, Any]) -> list[Frontend]:
    entries = [(service, data["frontend"])] if "frontend" in data else []
    entries += [(f"{service}_{key}", value) for key, value in data.get("frontends", {}).items()]
    return [
        Frontend(
            name=name,
            service=service,
            container=entry["container"],
            port=entry["port"],
            listen=entry["listen"],
            mode=entry.get("mode", "http"),
            check=entry.get("check"),
            backend_options=tuple(entry.get("backend_options", ())),
            single_writer=entry.get("single_writer", False),
        )
        for name, entry in entries
    ]


CONTAINER_DEFAULTS: dict[str, Any] = {
    "for_each": None,
    "command": None,
    "environment": {},
    "hostname": None,
    "init": True,
    "read_only": True,
    "config": {},
    "privileges": {},
    "mounts": [],
    "host": {},
    "limits": {},
    "writable": [],
    "healthcheck": None,
    "liveness": None,
    "readiness": None,
    "restart": "engine",
    "rollback": True,
    "start_timeout": 60,
    "stop_timeout": 30,
    "stop_signal": None,
    "reload": None,
    "serial": 1,
    "cluster": None,
    "ports": [],
    "binds_frontends": False,
}
PRIVILEGE_DEFAULTS: dict[str, Any] = {
    "capabilities": [],
    "devices": [],
    "device_rules": [],
    "security": [],
    "pid_host": False,
    "ipc_host": False,
    "cgroup_host": False,
    "root": False,
}


def roles_of(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles of ``runs_on``: it runs on hosts with any of them."""
    named = container["runs_on"]
    return (named,) if isinstance(named, str) else tuple(named)


def container_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """A container of a service.yaml with every default in place."""
    full = {**CONTAINER_DEFAULTS, **data}
    full["privileges"] = {**PRIVILEGE_DEFAULTS, **full["privileges"]}
    return full
