"""What lies outside of the engine is found and removed where it is ours, and left alone where it is not."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from allinone import engine, leftovers, shell

ID = "0f0f0f0f-1111-2222-3333-444444444444"


def process(proc: Path, pid: int, program: str, instances: Path | None = None) -> None:
    """A process as /proc shows it; ``instances`` is what it sees as the directory of instances."""
    place = proc / str(pid) / "root" / "var/lib/nova"
    place.mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_bytes(f"{program}\0-name\0guest=x\0".encode())
    if instances:
        (place / "instances").symlink_to(instances)


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "volume"
    path.mkdir()
    monkeypatch.setattr(engine, "ask", lambda *_a, **_k: (200, json.dumps({"Mountpoint": str(path)}).encode()))
    return path


def test_only_emulators_on_our_volume_are_ours(tmp_path: Path, volume: Path) -> None:
    proc, theirs = tmp_path / "proc", tmp_path / "theirs"
    theirs.mkdir()
    process(proc, 10, "/usr/bin/qemu-system-x86_64", volume)
    process(proc, 11, "/usr/bin/qemu-system-x86_64", theirs)
    process(proc, 12, "/usr/bin/qemu-system-x86_64")
    process(proc, 13, "/usr/sbin/libvirtd", volume)
    (proc / "self").mkdir()
    assert leftovers.instances(["glance_images", "nova_instances"], proc) == [10]
    assert leftovers.instances(["glance_images"], proc) == []


def test_an_emulator_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "END_SECONDS", 0)
    for pid in (10, 11):
        process(tmp_path, pid, "qemu-system-x86_64")
    got: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        got.append((pid, number))
        if pid == 10 or number == signal.SIGKILL:
            (tmp_path / str(pid) / "cmdline").write_bytes(b"")  # as of one that has ended and is not waited for

    assert leftovers.end([10, 11], kill, tmp_path) == 2
    assert got == [(10, signal.SIGTERM), (11, signal.SIGTERM), (11, signal.SIGKILL)]


def test_namespaces_of_neutron_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(shell, "output", lambda words, **_: said.append(" ".join(map(str, words))) or (0, ""))
    place = tmp_path / "netns"
    place.mkdir()
    for name in (f"qrouter-{ID}", f"qdhcp-{ID}", "mine", "qrouter-mine"):
        (place / name).touch()
    assert leftovers.remove_namespaces(tmp_path) == 2
    assert sorted(path.name for path in place.iterdir()) == ["mine", "qrouter-mine"]
    assert said == [f"umount {place}/qdhcp-{ID}", f"umount {place}/qrouter-{ID}"]
    for path in place.iterdir():
        path.unlink()
    (place / f"qdhcp-{ID}").touch()
    leftovers.remove_namespaces(tmp_path)
    assert not place.exists() and said[-1] == f"umount {place}"
    assert leftovers.remove_namespaces(tmp_path) == 0


def test_taps_of_our_bridges_go_and_real_interfaces_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("br-int", "br-ex", "eth0", "tap0"):
        (tmp_path / name).mkdir()
    for name in ("br-int", "tap0"):
        (tmp_path / name / "tun_flags").touch()
    said: list[list[str]] = []
    monkeypatch.setattr(shell, "output", lambda words, **_: said.append(words) or (0, ""))
    assert leftovers.remove_taps(["br-ex", "eth0"], tmp_path) == ["br-int"]
    assert said == [["ip", "link", "delete", "br-int"]]


def test_the_switch_removes_its_own_bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []

    def run(container: str, words: list[str]) -> tuple[int, str]:
        assert container == "openvswitch_vswitchd"
        said.append(words)
        return 0, "br-ex\r\nbr-int\r\n" if words[-1] == "list-br" else ""

    monkeypatch.setattr(engine, "run", run)
    assert leftovers.remove_bridges() == 2
    assert [words[-1] for words in said] == ["list-br", "br-ex", "br-int"]
    monkeypatch.setattr(engine, "run", lambda *_: (-1, "No such container"))
    assert leftovers.remove_bridges() == 0


def test_the_models_bridges(tmp_path: Path) -> None:
    hosts = tmp_path / "master/compiled/current/hosts"
    hosts.mkdir(parents=True)
    (hosts / "vm.json").write_text(json.dumps({"network": {"bridges": [{"name": "br-ex"}]}}))
    (hosts / "other.json").write_text(json.dumps({"network": None}))
    assert leftovers.bridges(tmp_path) == ["br-ex"]


def test_directories_that_our_containers_made_go_unless_somebody_listens_there(tmp_path: Path) -> None:
    run, desired = tmp_path / "run", tmp_path / "desired"
    desired.mkdir()
    mounts = [
        {"type": "bind", "source": str(run / name), "create": create}
        for name, create in (("openvswitch", "directory"), ("libvirt", "directory"), ("netns", "shared"), ("x", None))
    ]
    mounts.append({"type": "bind", "source": str(tmp_path / "elsewhere"), "create": "directory"})
    (desired / "a.json").write_text(json.dumps({"spec": {"mounts": mounts}}))
    (desired / "b.json").write_text("not json")
    found = leftovers.made_below_run(tmp_path, run)
    assert found == [run / "libvirt", run / "openvswitch"]
    for path in found:
        path.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run / "openvswitch" / "db.sock"))
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(run / "libvirt" / "libvirt-sock"))
        alive.listen()
        assert leftovers.remove_directories(found) == [run / "openvswitch"]
    assert (run / "libvirt").is_dir() and not (run / "openvswitch").exists()


def test_the_file_of_sysctls_and_empty_cgroups_go(tmp_path: Path) -> None:
    settings = tmp_path / leftovers.SYSCTLS
    settings.parent.mkdir(parents=True)
    settings.touch()
    groups = [tmp_path / "sys/fs/cgroup" / name for name in ("saltern-libvirt", "pids/saltern-libvirt")]
    for path in groups:
        path.mkdir(parents=True)
    (groups[1] / "instance").mkdir()  # as of one that still runs
    leftovers.remove_settings(tmp_path)
    assert not settings.exists() and [path.exists() for path in groups] == [False, True]
    leftovers.remove_settings(tmp_path)


def test_the_real_process_table_can_be_read() -> None:
    assert os.getpid() not in list(leftovers._emulators(Path("/proc")))
