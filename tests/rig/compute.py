"""The cloud of the compute tests: control on one host, hypervisors on it and on a second one, a third that may join."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rig.cloud import SaltCloud
from rig.openstackapi import OpenStack

NAMES = ("ctl1", "cmp1", "cmp2")
EXTERNAL = "172.29.0"
CONTROL = ["control", "database", "messaging", "loadbalancer", "network", "compute"]


def model(cloud: SaltCloud, *names: str, **extra: Any) -> dict[str, Any]:
    """The operator's tree with these hosts; the first one has control, all are hypervisors."""
    hosts = {
        name: {"address": cloud.rig[name].address, "roles": ["compute"] if number else CONTROL, "interface": "eth0"}
        for number, name in enumerate(names or NAMES[:2])
    }
    networks = {
        "provider": {"physnet1": {"bridge": "br-ex", "interface": None}},
        "external": {
            "name": "public",
            "provider": "physnet1",
            "cidr": f"{EXTERNAL}.0/24",
            "gateway": f"{EXTERNAL}.1",
            "floating": [f"{EXTERNAL}.100", f"{EXTERNAL}.150"],
            "host_address": f"{EXTERNAL}.1/24",
        },
    }
    return {"openstack": {"cloud": "rig", "release": "2025.2", "hosts": hosts, "networks": networks, **extra}}


class Compute:
    """Nova and Neutron as the tests need them, over their APIs."""

    def __init__(self, api: OpenStack) -> None:
        self.api = api

    def get(self, port: int, path: str) -> Any:
        return self.api.call("GET", port, path)[2]

    def by_name(self, port: int, path: str, key: str, name: str) -> dict[str, Any]:
        """The one thing of this name. Raises LookupError."""
        found = [item for item in self.get(port, path)[key] if item["name"] == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} {key} named {name}")
        return dict(found[0])

    def boot(self, name: str, like: dict[str, Any], host: str, user_data: str | None = None) -> dict[str, Any]:
        """An instance on this host, as another one is (flavor, image, network); returned when it is ACTIVE."""
        body: dict[str, Any] = {
            "name": name,
            "flavorRef": like["flavor"],
            "imageRef": like["image"],
            "networks": [{"uuid": like["network"]}],
            "security_groups": [{"name": like["security_group"]}],
            "availability_zone": f"nova:{host}",
        }
        if user_data:
            body["user_data"] = user_data
        _, _, made = self.api.call("POST", 8774, "/v2.1/servers", {"server": body})
        return self.server(made["server"]["id"], lambda server: server["status"] == "ACTIVE")

    def server(
        self, which: str, condition: Callable[[dict[str, Any]], bool] = bool, timeout: float = 180
    ) -> dict[str, Any]:
        """The instance, once it is so. Raises RuntimeError when it went to ERROR, TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            server = dict(self.get(8774, f"/v2.1/servers/{which}")["server"])
            if server["status"] == "ERROR":
                raise RuntimeError(f"{server['name']}: {server.get('fault', {}).get('message')}")
            if condition(server):
                return server
            if time.monotonic() > deadline:
                raise TimeoutError(f"{server['name']} is {server['status']} after {timeout:.0f} s")
            time.sleep(0.5)  # an API without events

    def action(self, which: str, body: dict[str, Any]) -> Any:
        return self.api.call("POST", 8774, f"/v2.1/servers/{which}/action", body)[2]

    def console(self, which: str, text: str, timeout: float = 120) -> str:
        """The console's text, once it holds ``text``."""
        deadline = time.monotonic() + timeout
        while True:
            shown = str(self.action(which, {"os-getConsoleOutput": {"length": 400}})["output"])
            if text in shown:
                return shown
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {text!r} on the console: {shown[-1500:]}")
            time.sleep(1)  # a guest's output has no event

    def agents(self) -> dict[tuple[str, str], bool]:
        """(binary, host) → alive, of Neutron's agents."""
        return {(a["binary"], a["host"]): a["alive"] for a in self.get(9696, "/v2.0/agents")["agents"]}

    def services(self) -> dict[tuple[str, str], str]:
        """(binary, host) → state (up, down), of Nova's services."""
        found = self.get(8774, "/v2.1/os-services")["services"]
        return {(s["binary"], s["host"]): s["state"] for s in found}


def fixed(server: dict[str, Any]) -> str:
    """Its address on the tenant's network."""
    found = [a["addr"] for net in server["addresses"].values() for a in net if a["OS-EXT-IPS:type"] == "fixed"]
    return str(found[0])


def on(server: dict[str, Any]) -> str:
    """The host it runs on."""
    return str(server["OS-EXT-SRV-ATTR:host"])
