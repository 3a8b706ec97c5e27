"""Neutron, Nova, Glance and Placement in memory: enough of their APIs for what the toolbox program asks."""

import itertools
from typing import Any

from saltern_toolbox.report import Refused, Unreachable

Thing = dict[str, Any]
DEFAULTS: dict[str, Thing] = {
    "networks": {"router:external": False, "project_id": "p1", "description": ""},
    "subnets": {"dns_nameservers": [], "allocation_pools": []},
    "routers": {"external_gateway_info": None, "project_id": "p1", "description": ""},
    "security-groups": {"security_group_rules": [], "project_id": "p1", "description": ""},
    "floatingips": {"port_id": None, "description": ""},
    "flavors": {"description": None},
    "images": {"status": "queued", "tags": []},
    "servers": {"status": "BUILD", "addresses": {}, "description": None},
}
SINGLE = {"os-keypairs": "keypair"}


class Cloud:
    """All services; ``instance_becomes`` is what a new or started server is at the next look."""

    def __init__(self) -> None:
        self.ids = itertools.count(1)
        self.writes: list[str] = []
        self.away: set[str] = set()
        self.instance_becomes = ["BUILD", "ACTIVE"]
        self.fault = {"message": "No valid host was found."}
        self.agents = ["neutron-openvswitch-agent", "neutron-dhcp-agent", "neutron-l3-agent"]
        self.room = True
        self.things: dict[str, list[Thing]] = {
            name: [] for name in ("networks", "subnets", "routers", "ports", "security-groups", "floatingips",
                                  "flavors", "os-keypairs", "images", "servers")
        }  # fmt: skip
        for name in ("network", "compute", "image", "placement"):
            setattr(self, name, Api(self, name))

    def project(self) -> str:
        return "p1"

    def all(self, kind: str, **fields: Any) -> list[Thing]:
        return [t for t in self.things[kind] if all(t.get(k) == v for k, v in fields.items())]

    def add(self, kind: str, **fields: Any) -> Thing:
        made = {**{k: list(v) if isinstance(v, list) else v for k, v in DEFAULTS.get(kind, {}).items()}, **fields}
        made.setdefault("id", f"{kind}-{next(self.ids)}")
        self.things[kind].append(made)
        return made


