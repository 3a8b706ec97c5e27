"""A host leaves: what it is asked for in Nova, Neutron and Placement, and that nothing is lost on the way."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from saltern_toolbox import departure, main
from saltern_toolbox.report import Failed, Refused, Unreachable

Thing = dict[str, Any]
HOST = "cmp3"


class Cloud:
    """Two hypervisors, two network hosts; time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.away = False
        self.services = [self._service("cmp3"), self._service("cmp4")]
        self.agents = [
            {"id": f"{binary}-{host}", "binary": binary, "host": host, "alive": True, "admin_state_up": True}
            for host in ("cmp3", "cmp4")
            for binary in ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-openvswitch-agent")
        ]
        self.hosted: dict[str, list[str]] = {agent["id"]: [] for agent in self.agents}
        self.routers: dict[str, Thing] = {}
        self.servers: dict[str, Thing] = {}
        self.migrations: list[Thing] = []
        self.providers = {"cmp3.example": "p3", "cmp4.example": "p4"}
        self.live_works, self.live_accepted, self.cold_works, self.takes = True, True, True, 4.0
        self.writes: list[str] = []
        self.compute, self.network, self.placement = Compute(self), Network(self), Placement(self)

    @staticmethod
    def _service(host: str) -> Thing:
        return {"id": f"s-{host}", "host": host, "binary": "nova-compute", "state": "up", "status": "enabled"}

    def server(self, name: str, status: str = "ACTIVE", host: str = HOST) -> Thing:
        made = {"id": f"i-{name}", "name": name, "status": status, "OS-EXT-SRV-ATTR:host": host,
                "OS-EXT-STS:task_state": None, "addresses": {}}  # fmt: skip
        self.servers[made["id"]] = made
        return made

    def router(self, name: str, agent: str = "neutron-l3-agent-cmp3", **fields: Any) -> None:
        self.routers[name] = {"id": name, "name": name, "external_gateway_info": {"x": 1}, **fields}
        if agent:
            self.hosted[agent].append(name)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for server in self.servers.values():
            if "end" in server and self.now >= server["end"]:
                del server["end"]
                server.pop("then")(server)

    def busy(self, server: Thing, status: str, then: Any) -> None:
        server.update({"status": status, "OS-EXT-STS:task_state": "migrating", "end": self.now + self.takes})
        server["then"] = then


class Compute:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def get(self, path: str, **query: Any) -> Any:
        cloud = self.cloud
        if cloud.away:
            raise Unreachable("compute unreachable: no answer")
        if path == "/os-services":
            found = [s for s in cloud.services if query.get("host") in (None, s["host"])]
            return {"services": [dict(s) for s in found]}
        if path == "/servers/detail":
            assert query["all_tenants"] == 1
            return {"servers": [dict(s) for s in cloud.servers.values() if s["OS-EXT-SRV-ATTR:host"] == query["host"]]}
        if path == "/os-migrations":
            return {"migrations": [m for m in cloud.migrations if m["source_compute"] == query["source_compute"]]}
        if path == "/os-hypervisors/detail":
            return {
                "hypervisors": [
                    {"hypervisor_hostname": f"{s['host']}.example", "service": {"host": s["host"]}}
                    for s in cloud.services
                ]
            }
        uuid = path.split("/")[2]
        if uuid not in cloud.servers:
            raise Refused("compute: no such server (404)", 404)
        return {"server": dict(cloud.servers[uuid])}

    def put(self, path: str, body: Thing) -> None:
        self.cloud.writes.append(f"PUT {path} {body['status']}")
        next(s for s in self.cloud.services if path.endswith(s["id"])).update(body)

    def post(self, path: str, body: Thing) -> None:
        cloud = self.cloud
        (action,) = body
        server = cloud.servers[path.split("/")[2]]
        cloud.writes.append(f"{action} {server['name']}")

        def moved(one: Thing, status: str = "ACTIVE") -> None:
            one.update({"status": status, "OS-EXT-SRV-ATTR:host": "cmp4", "OS-EXT-STS:task_state": None})

        def stayed(one: Thing) -> None:
            one.update({"status": "ACTIVE", "OS-EXT-STS:task_state": None})

        def resized(one: Thing) -> None:
            moved(one, "VERIFY_RESIZE")
            cloud.migrations.append({"instance_uuid": one["id"], "migration_type": "migration", "source_compute": HOST})

        if action == "os-migrateLive":
            if not cloud.live_accepted:
                raise Refused("compute: not supported (400)", 400)
            cloud.busy(server, "MIGRATING", moved if cloud.live_works else stayed)
        elif action == "migrate":
            cloud.busy(server, "RESIZE", resized if cloud.cold_works else stayed)
        elif action == "confirmResize":
            cloud.migrations = [m for m in cloud.migrations if m["instance_uuid"] != server["id"]]
            server.update({"status": "ACTIVE"})

    def delete(self, path: str) -> None:
        self.cloud.writes.append(f"DELETE {path}")
        gone = next(s for s in self.cloud.services if path.endswith(s["id"]))
        self.cloud.services.remove(gone)


