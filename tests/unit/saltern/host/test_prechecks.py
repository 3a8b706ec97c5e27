"""The checks as functions of what was read; on real hosts they fail in tests/functional/test_prechecks.py."""

import os
import socket
from pathlib import Path

import pytest

from saltern.contract.errors import EngineUnavailable
from saltern.host import prechecks, sockets
from saltern.host.sockets import Holder, Listener

WANT = {"port": 15000, "address": "10.0.0.11", "container": "keystone"}


@pytest.mark.parametrize(
    "address,holder,good",
    [
        ("10.0.0.11", Holder(7, "nginx"), False),
        ("0.0.0.0", Holder(7, "nginx"), False),
        ("::", Holder(), False),
        ("10.0.0.12", Holder(7, "nginx"), True),
        ("10.0.0.11", Holder(7, "uwsgi", "keystone"), True),
        ("10.0.0.11", Holder(7, "uwsgi", "glance_api"), False),
    ],
)
def test_ports(address: str, holder: Holder, good: bool) -> None:
    (check,) = prechecks.ports([WANT], [Listener(address, 15000, 1), Listener("0.0.0.0", 22, 2)], lambda inode: holder)
    assert check.ok is good


def test_paths_that_containers_take_from_the_host() -> None:
    libvirt = {
        "name": "nova_libvirt", "devices": ["/dev/kvm:/dev/kvm:rw"], "host": {"paths": ["/dev/net/tun"]},
        "mounts": [
            {"type": "bind", "source": "/dev", "target": "/dev"},
            {"type": "bind", "source": "/sys/fs/cgroup", "target": "/sys/fs/cgroup"},
            {"type": "bind", "source": "/run/libvirt", "target": "/run/libvirt", "create": "directory"},
            {"type": "volume", "source": "libvirt_data", "target": "/var/lib/libvirt"},
        ],
    }  # fmt: skip
    compute = {
        "name": "nova_compute",
        "mounts": [
            {"type": "bind", "source": "/run/libvirt/sock", "target": "/run/libvirt/sock"},
            {"type": "bind", "source": "/dev", "target": "/dev"},
        ],
    }
    checks = {check.name: check for check in prechecks.paths([libvirt, compute, {"name": "x"}], lambda p: p == "/dev")}
    assert {name: check.ok for name, check in checks.items()} == {
        "path /dev": True, "path /dev/kvm": False, "path /dev/net/tun": False, "path /sys/fs/cgroup": False,
    }  # fmt: skip
    assert checks["path /dev"].expected == "there, for nova_libvirt, nova_compute"
    assert "modprobe tun" in checks["path /dev/net/tun"].hint
    assert "no role that runs nova_libvirt" in checks["path /sys/fs/cgroup"].hint


def test_nobody_is_looked_for_while_no_wanted_port_is_taken() -> None:
    """Finding a holder walks all of /proc."""

    def never(inode: int) -> Holder:
        raise AssertionError(inode)

    assert all(check.ok for check in prechecks.ports([WANT], [Listener("0.0.0.0", 22, 2)], never))


@pytest.mark.parametrize(
    "local,earliest,latest,good,words",
    [
        (100.0, 100.0, 101.0, True, "agrees"),
        (95.5, 100.0, 101.0, True, "agrees"),
        (94.0, 100.0, 101.0, False, "6.0 s behind"),
        (110.0, 100.0, 101.0, False, "9.0 s ahead"),
    ],
)
def test_clock(local: float, earliest: float, latest: float, good: bool, words: str) -> None:
    check = prechecks.clock(local, earliest, latest, 5)
    assert check.ok is good and words in check.found


@pytest.mark.parametrize(
    "version,good",
    [("20.10.24+dfsg1", True), ("20.10", True), ("28.0.1", True), ("19.03.15", False), ("20.9", False), ("", False)],
)
def test_engine_version(version: str, good: bool) -> None:
    assert prechecks.engine_version({"ServerVersion": version}).ok is good