class Api:
    """One service; paths as the real ones."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud, self.name = cloud, name

    def get(self, path: str, **query: Any) -> Any:
        self._check()
        first, *rest = path.strip("/").split("/")
        fixed = getattr(self, f"get_{first.replace('-', '_')}", None)
        if fixed:
            return fixed(rest, query)
        if rest and rest != ["detail"]:
            return {self._single(first): dict(self._find(first, rest[0]))}
        found = [dict(t) for t in self.cloud.things[first] if self._fits(t, query)]
        return {first.replace("-", "_"): found}

    def post(self, path: str, body: Thing) -> Any:
        self._check()
        self.cloud.writes.append(f"POST {path}")
        first, *rest = path.strip("/").split("/")
        if rest and rest[-1] == "action":
            server = self._find(first, rest[0])
            server["coming"] = ["ACTIVE"]
            return {}
        if first == "security-group-rules":
            rule = body["security_group_rule"]
            full = {
                "port_range_min": None,
                "port_range_max": None,
                "remote_group_id": None,
                "ethertype": "IPv4",
                **rule,
            }
            self._find("security-groups", rule["security_group_id"])["security_group_rules"].append(full)
            return {}
        key, fields = (None, body) if first == "images" else next(iter(body.items()))
        made = self.cloud.add(first, **fields)
        getattr(self, f"made_{first.replace('-', '_')}", lambda _made: None)(made)
        return dict(made) if key is None else {key: dict(made)}

    def put(self, path: str, body: Thing) -> Any:
        self._check()
        self.cloud.writes.append(f"PUT {path}")
        first, one, *rest = path.strip("/").split("/")
        found = self._find(first, one)
        if rest == ["add_router_interface"]:
            self.cloud.add("ports", device_id=one, device_owner="network:router_interface", fixed_ips=[body])
        elif rest == ["remove_router_interface"]:
            self.cloud.things["ports"].remove(self._find("ports", body["port_id"]))
        else:
            found.update(next(iter(body.values())))
        return {}

    def patch(self, path: str, body: list[Thing], kind: str) -> None:
        self.cloud.writes.append(f"PATCH {path}")
        found = self._find(*path.strip("/").split("/"))
        found.update({entry["path"].strip("/"): entry["value"] for entry in body})

    def upload(self, path: str, data: Any) -> None:
        self._check()
        _, one, _ = path.strip("/").split("/")
        self._find("images", one).update(status="active", size=len(data.read()))

    def delete(self, path: str) -> bool:
        self._check()
        self.cloud.writes.append(f"DELETE {path}")
        first, one = path.strip("/").split("/")
        key = "name" if first == "os-keypairs" else "id"
        found = [t for t in self.cloud.things[first] if t[key] == one]
        if found and found[0].get("in use"):
            raise Refused(f"{self.name}: {one} is in use (409)", 409)
        self.cloud.things[first] = [t for t in self.cloud.things[first] if t not in found]
        if first == "servers":
            self.cloud.things["ports"] = [p for p in self.cloud.things["ports"] if p["device_id"] != one]
        return bool(found)

    # -- what is not just a list ---------------------------------------------------------------------------------------

    def get_servers(self, rest: list[str], query: Thing) -> Any:
        if rest == ["detail"]:
            name = query.get("name")
            return {"servers": [dict(t) for t in self.cloud.things["servers"] if name in (None, t["name"])]}
        server = self._find("servers", rest[0])
        if server.get("coming"):
            server["status"] = server["coming"].pop(0)
        if server["status"] == "ERROR":
            server["fault"] = self.cloud.fault
        if server["status"] == "ACTIVE" and not server["addresses"]:
            server["addresses"] = {"first": [{"addr": "10.9.0.5", "OS-EXT-IPS:type": "fixed"}]}
            server["OS-EXT-SRV-ATTR:host"] = "cmp1"
        return {"server": dict(server)}

    def made_servers(self, server: Thing) -> None:
        server["coming"] = list(self.cloud.instance_becomes)
        self.cloud.add("ports", device_id=server["id"], device_owner="compute:nova", fixed_ips=[{"subnet_id": "s"}])

    def made_floatingips(self, made: Thing) -> None:
        made["floating_ip_address"] = "172.29.0.100"
        made["port_details"] = {"device_id": self._find("ports", made["port_id"])["device_id"]}

    def get_os_keypairs(self, _rest: list[str], _query: Thing) -> Any:
        return {"keypairs": [{"keypair": dict(t)} for t in self.cloud.things["os-keypairs"]]}

    def get_agents(self, _rest: list[str], _query: Thing) -> Any:
        agents = [{"host": "ctl1", "binary": b, "topic": "t", "alive": True, "admin_state_up": True}
                  for b in self.cloud.agents]  # fmt: skip
        return {"agents": agents}

    def get_os_services(self, _rest: list[str], _query: Thing) -> Any:
        return {"services": [{"host": "cmp1", "binary": "nova-compute", "state": "up", "status": "enabled"}]}

    def get_os_hypervisors(self, _rest: list[str], _query: Thing) -> Any:
        size = {"vcpus": 2, "vcpus_used": 1, "memory_mb": 2048, "memory_mb_used": 640, "running_vms": 1}
        return {"hypervisors": [{"service": {"host": "cmp1"}, "hypervisor_type": "QEMU", **size}]}

    def get_allocation_candidates(self, _rest: list[str], _query: Thing) -> Any:
        return {"provider_summaries": {"rp": {}} if self.cloud.room else {}}

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.name in self.cloud.away:
            raise Unreachable(f"{self.name}: Service Unavailable (503)", 503)

    def _fits(self, thing: Thing, query: Thing) -> bool:
        query = {k: v for k, v in query.items() if k not in ("limit", "is_public", "all_tenants")}
        if "name" in query and "vcpus" in thing:
            raise Refused("compute: Additional properties are not allowed ('name' was unexpected) (400)", 400)
        tag = query.pop("tag", None)
        return (tag is None or tag in thing["tags"]) and all(thing.get(k) == v for k, v in query.items())

    def _find(self, kind: str, one: str) -> Thing:
        for thing in self.cloud.things[kind]:
            if thing["id"] == one:
                return thing
        raise Refused(f"{self.name}: {one} could not be found (404)", 404)

    @staticmethod
    def _single(kind: str) -> str:
        return kind.rstrip("s").replace("-", "_")