class Network:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def get(self, path: str, **query: Any) -> Any:
        cloud = self.cloud
        if path == "/agents":
            return {"agents": [dict(a) for a in cloud.agents if all(a[key] == value for key, value in query.items())]}
        if path == "/routers":
            return {"routers": list(cloud.routers.values())}
        _, first, one, what = path.split("/")
        if first == "routers":
            return {"agents": [agent for agent, held in cloud.hosted.items() if one in held]}
        held = cloud.hosted[one]
        if what == "l3-routers":
            return {"routers": [cloud.routers[name] for name in held if name in cloud.routers]}
        return {"networks": [{"id": name, "name": name} for name in held if name not in cloud.routers]}

    def put(self, path: str, body: Thing) -> None:
        self.cloud.writes.append(f"PUT {path} {body['agent']['admin_state_up']}")
        next(a for a in self.cloud.agents if path.endswith(a["id"])).update(body["agent"])

    def post(self, path: str, body: Thing) -> None:
        self.cloud.writes.append(f"POST {path}")
        _, _, agent, _ = path.split("/")
        (thing,) = body.values()
        if thing in self.cloud.hosted[agent]:
            raise Refused("network: it is there (409)", 409)
        self.cloud.hosted[agent].append(thing)

    def delete(self, path: str) -> None:
        self.cloud.writes.append(f"DELETE {path}")
        _, _, agent, *rest = path.split("/")
        if rest:
            self.cloud.hosted[agent].remove(rest[1])
        else:
            self.cloud.agents = [a for a in self.cloud.agents if a["id"] != agent]


class Placement:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def get(self, path: str, name: str) -> Any:
        known = self.cloud.providers
        return {"resource_providers": [{"uuid": known[name]}] if name in known else []}

    def delete(self, path: str) -> None:
        self.cloud.writes.append(f"DELETE {path}")
        self.cloud.providers = {n: u for n, u in self.cloud.providers.items() if not path.endswith(u)}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def ask(cloud: Cloud, action: str = "host_empty", **fields: Any) -> Any:
    """Through the program's own front."""
    request = {"action": action, "identity": {"password": "very-secret"}, "host": HOST, "move": False}
    request |= {"dry_run": False, "reopen": False, "seconds": 60, **fields}
    target = io.StringIO()
    work_sleep = {"sleep": cloud.sleep, "clock": lambda: cloud.now}
    original = main.Work.__init__

    def quick(self: Any, given: Any, connect: Any) -> None:
        original(self, given, connect, **work_sleep)

    main.Work.__init__ = quick  # type: ignore[method-assign]
    try:
        main.main(io.StringIO(json.dumps(request)), target, {"cloud": lambda where, seconds: cloud})
    finally:
        main.Work.__init__ = original  # type: ignore[method-assign]
    return json.loads(target.getvalue())


def fields(answer: Any) -> list[tuple[str, str, str | None]]:
    return [(change["kind"], change["name"], change["field"]) for change in answer["changes"]]


