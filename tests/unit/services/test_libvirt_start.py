"""What happens before libvirtd starts: the container's cgroups are left, and acceleration is tried, once."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unit.services import cloud

PROGRAM = cloud.CHECKOUT / "images/nova-libvirt/libvirt_start.py"
CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 207
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 2

processor\t: 1
model name\t: another
"""
V1 = """25 20 0:22 / /sys rw,nosuid - sysfs sysfs rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
35 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
36 30 0:32 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
37 30 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
V2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def load() -> Any:
    made = importlib.util.spec_from_file_location("libvirt_start", PROGRAM)
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    sys.modules["libvirt_start"] = module
    made.loader.exec_module(module)
    return module


start = load()


def key(**more: Any) -> dict[str, Any]:
    return {"kernel": "6.12", "qemu": "10.0", "cpu": "x", "kvm": True, "wanted": "auto", **more}


def decided(probed: str | None = None, former: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    def probe() -> str:
        assert probed is not None, "nobody wanted to know"
        return probed

    found = key(**more)
    return dict(start.decided(found["wanted"], found, former or {}, probe))


def test_cgroups_of_version_1_are_left_where_libvirt_makes_none_for_an_instance() -> None:
    left = start.to_leave(start.hierarchies(V1))
    assert [path.name for path in left] == ["devices", "pids", "systemd", "cpuacct"]


def test_the_one_cgroup_of_version_2_is_left() -> None:
    assert start.to_leave(start.hierarchies(V2)) == [Path("/sys/fs/cgroup")]


def test_it_moves_into_a_group_of_its_own(tmp_path: Path) -> None:
    start.leave([tmp_path], 4711)
    start.leave([tmp_path], 4712)  # a later start finds the group
    assert (tmp_path / "saltern-libvirt/cgroup.procs").read_text() == "4712"


def test_it_does_not_start_where_a_restart_would_kill_all_instances(tmp_path: Path) -> None:
    with pytest.raises(start.Refused, match="mounted writable"):
        start.leave([tmp_path / "missing"], 1)


def test_a_guest_that_boots_with_kvm_decides() -> None:
    fact = decided(probed="")
    assert (fact["value"], fact["reason"]) == ("kvm", "a guest booted with KVM")
    assert (fact["key"], fact["cpu"]) == (key(), "x")
    assert isinstance(fact["at"], int)


def test_one_that_does_not_boot_is_the_reason() -> None:
    fact = decided(probed="it hangs")
    assert (fact["value"], fact["reason"]) == ("qemu", "it hangs")


def test_without_the_device_nothing_is_tried() -> None:
    fact = decided(kvm=False)
    assert (fact["value"], fact["reason"]) == ("qemu", "the host has no /dev/kvm")


@pytest.mark.parametrize("value", ["kvm", "qemu"])
def test_an_operator_decides_without_a_probe(value: str) -> None:
    fact = decided(wanted=value)
    assert fact["value"] == value and "variable acceleration" in fact["reason"]


def test_kvm_that_the_host_lacks_is_refused() -> None:
    with pytest.raises(start.Refused, match="no /dev/kvm"):
        decided(wanted="kvm", kvm=False)


def test_it_is_tried_once() -> None:
    former = decided(probed="it hangs")
    assert decided(former=former) == former


@pytest.mark.parametrize("change", [{"kernel": "6.13"}, {"qemu": "10.1"}, {"cpu": "y"}])
def test_it_is_tried_again_when_it_may_have_changed(change: dict[str, Any]) -> None:
    former = decided(probed="it hangs")
    assert decided(probed="", former=former, **change)["value"] == "kvm"


def test_a_device_that_vanished_or_another_wish_is_noticed_too() -> None:
    former = decided(probed="")
    assert decided(former=former, kvm=False)["value"] == "qemu"
    assert decided(former=former, wanted="qemu")["value"] == "qemu"


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"value": "tcg"}'])
def test_a_fact_that_nobody_wrote_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "fact").write_text(text)
    assert decided(probed="", former=start.read(tmp_path / "fact"))["value"] == "kvm"
    assert start.read(tmp_path / "missing") == {}


def test_it_is_written_in_one_step(tmp_path: Path) -> None:
    start.write(tmp_path / "fact.json", {"value": "kvm"})
    assert json.loads((tmp_path / "fact.json").read_text()) == {"value": "kvm"}
    assert os.listdir(tmp_path) == ["fact.json"]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo noise; echo GUEST-BOOTED kernel=6; sleep 60", ""),
        ("echo could not access KVM >&2; exit 1", "QEMU with KVM ended with 1: could not access KVM"),
        ("printf 'one\\r\\nKVM internal error. Suberror: 1\\nRAX=0'; sleep 60", "KVM internal error. Suberror: 1"),
    ],
)
def test_the_console_tells(script: str, why: str) -> None:
    found = start.boots(shell(script), 30)
    assert why in found if why else found == ""


def test_a_guest_that_stands_still_does_not_hold_up_the_start() -> None:
    found = start.boots(shell("printf 'SeaBIOS\\r\\n\\033[2J'; sleep 60"), 0.5)
    assert "did not boot within 0.5 s" in found


def test_the_processor_is_named_so_that_two_hosts_can_be_compared() -> None:
    assert start.cpu_model(CPUINFO) == "Intel(R) Xeon(R) Processor (6-207-2)"


def test_a_device_node_is_made_of_what_the_host_has(tmp_path: Path) -> None:
    made: list[tuple[Any, ...]] = []
    (tmp_path / "sys/class/misc/kvm").mkdir(parents=True)
    (tmp_path / "sys/class/misc/kvm/dev").write_text("10:232\n")
    found = start.device("kvm", tmp_path / "sys", tmp_path, None, lambda *call: made.append(call))
    assert found and made == [(tmp_path / "kvm", stat.S_IFCHR | 0o600, os.makedev(10, 232))]
    assert not start.device("vhost-net", tmp_path / "sys", tmp_path, None, lambda *call: made.append(call))
    assert len(made) == 1


def test_a_probe_that_a_killed_libvirtd_left_is_ended(tmp_path: Path) -> None:
    killed: list[int] = []
    for name, pid, command in (
        ("qmp-A", 7, "{}/monitor"),
        ("qmp-B", 8, "somebody else's by now"),
        ("domain-1-x", 9, "{}"),
    ):
        place = tmp_path / "qemu" / name
        place.mkdir(parents=True)
        (place / "qmp.pid").write_text(f"{pid}\n")
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "cmdline").write_text("qemu\0-qmp\0" + command.format(place))
    (tmp_path / "qemu/qmp-C").mkdir()
    start.end_probes(tmp_path / "qemu", tmp_path / "proc", lambda pid, _: killed.append(pid))
    assert killed == [7]
    assert os.listdir(tmp_path / "qemu") == ["domain-1-x"]


SECRET, OWNER = "5c" * 32, (os.getuid(), os.getgid())


def made_for(name: str, address: str, pki: Path, secret: str = SECRET) -> Path:
    pki.mkdir()
    start.certificates({"secret": secret, "name": name, "address": address}, pki, OWNER)
    return pki


def verified(pki: Path, certificate: Path, address: str, purpose: str = "sslserver") -> bool:
    argv = ["openssl", "verify", "-CAfile", str(pki), "-verify_ip", address, "-purpose", purpose, str(certificate)]
    return subprocess.run(argv, capture_output=True).returncode == 0


def test_hypervisors_of_one_secret_know_each_other(tmp_path: Path) -> None:
    one = made_for("cmp1", "10.0.0.11", tmp_path / "one")
    two = made_for("cmp2", "10.0.0.12", tmp_path / "two")
    ca, server, client = one / "CA/cacert.pem", two / "libvirt/servercert.pem", two / "libvirt/clientcert.pem"
    assert verified(ca, server, "10.0.0.12") and verified(ca, client, "10.0.0.12", "sslclient")
    assert not verified(ca, server, "10.0.0.11"), "it is another host's"
    other = made_for("cmp3", "10.0.0.12", tmp_path / "other", "5d" * 32)
    assert not verified(ca, other / "libvirt/servercert.pem", "10.0.0.12")


def test_what_an_instance_could_find_opens_no_libvirtd(tmp_path: Path) -> None:
    pki = made_for("cmp1", "10.0.0.11", tmp_path / "pki")
    assert verified(pki / "qemu/ca-cert.pem", pki / "qemu/client-cert.pem", "10.0.0.11", "sslclient")
    assert not verified(pki / "CA/cacert.pem", pki / "qemu/client-cert.pem", "10.0.0.11", "sslclient")


def test_keys_are_their_owners_and_nothing_else_stays(tmp_path: Path) -> None:
    pki = made_for("cmp1", "10.0.0.11", tmp_path / "pki")
    start.certificates({"secret": SECRET, "name": "cmp1", "address": "10.0.0.11"}, pki, OWNER)  # at the next start
    found = {str(path.relative_to(pki)): path for path in pki.rglob("*") if path.is_file()}
    assert set(found) == {place for places in start.PLACES.values() for place in places}
    for name, path in found.items():
        assert path.stat().st_mode & 0o777 == (0o400 if "key" in name else 0o644), name
    assert sorted(path.name for path in pki.iterdir()) == ["CA", "libvirt", "qemu"]


def test_without_migration_there_are_no_certificates(tmp_path: Path) -> None:
    start.certificates({}, tmp_path, OWNER)
    assert os.listdir(tmp_path) == []
