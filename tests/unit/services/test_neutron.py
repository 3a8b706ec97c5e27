"""Neutron: who gets which configuration, what agents may, and that it does not need Nova."""

from typing import Any

import pytest

from saltern.model import ini
from unit.services import cloud

ON = cloud.only("rabbitmq", "openvswitch", "neutron")
HOSTS = {
    "ctl1": {"address": "10.0.0.11", "roles": cloud.CONTROLLER},
    "net1": {"address": "10.0.0.12", "roles": ["network"], "tunnel_address": "10.1.0.12"},
    "net2": {"address": "10.0.0.13", "roles": ["network"]},
    "cmp1": {"address": "10.0.0.14", "roles": ["compute"]},
}
NETWORKS = {
    "tunnel": {"range": "100:199", "mtu": 1450},
    "provider": {
        "physnet1": {"bridge": "br-ex"},
        "physnet2": {"bridge": "br-two", "vlans": ["100:199", "300:300"], "mtu": 9000, "roles": ["network", "compute"]},
    },
}
SERVER = ("neutron_server", "neutron_rpc_server", "neutron_periodic_workers")
AGENTS = ("neutron_openvswitch_agent", "neutron_dhcp_agent", "neutron_l3_agent", "neutron_metadata_agent")


@pytest.fixture(scope="module")
def made() -> Any:
    return cloud.compiled(HOSTS, services=ON, networks=NETWORKS)


def conf(made: Any, host: str, container: str, name: str = "neutron.conf") -> dict[str, dict[str, list[str]]]:
    return ini.parse(cloud.file(cloud.spec(made, host, container), name))


def test_it_is_off_where_no_host_is_a_hypervisor() -> None:
    plan = cloud.compiled(cloud.THREE).plan
    assert plan and "neutron_server" not in plan["containers"] and "neutron" not in plan["endpoints"]


def test_where_it_runs(made: Any) -> None:
    found = {name: made.plan["containers"][name]["hosts"] for name in (*SERVER, *AGENTS)}
    assert {name: found[name] for name in SERVER} == {name: ["ctl1"] for name in SERVER}
    assert found["neutron_openvswitch_agent"] == ["net1", "net2", "cmp1"]
    assert [found[name] for name in AGENTS[1:]] == [["net1", "net2"]] * 3


def test_only_the_server_has_the_database_and_a_login(made: Any) -> None:
    for name in SERVER:
        assert {"database", "keystone_authtoken"} <= set(conf(made, "ctl1", name))
    for name in AGENTS:
        found = cloud.file(cloud.spec(made, "net1", name), "neutron.conf")
        assert "mysql" not in found and "secret-of-neutron_database_password" not in found
        assert "keystone_password" not in found


def test_agents_are_named_as_their_host(made: Any) -> None:
    for name in AGENTS:
        assert conf(made, "net1", name)["DEFAULT"]["host"] == ["net1"]


def test_what_networks_there_are_is_the_pillars(made: Any) -> None:
    found = conf(made, "ctl1", "neutron_server", "ml2_conf.ini")
    assert found["ml2"]["type_drivers"] == ["flat,vlan,vxlan"]
    assert found["ml2"]["path_mtu"] == ["1450"]
    assert found["ml2"]["physical_network_mtus"] == ["physnet1:1500,physnet2:9000"]
    assert found["ml2_type_flat"]["flat_networks"] == ["physnet1,physnet2"]
    assert found["ml2_type_vlan"]["network_vlan_ranges"] == ["physnet1,physnet2:100:199,physnet2:300:300"]
    assert found["ml2_type_vxlan"]["vni_ranges"] == ["100:199"]
    assert conf(made, "ctl1", "neutron_server")["DEFAULT"]["global_physnet_mtu"] == ["9000"]


def test_a_host_has_the_bridges_of_its_roles_and_its_own_tunnel(made: Any) -> None:
    def switch(host: str) -> dict[str, list[str]]:
        return conf(made, host, "neutron_openvswitch_agent", "openvswitch_agent.ini")["ovs"]

    assert switch("net1")["bridge_mappings"] == ["physnet1:br-ex,physnet2:br-two"]
    assert switch("cmp1")["bridge_mappings"] == ["physnet2:br-two"]
    assert switch("cmp1")["of_request_timeout"] == ["10"], "else a switch that died is waited for five minutes"
    assert (switch("net1")["local_ip"], switch("net2")["local_ip"]) == (["10.1.0.12"], ["10.0.0.13"])


def test_no_networks_around_the_cloud_is_no_mapping() -> None:
    made = cloud.compiled(cloud.AIO, services=ON)
    assert "bridge_mappings" not in conf(made, "aio", AGENTS[0], "openvswitch_agent.ini")["ovs"]
    found = conf(made, "aio", "neutron_server", "ml2_conf.ini")
    assert "physical_network_mtus" not in found["ml2"]
    assert found["ml2_type_flat"]["flat_networks"] == found["ml2_type_vlan"]["network_vlan_ranges"] == [""]


