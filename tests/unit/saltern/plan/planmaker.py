"""A small plan for tests: mariadb and toolbox on ctl1, keystone on both hosts, one after the other."""

from __future__ import annotations

from typing import Any

MODEL = "4f1c9a0b1c2d3e4f"


def step(kind: str, service: str, hosts: list[str], containers: list[str], *requires: str, serial: int = 0) -> Any:
    verb = {"wave": "Start", "prepare": "Prepare", "register": "Register"}[kind]
    return {
        "id": f"{verb.lower()} {service}",
        "title": f"{verb} {service}",
        "kind": kind,
        "service": service,
        "hosts": hosts,
        "containers": containers,
        "serial": serial,
        "requires": list(requires),
    }


def make_plan() -> dict[str, Any]:
    return {
        "digest": MODEL,
        "cloud": "saltern",
        "release": "2025.2",
        "errors": [],
        "toolbox_host": "ctl1",
        "hosts": {
            "ctl1": {"containers": ["mariadb", "kolla_toolbox", "keystone"]},
            "ctl2": {"containers": ["keystone"]},
        },
        "containers": {
            "mariadb": {"service": "mariadb", "hosts": ["ctl1"]},
            "kolla_toolbox": {"service": "kolla_toolbox", "hosts": ["ctl1"]},
            "keystone": {"service": "keystone", "hosts": ["ctl1", "ctl2"]},
        },
        "steps": [
            step("wave", "mariadb", ["ctl1"], ["mariadb"]),
            step("wave", "kolla_toolbox", ["ctl1"], ["kolla_toolbox"]),
            step("prepare", "keystone", ["ctl1"], [], "start mariadb", "start kolla_toolbox"),
            step("wave", "keystone", ["ctl1", "ctl2"], ["keystone"], "prepare keystone", serial=1),
            step("register", "keystone", ["ctl1"], [], "start keystone"),
        ],
    }


def container_state(changes: dict[str, Any], result: bool | None = True, comment: str = "") -> dict[str, Any]:
    tag = "openstack_container_|-Containers_|-Containers_|-converged"
    return {tag: {"result": result, "changes": changes, "comment": comment}}


def host_state(changes: dict[str, Any], result: bool | None = None, comment: str = "") -> dict[str, Any]:
    return {"openstack_host_|-Host_|-x_|-prepared": {"result": result, "changes": changes, "comment": comment}}


def toolbox_state(changes: dict[str, Any], result: bool | None = True, comment: str = "") -> dict[str, Any]:
    return {"openstack_toolbox_|-Databases_|-x_|-compared": {"result": result, "changes": changes, "comment": comment}}


def precheck_state(comment: str, *, result: bool = False, **readings: str) -> dict[str, Any]:
    told = {"result": result, "changes": {}, "comment": comment, "readings": readings}
    return {"openstack_precheck_|-Host_|-x_|-passed": told}