def test_a_look_changes_nothing_and_names_everything(cloud: Cloud) -> None:
    cloud.server("web")
    cloud.router("r1")
    answer = ask(cloud, dry_run=True, move=True)
    assert cloud.writes == [] and answer["errors"] == []
    assert [entry["name"] for entry in answer["instances"]] == ["web"]
    assert (answer["services"], answer["up"], answer["elsewhere"], len(answer["agents"])) == (
        ["nova-compute"],
        True,
        1,
        3,
    )
    assert ("compute service", HOST, "disabled") in fields(answer) and ("router", "r1", "moved") in fields(answer)


def test_nothing_new_comes_and_what_serves_networks_goes_elsewhere(cloud: Cloud) -> None:
    cloud.router("r1")
    cloud.router("r2", ha=True)
    cloud.hosted["neutron-l3-agent-cmp4"].append("r2")
    cloud.hosted["neutron-dhcp-agent-cmp3"].append("net1")
    cloud.hosted["neutron-dhcp-agent-cmp3"].append("net2")
    cloud.hosted["neutron-dhcp-agent-cmp4"].append("net2")
    answer = ask(cloud)
    assert answer["errors"] == [] and answer["instances"] == []
    assert cloud.services[0]["status"] == "disabled" and cloud.services[1]["status"] == "enabled"
    up = {agent["id"]: agent["admin_state_up"] for agent in cloud.agents}
    assert not up["neutron-l3-agent-cmp3"] and not up["neutron-dhcp-agent-cmp3"]
    assert up["neutron-openvswitch-agent-cmp3"] and up["neutron-l3-agent-cmp4"]
    assert cloud.hosted["neutron-l3-agent-cmp4"] == ["r2", "r1"] and cloud.hosted["neutron-l3-agent-cmp3"] == []
    assert sorted(cloud.hosted["neutron-dhcp-agent-cmp4"]) == ["net1", "net2"]
    # DHCP is there before it is gone here
    assert cloud.writes.index("POST /agents/neutron-dhcp-agent-cmp4/dhcp-networks") < cloud.writes.index(
        "DELETE /agents/neutron-dhcp-agent-cmp3/dhcp-networks/net1"
    )
    assert cloud.writes.index("DELETE /agents/neutron-dhcp-agent-cmp3/dhcp-networks/net2") < cloud.writes.index(
        "PUT /agents/neutron-dhcp-agent-cmp3 False"
    )
    writes = len(cloud.writes)
    assert ask(cloud)["changes"] == [] and len(cloud.writes) == writes


def test_a_router_that_a_cut_off_call_left_nowhere_is_given_to_an_agent(cloud: Cloud) -> None:
    cloud.router("lost", agent="")
    cloud.router("idle", agent="", external_gateway_info=None)
    ask(cloud)
    assert cloud.hosted["neutron-l3-agent-cmp4"] == ["lost"]


def test_without_another_agent_routers_and_networks_stay_and_it_is_said(cloud: Cloud) -> None:
    cloud.router("r1")
    cloud.hosted["neutron-dhcp-agent-cmp3"].append("net1")
    for agent in cloud.agents:
        agent["alive"] = agent["host"] == HOST
    errors = " ".join(ask(cloud)["errors"])
    assert "no other host has an L3 agent" in errors and "no other host has a DHCP agent" in errors
    assert cloud.hosted["neutron-l3-agent-cmp3"] == ["r1"] and cloud.hosted["neutron-dhcp-agent-cmp3"] == ["net1"]


def test_instances_move_live(cloud: Cloud) -> None:
    cloud.server("web")
    cloud.server("paused", "PAUSED")
    cloud.server("other", host="cmp4")
    answer = ask(cloud, move=True)
    assert (answer["instances"], answer["errors"]) == ([], [])
    assert [w for w in cloud.writes if "migrate" in w.lower()] == ["os-migrateLive web", "os-migrateLive paused"]


