"""From a model to ordered steps (docs/interfaces.md section 7).

Per service: *prepare* (databases, users, jobs before the start), one *wave* per group of hosts, *register* (endpoints,
jobs after the start). ``requires`` is the whole order; steps without a path between them may run at the same time.
"""

from __future__ import annotations

from typing import Any

from saltern.model.cloud import TOOLBOX, Cloud, needed_by
from saltern.model.services import Service
from saltern.plan.waves import Wave, waves

Step = dict[str, Any]


def steps(cloud: Cloud) -> list[Step]:
    """All steps of a model, each after the ones that it requires."""
    made: list[Step] = []
    last: dict[str, list[str]] = {}  # service -> its last steps
    for service in _toolbox_early(cloud):
        before = [step for need in service.needs for step in last.get(need, ())]
        own = _of_service(cloud, service, before, last.get(TOOLBOX, []))
        made += own
        last[service.name] = [own[-1]["id"]] if own else before
    return made


def _toolbox_early(cloud: Cloud) -> list[Service]:
    """Start order, but the toolbox and what it needs first: preparing and registering happen in it."""
    early = needed_by(TOOLBOX, cloud.services)
    ordered = list(cloud.services.values())
    return [s for s in ordered if s.name in early] + [s for s in ordered if s.name not in early]


def _of_service(cloud: Cloud, service: Service, before: list[str], toolbox: list[str]) -> list[Step]:
    made: list[Step] = []
    add = _Adder(service, made, before).add
    place = [cloud.toolbox_host.id] if cloud.toolbox_host and TOOLBOX in cloud.services else []
    jobs = {job["when"] for job in service.jobs.values()}
    if place and (service.databases or service.identity["users"] or "before_start" in jobs):
        add("prepare", f"Prepare {service.name}: {_prepares(service)}", place, [], 0, toolbox)
    grouped = _waves(cloud, service)
    for wave in grouped:
        suffix = "" if len(grouped) == 1 else f": {', '.join(wave.containers)}"
        add("wave", f"Start {service.name}{suffix}", list(wave.hosts), list(wave.containers), wave.serial, [])
    endpoints = any(wanted for what, wanted in service.identity.items() if what != "users")
    if place and (endpoints or "after_start" in jobs):
        add("register", f"Register {service.name}: {_registers(service)}", place, [], 0, toolbox)
    return made


class _Adder:
    """Chains the steps of one service; its first requires the last of what the service needs."""

    def __init__(self, service: Service, made: list[Step], before: list[str]) -> None:
        self.service, self.made, self.before = service, made, before

    def add(self, kind: str, title: str, hosts: list[str], containers: list[str], serial: int, also: list[str]) -> None:
        requires = [self.made[-1]["id"]] if self.made else list(self.before)
        verb = {"prepare": "prepare", "wave": "start", "register": "register"}[kind]
        step_id = f"{verb} {self.service.name}"
        if any(step["id"] == step_id for step in self.made):
            step_id = f"{step_id} ({', '.join(containers)})"
        self.made.append(
            {
                "id": step_id,
                "title": title,
                "kind": kind,
                "service": self.service.name,
                "hosts": hosts,
                "containers": containers,
                "serial": serial,
                "requires": sorted({*requires, *also}),
            }
        )


def _waves(cloud: Cloud, service: Service) -> list[Wave]:
    hosts: dict[str, list[str]] = {}
    serial: dict[str, int] = {}
    for base, container in service.containers.items():
        for key, _ in cloud.instances(service.name, base):
            name = f"{base}_{key}" if key else base
            hosts[name] = [host.id for host in cloud.members(base)]
            serial[name] = container["serial"]
    return waves(hosts, serial)


def _prepares(service: Service) -> str:
    users = ("users", bool(service.identity["users"]))
    return _joined(("database", bool(service.databases)), users, *_jobs(service, "before_start"))


def _registers(service: Service) -> str:
    return _joined(("endpoints", bool(service.identity["services"])), *_jobs(service, "after_start"))


def _jobs(service: Service, when: str) -> list[tuple[str, bool]]:
    return [(name, job["when"] == when) for name, job in service.jobs.items()]


def _joined(*parts: tuple[str, bool]) -> str:
    return ", ".join(text for text, there in parts if there) or "projects and roles"
