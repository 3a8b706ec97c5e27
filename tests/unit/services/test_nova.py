"""Nova: what its hosts, the toolbox and the load balancer get; what a compute host must not get."""

import json
import re
from typing import Any

import pytest

from saltern.model import ini
from unit.services import cloud

CONTROL = {"nova_conductor", "nova_scheduler", "nova_api", "nova_metadata", "nova_novncproxy"}
TWO = {
    "ctl1": {"address": "10.0.0.11", "roles": ["control", "database", "messaging", "loadbalancer", "network"]},
    "cmp1": {"address": "10.0.0.21", "roles": ["compute"]},
}


@pytest.fixture(scope="module")
def made() -> Any:
    return cloud.compiled(TWO, services=cloud.EVERY)


def conf(made: Any, host: str, container: str) -> ini.Ini:
    return ini.parse(cloud.file(cloud.spec(made, host, container), "nova.conf"))


def changed(**variables: Any) -> ini.Ini:
    services = {**cloud.EVERY, "nova": {"enabled": True, "variables": variables}}
    return conf(cloud.compiled(TWO, services=services), "cmp1", "nova_compute")


def test_who_runs_what(made: Any) -> None:
    names = {host: {s["name"] for s in part["containers"]} for host, part in made.slices.items()}
    assert names["ctl1"] >= CONTROL and "nova_compute" not in names["ctl1"]
    assert "nova_compute" in names["cmp1"] and not CONTROL & names["cmp1"]


def test_a_compute_host_gets_no_database(made: Any) -> None:
    text = cloud.file(cloud.spec(made, "cmp1", "nova_compute"), "nova.conf")
    assert "mysql" not in text and "secret-of-nova_database_password" not in text
    assert "secret-of-neutron_metadata_secret" not in text
    assert not {"database", "api_database", "keystone_authtoken"} & set(ini.parse(text))


def test_a_compute_host_is_known_by_its_address_and_id(made: Any) -> None:
    found = conf(made, "cmp1", "nova_compute")
    assert (found["DEFAULT"]["host"], found["DEFAULT"]["my_ip"]) == (["cmp1"], ["10.0.0.21"])
    assert found["vnc"]["server_listen"] == found["vnc"]["server_proxyclient_address"] == ["10.0.0.21"]
    assert found["vnc"]["novncproxy_base_url"] == ["http://10.0.0.11:6080/vnc_lite.html"]
    assert found["libvirt"]["live_migration_inbound_addr"] == ["10.0.0.21"]
    assert found["os_vif_ovs"]["ovsdb_connection"] == ["tcp:127.0.0.1:6640"]


def test_acceleration_is_what_the_host_was_found_to_have_unless_somebody_says_so() -> None:
    spec = cloud.spec(cloud.compiled(TWO, services=cloud.EVERY), "cmp1", "nova_compute")
    order = re.findall(r"--config-file (\S+)", spec["process"])
    assert order == ["/tmp/hypervisor.conf", "/etc/nova/nova.conf"], "the last one wins"
    facts = [m for m in spec["mounts"] if m["target"] == "/var/lib/saltern/facts/libvirt"]
    assert [(m["read_only"], m["create"]) for m in facts] == [(True, "directory")]
    assert not {"virt_type", "cpu_mode"} & set(changed()["libvirt"])
    chosen = changed(cpu_mode="custom", cpu_models=["Nehalem", "Haswell"])["libvirt"]
    assert (chosen["cpu_mode"], chosen["cpu_models"]) == (["custom"], ["Nehalem,Haswell"])


def test_the_log_of_an_instance_needs_no_terminal_of_another_container(made: Any) -> None:
    found = conf(made, "cmp1", "nova_compute")["serial_console"]
    assert (found["enabled"], found["proxyclient_address"]) == (["true"], ["127.0.0.1"])


def test_rights_are_those_of_the_programs_that_sudo_starts(made: Any) -> None:
    spec = cloud.spec(made, "cmp1", "nova_compute")
    declared = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "NET_ADMIN", "SYS_ADMIN"}
    assert set(spec["capabilities"]) == declared | {"SETUID", "SETGID"}
    assert (spec["devices"], spec["device_rules"], spec["security"], spec["pid_host"]) == ([], [], [], False)
    assert spec["user"] is None and "no-new-privileges" not in spec["security"]
    helpers = {v["helper_command"][0] for k, v in conf(made, "cmp1", "nova_compute").items() if "helper_command" in v}
    assert helpers == {"sudo -n privsep-helper --config-file /etc/nova/nova.conf"}
    for name in CONTROL:
        assert cloud.spec(made, "ctl1", name)["capabilities"] == [], name


