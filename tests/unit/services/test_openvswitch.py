"""Open vSwitch: where it runs, what it may, how it is told about itself."""

from typing import Any

from unit.services import cloud

ON = {"openvswitch": {"enabled": True}}
HOSTS = {
    "ctl1": {"address": "10.0.0.11", "roles": cloud.CONTROLLER},
    "net1": {"address": "10.0.0.12", "roles": ["network"]},
    "cmp1": {"address": "10.0.0.13", "roles": ["compute"]},
}


def switch(**openstack: Any) -> dict[str, Any]:
    return cloud.spec(cloud.compiled(cloud.AIO, **{"services": ON, **openstack}), "aio", "openvswitch_vswitchd")


def test_it_is_off_where_no_host_is_a_hypervisor() -> None:
    plan = cloud.compiled(cloud.THREE).plan
    assert plan and "openvswitch_db" not in plan["containers"]


def test_it_runs_where_instances_or_routers_are() -> None:
    plan = cloud.compiled(HOSTS, services=ON).plan
    assert plan
    for name in ("openvswitch_db", "openvswitch_vswitchd"):
        assert plan["containers"][name]["hosts"] == ["net1", "cmp1"]
    (wave,) = [step for step in plan["steps"] if step["service"] == "openvswitch"]
    assert wave["containers"] == ["openvswitch_db", "openvswitch_vswitchd"], "the database first"


def test_only_the_switch_is_root_and_its_rights_are_counted() -> None:
    database = cloud.spec(cloud.compiled(cloud.AIO, services=ON), "aio", "openvswitch_db")
    assert (database["uid"], database["user"], database["capabilities"], database["devices"]) == (42476, None, [], [])
    found = switch()
    assert found["uid"] == 0
    assert sorted(found["capabilities"]) == ["DAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW"]
    assert found["devices"] == ["/dev/net/tun"] == found["host"]["paths"]
    assert (found["read_only"], found["security"], found["pid_host"]) == (True, [], False)


def test_both_say_whose_the_directory_of_the_sockets_is_as_either_may_be_started_first() -> None:
    made = cloud.compiled(cloud.AIO, services=ON)
    for name in ("openvswitch_db", "openvswitch_vswitchd"):
        (mount,) = [m for m in cloud.spec(made, "aio", name)["mounts"] if m["target"] == "/run/openvswitch"]
        assert (mount["create"], mount["owner"]) == ("directory", 42476)


def test_what_is_read_at_the_start_only_is_an_argument_so_that_a_change_starts_it_anew() -> None:
    assert switch()["process"] == "openvswitch-vswitchd aio userspace-tso-enable=true"
    more = {"variables": {"settings": {"userspace-tso-enable": "false", "n-revalidator-threads": 2}}}
    found = switch(services={"openvswitch": {"enabled": True, **more}})["process"]
    assert found == "openvswitch-vswitchd aio n-revalidator-threads=2 userspace-tso-enable=false"


def test_the_database_is_for_the_host_alone() -> None:
    made = cloud.compiled(cloud.AIO, services=ON)
    assert "--remote=ptcp:6640:127.0.0.1" in cloud.spec(made, "aio", "openvswitch_db")["process"].split()
    bound = [p for p in made.slices["aio"]["prechecks"]["ports"] if p["container"] == "openvswitch_db"]
    assert bound == [{"port": 6640, "address": "127.0.0.1", "container": "openvswitch_db"}]