def test_the_datapath_comes_from_the_hosts_fact_and_is_read_last(made: Any) -> None:
    entry = cloud.spec(made, "cmp1", "neutron_openvswitch_agent")
    words = entry["process"].split()
    assert words[:3] == [
        "saltern-neutron-openvswitch-agent",
        "/var/lib/saltern/facts/openvswitch/datapath.json",
        "/etc/neutron/datapath.ini",
    ]
    (mount,) = [m for m in entry["mounts"] if m["target"] == "/var/lib/saltern/facts/openvswitch"]
    assert (mount["read_only"], mount["create"]) == (True, "directory")
    assert "datapath_type" not in cloud.file(entry, "openvswitch_agent.ini")


@pytest.mark.parametrize(("network_hosts", "expected"), [(1, "1"), (2, "2"), (3, "2")])
def test_no_network_asks_for_more_dhcp_servers_than_there_are(network_hosts: int, expected: str) -> None:
    more = {f"net{n}": {"address": f"10.0.1.{n}", "roles": ["network"]} for n in range(network_hosts)}
    made = cloud.compiled({"ctl1": HOSTS["ctl1"], **more}, services=ON)
    assert conf(made, "ctl1", "neutron_server")["DEFAULT"]["dhcp_agents_per_network"] == [expected]


def test_nova_is_told_about_ports_once_it_is_there(made: Any) -> None:
    without = conf(made, "ctl1", "neutron_server")
    assert "nova" not in without
    assert without["DEFAULT"]["notify_nova_on_port_status_changes"] == ["False"]
    found = conf(cloud.compiled(cloud.AIO, services=cloud.EVERY), "aio", "neutron_server")
    assert found["DEFAULT"]["notify_nova_on_port_status_changes"] == ["True"]
    assert found["nova"]["username"] == ["neutron"], "its own user, which is there whether Nova's is or not"


def test_nobody_is_root_and_rights_are_counted(made: Any) -> None:
    for name in SERVER:
        entry = cloud.spec(made, "ctl1", name)
        assert (entry["uid"], entry["capabilities"], entry["security"]) == (42435, [], [])
    metadata = cloud.spec(made, "net1", "neutron_metadata_agent")
    assert (metadata["uid"], metadata["capabilities"], metadata["security"]) == (42435, [], [])
    switch = cloud.spec(made, "net1", "neutron_openvswitch_agent")
    assert switch["uid"] == 42435 and switch["security"] == []
    declared = {"SYS_ADMIN", "NET_ADMIN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "SYS_PTRACE"}
    sudo = {"SETUID", "SETGID"}
    assert set(switch["capabilities"]) == declared | sudo
    for name in ("neutron_dhcp_agent", "neutron_l3_agent"):
        entry = cloud.spec(made, "net1", name)
        assert (entry["uid"], entry["devices"], entry["pid_host"], entry["read_only"]) == (42435, [], False, True)
        assert set(entry["capabilities"]) == declared | sudo | {"NET_RAW", "NET_BIND_SERVICE", "KILL"}
        assert entry["security"] == ["systempaths=unconfined", "apparmor=unconfined"]
        (mount,) = [m for m in entry["mounts"] if m["target"] == "/run/netns"]
        assert (mount["propagation"], mount["create"]) == ("shared", "shared")


def test_whoever_lives_by_the_message_queue_is_alive_while_it_holds_a_connection(made: Any) -> None:
    for host, names in (("ctl1", SERVER[1:]), ("net1", AGENTS)):
        for name in names:
            assert cloud.spec(made, host, name)["liveness"]["connected"] == "10.0.0.11:5672"
    assert cloud.spec(made, "ctl1", "neutron_server")["liveness"]["http"] == "http://10.0.0.11:19696/healthcheck"


def test_the_secret_of_metadata_is_the_agents_alone(made: Any) -> None:
    with_it = {
        entry["name"]
        for entry in made.slices["net1"]["containers"]
        if any("secret-of-neutron_metadata_secret" in f["content"] for f in entry["files"])
    }
    assert with_it == {"neutron_metadata_agent"}


def test_schema_comes_before_the_server(made: Any) -> None:
    batch = made.slices["ctl1"]["batch"]["services"]["neutron"]
    assert [d["name"] for d in batch["databases"]] == ["neutron"]
    assert [(u["name"], u["roles"]) for u in batch["identity"]["users"]] == [("neutron", ["admin", "service"])]
    (job,) = [job for job in made.slices["ctl1"]["jobs"] if job["service"] == "neutron"]
    assert (job["name"], job["when"]) == ("db_sync", "before_start")
    assert made.plan["endpoints"]["neutron"] == "http://10.0.0.11:9696"
