"""libvirt: where it runs, what it may, what survives it, and who may talk to it."""

import json
from typing import Any

import pytest

from unit.services import cloud

ON = cloud.only("openvswitch", "libvirt")
HOSTS = {
    "ctl1": {"address": "10.0.0.11", "roles": cloud.CONTROLLER},
    "cmp1": {"address": "10.0.0.13", "roles": ["compute"]},
}


def hypervisor(**openstack: Any) -> dict[str, Any]:
    return cloud.spec(cloud.compiled(HOSTS, **{"services": ON, **openstack}), "cmp1", "nova_libvirt")


def settings(spec: dict[str, Any], name: str) -> dict[str, str]:
    lines = [line for line in cloud.file(spec, name).splitlines() if line and not line.startswith("#")]
    return dict(line.split(" = ", 1) for line in lines)


def test_it_is_off_where_no_host_is_a_hypervisor() -> None:
    plan = cloud.compiled(cloud.THREE).plan
    assert plan and "nova_libvirt" not in plan["containers"]


def test_it_runs_on_compute_hosts_and_after_the_switch() -> None:
    plan = cloud.compiled(HOSTS, services=ON).plan
    assert plan and plan["containers"]["nova_libvirt"]["hosts"] == ["cmp1"]
    order = [step["service"] for step in plan["steps"] if step["kind"] == "wave"]
    assert order.index("openvswitch") < order.index("libvirt")


def test_its_rights_are_counted() -> None:
    spec = hypervisor()
    wanted = "CHOWN DAC_OVERRIDE FOWNER KILL MKNOD NET_ADMIN SETGID SETPCAP SETUID SYS_NICE"
    assert " ".join(sorted(spec["capabilities"])) == wanted
    assert (spec["security"], spec["device_rules"], spec["devices"]) == ([], [], ["/dev/net/tun"])
    assert spec["read_only"] and "/dev" not in {mount["source"] for mount in spec["mounts"]}


def test_instances_do_not_die_with_it() -> None:
    """A QEMU is no process of the container's namespace or cgroups, and what is known of it outlives the container."""
    spec = hypervisor()
    assert (spec["pid_host"], spec["cgroup_host"], spec["init"]) == (True, True, False)
    kept = {mount["target"]: mount["type"] for mount in spec["mounts"]}
    assert kept["/etc/libvirt/qemu"] == kept["/var/lib/libvirt"] == kept["/var/lib/nova/instances"] == "volume"
    assert kept["/run/libvirt"] == kept["/sys/fs/cgroup"] == "bind"
    # in these cgroups each instance has its own; the image leaves all others
    assert settings(spec, "qemu.conf")["cgroup_controllers"] == '["cpu", "cpuacct", "cpuset", "memory", "blkio"]'


def test_it_is_asked_and_not_only_reached() -> None:
    """libvirtd logs an error for each connection that says nothing."""
    spec = hypervisor()
    assert (spec["healthcheck"]["exec"], spec["liveness"]) == (["virsh", "--readonly", "uri"], None)
    assert spec["readiness"] is None


def test_instances_are_no_root() -> None:
    found = settings(hypervisor(), "qemu.conf")
    assert (found["user"], found["dynamic_ownership"]) == ('"nova"', "0")
    assert found["group"] != settings(hypervisor(), "libvirtd.conf")["unix_sock_group"], (
        "libvirt's socket is not theirs"
    )


def test_on_its_host_only_nova_may_talk_to_it() -> None:
    found = settings(hypervisor(), "libvirtd.conf")
    assert (found["unix_sock_group"], found["unix_sock_rw_perms"]) == ('"nova"', '"0770"')
    assert found["unix_sock_ro_perms"] == '"0770"'


def test_other_hypervisors_need_a_certificate() -> None:
    spec = hypervisor()
    found = settings(spec, "libvirtd.conf")
    assert (found["listen_tls"], found["listen_tcp"], found["listen_addr"]) == ("1", "0", '"10.0.0.13"')
    assert "tls_no_verify_certificate" not in found and " --listen " in spec["process"]
    wanted = json.loads(cloud.file(spec, "migration.json"))
    assert wanted == {"secret": "secret-of-libvirt_migration_key", "name": "cmp1", "address": "10.0.0.13"}


def test_without_migration_nobody_from_outside_may() -> None:
    off = {"libvirt": {"enabled": True, "variables": {"live_migration": False}}}
    spec = hypervisor(services={**ON, **off})
    assert "--listen" not in spec["process"] and "listen_tls" not in settings(spec, "libvirtd.conf")
    assert json.loads(cloud.file(spec, "migration.json")) == {}


def test_operators_set_any_further_key_of_qemu() -> None:
    more = {"libvirt": {"enabled": True, "variables": {"settings": {"max_files": 4096, "namespaces": ["mount"]}}}}
    found = settings(hypervisor(services={**ON, **more}), "qemu.conf")
    assert (found["max_files"], found["namespaces"]) == ("4096", '["mount"]')
    assert found["migration_address"] == '"10.0.0.13"'


@pytest.mark.parametrize("wanted", ["auto", "kvm", "qemu"])
def test_acceleration_is_probed_unless_an_operator_knows(wanted: str) -> None:
    chosen = {"libvirt": {"enabled": True, "variables": {"acceleration": wanted}}}
    assert hypervisor(services={**ON, **chosen})["environment"]["SALTERN_ACCELERATION"] == wanted
