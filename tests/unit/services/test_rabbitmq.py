"""RabbitMQ: one member and three; what it is told about its memory, its users and the other members."""

import json
from typing import Any

import pytest

from unit.services import cloud

ON = {"rabbitmq": {"enabled": True}}


def settings(spec: dict[str, Any]) -> dict[str, str]:
    lines = [line for line in cloud.file(spec, "rabbitmq.conf").splitlines() if line and not line.startswith("#")]
    pairs = [line.split(" = ", 1) for line in lines]
    assert len({key for key, _ in pairs}) == len(pairs), "a key comes twice"
    return dict(pairs)


def member(host: str = "aio", **openstack: Any) -> dict[str, Any]:
    hosts = cloud.AIO if host == "aio" else cloud.THREE
    return cloud.spec(cloud.compiled(hosts, **{"services": ON, **openstack}), host, "rabbitmq")


def test_it_is_off_where_no_host_is_a_hypervisor() -> None:
    plan = cloud.compiled(cloud.THREE).plan
    assert plan and "rabbitmq" not in plan["containers"]


def test_members_are_named_by_address_and_all_know_all() -> None:
    for number in (1, 2, 3):
        spec = member(f"ctl{number}")
        found = settings(spec)
        nodes = [found[f"cluster_formation.classic_config.nodes.{n}"] for n in (1, 2, 3)]
        assert nodes == [f"rabbit@10.0.0.1{n}" for n in (1, 2, 3)]
        assert f"NODENAME=rabbit@10.0.0.1{number}\n" in cloud.file(spec, "rabbitmq-env.conf")
        assert f"rabbit@10.0.0.1{number}" in spec["healthcheck"]["exec"]


def test_only_the_first_member_founds_a_cluster_alone() -> None:
    hints = [settings(member(f"ctl{n}"))["cluster_formation.target_cluster_size_hint"] for n in (1, 2, 3)]
    assert hints == ["1", "3", "3"]
    assert settings(member())["cluster_formation.target_cluster_size_hint"] == "1"


def test_it_binds_the_hosts_own_address_and_a_run_checks_these_ports_first() -> None:
    made = cloud.compiled(cloud.AIO, services=ON)
    spec = cloud.spec(made, "aio", "rabbitmq")
    found = settings(spec)
    assert found["listeners.tcp.1"] == "10.0.0.11:5672"
    assert found["management.tcp.ip"] == found["prometheus.tcp.ip"] == "10.0.0.11"
    environment = cloud.file(spec, "rabbitmq-env.conf")
    assert "ERL_EPMD_ADDRESS=10.0.0.11\n" in environment
    assert environment.count("-kernel inet_dist_use_interface {10,0,0,11}") == 2, "server and rabbitmqctl"
    bound = {
        (p["port"], p["address"]) for p in made.slices["aio"]["prechecks"]["ports"] if p["container"] == "rabbitmq"
    }
    own = {(port, "10.0.0.11") for port in (4369, 5672, 15672, 15692, 25672)}
    assert bound == own | {(4369, "127.0.0.1")}


def test_its_memory_is_what_the_container_may_use() -> None:
    assert settings(member())["total_memory_available_override_value"] == str(2**30)
    less = member(services={"rabbitmq": {"enabled": True, "limits": {"rabbitmq": {"memory": "512M"}}}})
    found = settings(less)
    assert found["total_memory_available_override_value"] == str(2**29)
    assert int(found["raft.wal_max_size_bytes"]) == 2**25, "no more than a small part of it"


def test_users_and_their_rights() -> None:
    definitions = json.loads(cloud.file(member(), "definitions.json"))
    users = {user["name"]: (user["password"], user["tags"]) for user in definitions["users"]}
    assert users == {
        "openstack": ("secret-of-rabbitmq_password", []),
        "monitoring": ("secret-of-rabbitmq_monitoring_password", ["monitoring"]),
    }
    rights = {
        entry["user"]: entry["configure"] + entry["write"] + entry["read"] for entry in definitions["permissions"]
    }
    assert rights == {"openstack": ".*.*.*", "monitoring": ""}
    assert definitions["vhosts"] == [{"name": "openstack", "default_queue_type": "quorum"}]


def test_the_cookie_is_for_its_owner_alone() -> None:
    (cookie,) = [file for file in member()["files"] if file["name"] == "erlang.cookie"]
    assert (cookie["dest"], cookie["mode"], cookie["owner"]) == ("/etc/rabbitmq/.erlang.cookie", "0400", "rabbitmq")
    assert cookie["content"] == "secret-of-rabbitmq_erlang_cookie\n"


def test_a_member_that_waits_for_others_is_not_restarted() -> None:
    spec = member()
    assert (spec["restart"], spec["liveness"], spec["readiness"]["tcp"]) == ("health", None, "10.0.0.11:5672")
    assert spec["stop_timeout"] >= 60


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (2047, "2047"), ("120s", "120s")])
def test_operators_set_any_further_key(value: Any, text: str) -> None:
    spec = member(services={"rabbitmq": {"enabled": True, "variables": {"settings": {"channel_max": value}}}})
    assert f"channel_max = {text}\n" in cloud.file(spec, "settings.conf")