@pytest.mark.parametrize("accepted", [True, False], ids=["fails on the way", "refused at once"])
def test_what_does_not_move_live_moves_cold_and_is_confirmed(cloud: Cloud, accepted: bool) -> None:
    cloud.live_works, cloud.live_accepted = False, accepted
    cloud.server("web")
    answer = ask(cloud, move=True)
    assert (answer["instances"], answer["errors"], answer["cold"]) == ([], [], ["i-web"])
    assert cloud.writes[-3:] == ["os-migrateLive web", "migrate web", "confirmResize web"]
    assert cloud.servers["i-web"]["status"] == "ACTIVE" and cloud.migrations == []


def test_a_stopped_instance_moves_cold(cloud: Cloud) -> None:
    cloud.server("web", "SHUTOFF")
    assert ask(cloud, move=True)["instances"] == []
    assert "os-migrateLive web" not in cloud.writes


def test_time_ends_a_call_and_the_next_goes_on(cloud: Cloud) -> None:
    cloud.takes = 100
    cloud.server("web")
    first = ask(cloud, move=True, seconds=10)
    assert [entry["status"] for entry in first["instances"]] == ["MIGRATING"] and first["errors"] == []
    assert first["cold"] == []
    second = ask(cloud, move=True, seconds=200)
    assert second["instances"] == [] and cloud.writes.count("os-migrateLive web") == 1


def test_a_cold_migration_that_nobody_confirmed_is_confirmed_by_the_next_call(cloud: Cloud) -> None:
    cloud.server("web", "VERIFY_RESIZE", host="cmp4")
    cloud.server("own", "VERIFY_RESIZE", host="cmp4")
    for name, kind in (("web", "migration"), ("own", "resize"), ("deleted", "migration")):
        cloud.migrations.append({"instance_uuid": f"i-{name}", "migration_type": kind, "source_compute": HOST})
    answer = ask(cloud, move=True)
    assert [w for w in cloud.writes if "confirm" in w] == ["confirmResize web"]
    assert answer["errors"] == ["instance own: its resize waits to be confirmed or reverted"]


def test_what_cannot_be_moved_is_named_and_the_others_go(cloud: Cloud) -> None:
    cloud.server("broken", "ERROR")
    cloud.server("web")
    answer = ask(cloud, move=True)
    assert [entry["name"] for entry in answer["instances"]] == ["broken"]
    assert answer["errors"] == ["instance broken: is ERROR; start or stop it, or delete it, then run this again"]


def test_when_neither_way_works_it_says_where_to_look(cloud: Cloud) -> None:
    cloud.live_works = cloud.cold_works = False
    cloud.server("web")
    answer = ask(cloud, move=True)
    assert "the cold migration failed: no other host took it" in answer["errors"][0]
    assert cloud.servers["i-web"]["status"] == "ACTIVE"


def test_a_host_is_taken_back(cloud: Cloud) -> None:
    before = [dict(agent) for agent in cloud.agents]
    ask(cloud)
    answer = ask(cloud, reopen=True)
    assert cloud.services[0]["status"] == "enabled" and cloud.agents == before
    assert ("compute service", HOST, "enabled") in fields(answer)


def test_its_records_go_last_and_only_its_own(cloud: Cloud) -> None:
    answer = ask(cloud, "host_forget")
    assert answer["errors"] == []
    assert [s["host"] for s in cloud.services] == ["cmp4"] and {a["host"] for a in cloud.agents} == {"cmp4"}
    assert cloud.providers == {"cmp4.example": "p4"}
    again = ask(cloud, "host_forget")
    assert (again["changes"], again["errors"]) == ([], [])


def test_a_host_with_instances_is_not_forgotten(cloud: Cloud) -> None:
    cloud.server("web", "SHUTOFF")
    answer = ask(cloud, "host_forget")
    assert answer["errors"] == ["1 instances are still on cmp3: web"] and cloud.writes == []


def test_a_cloud_that_stops_answering_is_an_error_and_no_traceback(cloud: Cloud) -> None:
    cloud.away = True
    assert ask(cloud)["errors"] == ["compute unreachable: no answer"]
    with pytest.raises(Failed):
        departure.Departure(cloud, HOST, True, cloud.sleep, lambda: cloud.now).found()