def test_images_name_the_command_that_builds_them() -> None:
    good, bad = prechecks.images(["registry:5000/saltern/glance-api:2025.2", "saltern/base:1"], ["saltern/base:1"])
    assert not good.ok and good.hint == "Fetch what is missing: salt-run openstack.pull" and bad.ok
    (without_registry,) = prechecks.images(["saltern/glance-api:1"], [])
    assert without_registry.hint.startswith("Build it: salt-run openstack.build names=glance-api; ")


def test_one_file_system_is_one_check(tmp_path: Path) -> None:
    checks = prechecks.disks([tmp_path / "not/there", tmp_path], 0)
    assert [check.name for check in checks] == [f"disk {tmp_path}/not/there"]
    assert not prechecks.disks([tmp_path], 1 << 40)[0].ok


class DeadEngine:
    def info(self) -> dict[str, str]:
        raise EngineUnavailable("no Docker Engine answers", where="unix:///x")


class OldEngine:
    def info(self) -> dict[str, str]:
        return {"ServerVersion": "19.03.1", "DockerRootDir": "/"}

    def images(self) -> list[dict[str, list[str]]]:
        return [{"RepoTags": ["saltern/base:1"]}]


def names(checks: list[prechecks.Check]) -> set[str]:
    return {check.name for check in checks if not check.ok}


def test_a_dead_engine_is_one_failure_and_the_others_still_run(tmp_path: Path) -> None:
    checks = prechecks.run({"model": "x", "images": ["saltern/keystone:1"]}, root=tmp_path, engine=DeadEngine())
    assert names(checks) <= {"engine", "hostname"} and "engine" in names(checks)
    checks = prechecks.run({"model": "x", "images": ["saltern/keystone:1"]}, root=tmp_path, engine=OldEngine())
    assert {"engine", "image saltern/keystone:1"} <= names(checks)


def test_no_model_is_said_not_raised(tmp_path: Path) -> None:
    assert "model" in names(prechecks.run({}, root=tmp_path))


def test_listeners_and_their_holder_of_this_very_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = [listener for listener in sockets.listeners() if listener.port == port]
        assert found.address == "127.0.0.1"
        holder = sockets.Holders()(found.inode)
        assert holder.pid == os.getpid() and holder.container == ""
    assert "127.0.0.1" in sockets.local_addresses()


@pytest.mark.parametrize(
    "root,container",
    [
        ("/var/lib/saltern/config/keystone/0123456789abcdef", "keystone"),
        ("/srv/x/saltern/config/haproxy/reload", "haproxy"),  # the state root is a bind mount
        ("/glance_api/0123456789abcdef", "glance_api"),  # it is a file system of its own
        ("/etc/kolla/keystone", ""),  # another deployer's container
    ],
)
def test_a_holder_is_our_container_by_its_configuration_mount(tmp_path: Path, root: str, container: str) -> None:
    process = tmp_path / "42"
    (process / "fd").mkdir(parents=True)
    (process / "fd/3").symlink_to("socket:[99]")
    (process / "comm").write_text("uwsgi\n")
    (process / "mountinfo").write_text(
        "500 400 0:30 / / rw - overlay overlay rw\n"
        f"501 500 254:0 {root} /var/lib/kolla/config_files ro,relatime - ext4 /dev/vda rw\n"
    )
    assert sockets.Holders(tmp_path)(99) == Holder(42, "uwsgi", container)
    assert sockets.Holders(tmp_path)(98).describe() == "a process that cannot be seen from here"


@pytest.mark.parametrize(
    "line,address,port",
    [
        ("0: 0B00000A:3A98 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "10.0.0.11", 15000),
        ("0: 00000000000000000000000000000000:0016 0:0 0A 0:0 0:0 0 0 0 77 1", "::", 22),
        ("0: 0000000000000000FFFF00000B00000A:0016 0:0 0A 0:0 0:0 0 0 0 77 1", "10.0.0.11", 22),
    ],
)
def test_the_kernels_table(tmp_path: Path, line: str, address: str, port: int) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text("header\n" + line + "\n" + line.replace(" 0A ", " 01 ") + "\n")
    assert sockets.listeners(tmp_path) == [Listener(address, port, 77)]
