"""Every precheck fails for real on a host of its own, and passes again when the cause is gone."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rig.rig import CHECKOUT, Host

pytestmark = [pytest.mark.rig, pytest.mark.engine]

# Runs in the host: the execution module itself, with the dunders that Salt's loader would give it.
PROGRAM = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1] + "/salt/_utils")
spec = importlib.util.spec_from_file_location("m", sys.argv[1] + "/salt/_modules/openstack_precheck.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
given = json.load(sys.stdin)
module.__opts__, module.__pillar__ = {"id": "pre1", **given["opts"]}, given["pillar"]
print(json.dumps(module.run(**given["arguments"])))
"""


def run(
    host: Host, wanted: dict[str, Any] | None = None, *, python: list[str] | None = None, **arguments: Any
) -> dict[str, Any]:
    """Failed checks by name, from a real run in the host with these ``prechecks`` in its slice."""
    model = arguments.pop("model", {"model": "0" * 16, "host": "pre1", "images": arguments.pop("images", [])})
    pillar = {"saltern": {**model, "prechecks": wanted or {}} if model else {}, **arguments.pop("pillar", {})}
    given = {"opts": arguments.pop("opts", {}), "pillar": pillar, "arguments": arguments}
    answer = host.run(*(python or [sys.executable]), "-c", PROGRAM, CHECKOUT, stdin=json.dumps(given))
    result = json.loads(answer.stdout)
    failed = {check["name"]: check for check in result["checks"] if not check["ok"]}
    assert result["ok"] is not bool(failed)
    assert all(check["found"] and check["expected"] and check["hint"] for check in failed.values())
    return failed


