"""The cloud of the compute tests: control on one host, hypervisors on it and on a second one, a third that may join."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from rig.cloud import SaltCloud
from rig.openstackapi import OpenStack
from rig.rig import Host

NAMES = ("ctl1", "cmp1", "cmp2")
EXTERNAL = "172.29.0"
LIVE = "compute 2.30"  # the version of Nova's API whose migration decides by itself what has to be copied
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

    def boot(self, name: str, like: dict[str, Any], host: str, script: str = "") -> dict[str, Any]:
        """An instance on this host, as another one is (flavor, image, network), which runs a script; it is in BUILD."""
        (network,) = self.get(8774, f"/v2.1/servers/{like['id']}/os-interface")["interfaceAttachments"]
        body = {
            "name": name,
            "flavorRef": like["flavor"]["id"],
            "imageRef": like["image"]["id"],
            "networks": [{"uuid": network["net_id"]}],
            "security_groups": [{"name": group["name"]} for group in like["security_groups"]],
            "availability_zone": f"nova:{host}",
            "user_data": base64.b64encode(script.encode()).decode() or None,
        }
        _, _, made = self.api.call("POST", 8774, "/v2.1/servers", {"server": body})
        return self.server(made["server"]["id"])

    def delete(self, which: str) -> None:
        """Delete an instance and wait until Nova does not know it."""
        self.api.call("DELETE", 8774, f"/v2.1/servers/{which}")
        self.eventually(lambda: which not in {s["id"] for s in self.get(8774, "/v2.1/servers")["servers"]}, "deleted")

    @staticmethod
    def eventually(condition: Callable[[], bool], what: str, timeout: float = 120) -> None:
        """Wait until a condition of an API holds. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {what} after {timeout:.0f} s")
            time.sleep(0.5)  # an API without events

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

    def migrate(self, which: str, host: str) -> dict[str, Any]:
        """Move a running instance to a host; returned when it runs there."""
        body = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
        self.api.call("POST", 8774, f"/v2.1/servers/{which}/action", body, headers={"OpenStack-API-Version": LIVE})
        return self.server(which, lambda server: active(server) and self._settled(server, host))

    def _settled(self, server: dict[str, Any], host: str) -> bool:
        """Whether it is there. Raises RuntimeError when it is not and the migration is over."""
        if on(server) == host:
            return True
        newest = self.get(8774, f"/v2.1/os-migrations?instance_uuid={server['id']}")["migrations"][0]
        if newest["status"] in ("failed", "error", "cancelled"):
            raise RuntimeError(f"{server['name']}: migration to {host}: {newest['status']}")
        return False

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

    def agents(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(binary, host) → Neutron's agent: ``alive``, ``heartbeat_timestamp``, …"""
        return {(a["binary"], a["host"]): a for a in self.get(9696, "/v2.0/agents")["agents"]}

    def services(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(binary, host) → Nova's service: ``state`` (up, down), ``updated_at``, …"""
        return {(s["binary"], s["host"]): s for s in self.get(8774, "/v2.1/os-services")["services"]}

    def hypervisors(self) -> set[str]:
        return {h["hypervisor_hostname"] for h in self.get(8774, "/v2.1/os-hypervisors")["hypervisors"]}


def active(server: dict[str, Any]) -> bool:
    """It runs, and nothing is being done to it."""
    return server["status"] == "ACTIVE" and server["OS-EXT-STS:task_state"] is None


def address(server: dict[str, Any], kind: str) -> str:
    """Its address, ``fixed`` or ``floating``."""
    found = [a["addr"] for net in server["addresses"].values() for a in net if a["OS-EXT-IPS:type"] == kind]
    return str(found[0])


def on(server: dict[str, Any]) -> str:
    """The host it runs on."""
    return str(server["OS-EXT-SRV-ATTR:host"])


def banner(host: Host, address: str) -> str:
    """What an instance says on port 22, asked from a host."""
    talk = 'exec 3<>"/dev/tcp/$1/22"; head -1 <&3'
    return host.run("timeout", "20", "bash", "-c", talk, "-", address).stdout.strip()


def qemu(host: Host, server: dict[str, Any]) -> str:
    """The process of an instance on its host, as the host numbers it; empty where there is none."""
    return host.run("pgrep", "-f", f"guest={server['OS-EXT-SRV-ATTR:instance_name']},", check=False).stdout.strip()