def test_its_state_lies_where_the_hypervisor_finds_it(made: Any) -> None:
    volumes = {
        m["target"]: m["source"] for m in cloud.spec(made, "cmp1", "nova_compute")["mounts"] if m["type"] == "volume"
    }
    assert volumes == {
        "/var/lib/nova": "nova_compute",
        "/var/lib/nova/instances": "nova_instances",
        "/var/lib/libvirt": "libvirt_data",
    }


def test_databases_and_their_addresses(made: Any) -> None:
    entry = made.slices["ctl1"]["batch"]["services"]["nova"]
    assert [d["name"] for d in entry["databases"]] == ["nova_api", "nova", "nova_cell0"]
    for name in CONTROL:
        found = conf(made, "ctl1", name)
        assert found["api_database"]["connection"][0].endswith("/nova_api?charset=utf8mb4")
        assert found["database"]["connection"][0].endswith("/nova?charset=utf8mb4")


def test_jobs_in_their_order(made: Any) -> None:
    jobs = [job for job in made.slices["ctl1"]["jobs"] if job["service"] == "nova"]
    assert [(job["name"], job["when"]) for job in jobs] == [
        ("api_db_sync", "before_start"),
        ("cells", "before_start"),
        ("db_sync", "before_start"),
        ("online_data_migrations", "after_start"),
        ("discover_hosts", "after_start"),
    ]
    assert "secret-of" not in json.dumps([job["spec"]["process"] for job in jobs])


def test_a_new_compute_host_makes_the_look_for_hosts_due(made: Any) -> None:
    def look(hosts: dict[str, Any]) -> dict[str, Any]:
        slices = cloud.compiled(hosts, services=cloud.EVERY).slices
        return next(job for job in slices["ctl1"]["jobs"] if job["name"] == "discover_hosts")

    more = {**TWO, "cmp2": {"address": "10.0.0.22", "roles": ["compute"]}}
    before, after = look(TWO), look(more)
    assert before["spec"]["process"] == "saltern-nova-discover --wait 120 cmp1"
    assert after["spec"]["process"] == "saltern-nova-discover --wait 120 cmp1 cmp2"
    assert before["input"] != after["input"]
    # waiting ends before the job is given up, so that it says whom it waited for
    assert before["timeout"] > 120


def test_hosts_are_looked_for_when_they_come_and_not_all_the_time(made: Any) -> None:
    assert conf(made, "ctl1", "nova_scheduler")["scheduler"]["discover_hosts_in_cells_interval"] == ["-1"]


def test_endpoints(made: Any) -> None:
    endpoints = made.plan["endpoints"]
    assert endpoints["nova"] == "http://10.0.0.11:8774/v2.1"
    proxy = cloud.file(cloud.spec(made, "ctl1", "haproxy"), "haproxy.cfg")
    for name, port in {"nova": 8774, "nova_metadata": 8775, "nova_novncproxy": 6080}.items():
        assert f"listen {name}\n    bind 10.0.0.11:{port}\n" in proxy
    assert "timeout tunnel 1h" in proxy


@pytest.mark.parametrize(
    "container, module, port, workers",
    [("nova_api", "osapi_compute", 18774, "2"), ("nova_metadata", "metadata", 18775, "1")],
)
def test_apis(made: Any, container: str, module: str, port: int, workers: str) -> None:
    found = ini.parse(cloud.file(cloud.spec(made, "ctl1", container), "uwsgi.ini"))["uwsgi"]
    assert found["http-socket"] == [f"10.0.0.11:{port}"] and found["module"] == [f"nova.wsgi.{module}:application"]
    assert found["processes"] == [workers]
    files = "/var/lib/openstack/etc/nova/api-paste.ini;/etc/nova/nova.conf"
    assert found["env"] == [f"OS_NOVA_CONFIG_FILES={files}"]


def test_the_metadata_secret_is_neutrons(made: Any) -> None:
    assert conf(made, "ctl1", "nova_metadata")["neutron"]["metadata_proxy_shared_secret"] == [
        "secret-of-neutron_metadata_secret"
    ]


@pytest.mark.parametrize("container", ["nova_conductor", "nova_scheduler", "nova_compute"])
def test_one_without_a_connection_to_the_message_queue_is_found(made: Any, container: str) -> None:
    host = "cmp1" if container == "nova_compute" else "ctl1"
    assert cloud.spec(made, host, container)["liveness"]["connected"] == "10.0.0.11:5672"