@contextmanager
def process(host: Host, *argv: str) -> Iterator[None]:
    """A process in the host that has said ``ready PID``; killed there at the end (nsenter does not pass signals on)."""
    child = subprocess.Popen(
        host.command(*argv), env=host.rig.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    word, _, pid = child.stdout.readline().strip().partition(" ")
    try:
        assert word == "ready"
        yield
    finally:
        host.run("kill", "-9", pid, check=False)
        child.wait(timeout=10)
        child.stdout.close()


def listener(address: str, port: int) -> list[str]:
    program = """
import os, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
print("ready", os.getpid())
s.accept()
"""
    return [sys.executable, "-uc", program, address, str(port)]


def test_a_healthy_host_passes(one_host: Host) -> None:
    wanted = {
        "ports": [{"port": 15000, "address": one_host.address, "container": "keystone"}],
        "min_disk_gb": 1,
        "min_memory_mb": 256,
        "interfaces": ["eth0"],
        "addresses": [one_host.address],
        "max_clock_skew_s": 5,
    }
    assert run(one_host, wanted, now=time.time()) == {}
    assert run(one_host, wanted, cheap=True, now=time.time()) == {}


@pytest.mark.parametrize("bound", ["same address", "0.0.0.0", "::"])
def test_a_bound_port(one_host: Host, bound: str) -> None:
    address = one_host.address if bound == "same address" else bound
    wanted = {"ports": [{"port": 15000, "address": one_host.address, "container": "keystone"}]}
    with process(one_host, *listener(address, 15000)):
        failed = run(one_host, wanted, cheap=True)
        assert list(failed) == [f"port {one_host.address}:15000"]
        assert "held by python" in failed[f"port {one_host.address}:15000"]["found"]
    assert run(one_host, wanted, cheap=True) == {}


def test_a_port_on_another_address_is_free(one_host: Host) -> None:
    wanted = {"ports": [{"port": 15000, "address": one_host.address, "container": "keystone"}]}
    with process(one_host, *listener("127.0.0.1", 15000)):
        assert run(one_host, wanted, cheap=True) == {}


def test_a_port_held_by_our_own_container(one_host: Host) -> None:
    """A process with the container's configuration mounted is the container, whatever its name."""
    port = {"port": 15000, "address": one_host.address}
    holder = (
        "mkdir -p /var/lib/saltern/config/keystone/0123456789abcdef /var/lib/kolla/config_files && "
        "mount --bind /var/lib/saltern/config/keystone/0123456789abcdef /var/lib/kolla/config_files && exec \"$@\""
    )  # fmt: skip
    with process(one_host, "unshare", "--mount", "sh", "-c", holder, "-", *listener(one_host.address, 15000)):
        assert run(one_host, {"ports": [{**port, "container": "keystone"}]}, cheap=True) == {}
        failed = run(one_host, {"ports": [{**port, "container": "glance_api"}]}, cheap=True)
        assert "in container keystone" in failed[f"port {one_host.address}:15000"]["found"]


def test_a_full_disk(one_host: Host) -> None:
    one_host.run("mkdir", "-p", "/mnt/small")
    one_host.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", "/mnt/small")
    try:
        failed = run(one_host, {"min_disk_gb": 1}, opts={"saltern_root": "/mnt/small/saltern"}, cheap=True)
        assert (
            list(failed) == ["disk /mnt/small/saltern"] and "0.0 GB free" in failed["disk /mnt/small/saltern"]["found"]
        )
    finally:
        one_host.run("umount", "/mnt/small")
    assert run(one_host, {"min_disk_gb": 1}, opts={"saltern_root": "/mnt/small/saltern"}, cheap=True) == {}


def test_a_full_docker_root(one_host: Host) -> None:
    """The engine tells where its data lies: a small file system there is found."""
    daemon = one_host.base / "cow/etc/up/docker/daemon.json"
    before = daemon.read_text()
    one_host.run("mkdir", "-p", "/mnt/docker")
    one_host.run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/mnt/docker")
    one_host.stop("dockerd")
    one_host.run("tee", "/etc/docker/daemon.json", stdin=json.dumps({**json.loads(before), "data-root": "/mnt/docker"}))
    one_host.start("dockerd")
    try:
        assert list(run(one_host, {"min_disk_gb": 1})) == ["disk /mnt/docker"]
    finally:
        one_host.stop("dockerd")
        one_host.run("tee", "/etc/docker/daemon.json", stdin=before)
        one_host.run("umount", "-l", "/mnt/docker")
        one_host.start("dockerd")


def test_too_little_memory(one_host: Host) -> None:
    meminfo = one_host.tmp / "meminfo"
    meminfo.write_text("MemTotal:         524288 kB\n")
    one_host.run("mount", "--bind", "/tmp/meminfo", "/proc/meminfo")
    try:
        assert run(one_host, {"min_memory_mb": 2048}, cheap=True)["memory"]["found"] == "512 MB"
    finally:
        one_host.run("umount", "/proc/meminfo")
    assert run(one_host, {"min_memory_mb": 2048}, cheap=True) == {}


def test_a_missing_address(one_host: Host) -> None:
    wanted = {"addresses": [one_host.address, "10.9.9.9"]}
    failed = run(one_host, wanted, cheap=True)
    assert list(failed) == ["address 10.9.9.9"] and one_host.address in failed["address 10.9.9.9"]["found"]
    one_host.run("ip", "address", "add", "10.9.9.9/32", "dev", "eth0")
    assert run(one_host, wanted, cheap=True) == {}
    one_host.run("ip", "address", "del", "10.9.9.9/32", "dev", "eth0")


def test_a_missing_interface_and_one_that_is_down(one_host: Host) -> None:
    failed = run(one_host, {"interfaces": ["eth0", "eth7"]}, cheap=True)
    assert failed["interface eth7"]["found"] == "not there" and "eth0" in failed["interface eth7"]["hint"]
    one_host.cut()
    try:
        assert run(one_host, {"interfaces": ["eth0"]}, cheap=True)["interface eth0"]["found"] in (
            "lowerlayerdown",
            "down",
        )
    finally:
        one_host.uncut()


def test_a_hostname_that_does_not_resolve(one_host: Host) -> None:
    one_host.run("cp", "/etc/hosts", "/tmp/hosts")
    one_host.run("sh", "-c", "echo 127.0.0.1 localhost > /etc/hosts")
    try:
        assert list(run(one_host, {}, cheap=True)) == ["hostname"]
    finally:
        one_host.run("cp", "/tmp/hosts", "/etc/hosts")
    assert run(one_host, {}, cheap=True) == {}


@pytest.mark.parametrize("shift,words", [(60, "behind the master"), (-60, "ahead of the master")])
def test_a_wrong_clock(one_host: Host, shift: int, words: str) -> None:
    assert words in run(one_host, {"max_clock_skew_s": 5}, cheap=True, now=time.time() + shift)["clock"]["found"]


def test_a_stopped_engine(one_host: Host) -> None:
    one_host.stop("dockerd")
    try:
        failed = run(one_host)
        assert list(failed) == ["engine"] and "saltern_docker_url" in failed["engine"]["hint"]
        assert run(one_host, cheap=True) == {}
    finally:
        one_host.start("dockerd")
    assert run(one_host) == {}


def test_an_image_that_is_not_there(one_host: Host) -> None:
    failed = run(one_host, images=["saltern/keystone:2025.2"])
    assert failed["image saltern/keystone:2025.2"]["hint"].startswith(
        "Build it: salt-run openstack.build names=keystone;"
    )


def test_docker_py_is_missing(one_host: Host) -> None:
    """Debian's bare Python: the module loads all the same and says what to install."""
    failed = run(one_host, python=["/usr/bin/python3", "-I", "-S"])
    assert list(failed) == ["docker-py"] and "salt-pip install docker" in failed["docker-py"]["hint"]


def test_no_model_and_a_model_with_errors(one_host: Host) -> None:
    assert "gives this minion no model" in run(one_host, model={}, cheap=True)["model"]["found"]
    problem = {"key": "openstack:vip", "expected": "an address", "found": "x", "file": "a", "line": 1, "hint": ""}
    assert "openstack:vip" in run(one_host, model={"errors": [problem]}, cheap=True)["model"]["found"]


def test_the_operators_tree_in_a_minions_pillar(one_host: Host) -> None:
    assert list(run(one_host, pillar={"openstack": {"secrets": {}}}, cheap=True)) == ["pillar"]
