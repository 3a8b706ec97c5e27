"""Field by field: only what was asked for counts, and whatever was asked for does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from saltern.host import diff
from saltern.host import spec as specs
from unit.saltern.host.fake_engine import web

IMAGE = {"Config": {"Env": ["PATH=/bin", "LANG=C"], "Cmd": ["kolla_start"], "User": "web"}}


def made(**more: Any) -> dict[str, Any]:
    return specs.body(web(**more), "sha256:1", Path("/c/d"))


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """As the engine shows a container made from a body: with its own defaults filled in."""
    host = copy.deepcopy(body["HostConfig"])
    defaults = {"IpcMode": "private", "PidMode": "", "Memory": 0, "NanoCpus": 0, "PidsLimit": None, "Binds": None}
    config = {key: value for key, value in body.items() if key != "HostConfig"}
    config["Env"] = [*IMAGE["Config"]["Env"], *body["Env"]]
    return {
        "Image": body["Image"],
        "Config": {"Cmd": ["kolla_start"], "User": "web", "Hostname": "host1", **config},
        "HostConfig": {**defaults, "MemorySwap": -1, "ShmSize": 67108864, "Privileged": False, **host},
    }


def fields(inspected: dict[str, Any], body: dict[str, Any]) -> list[str]:
    return [found["field"] for found in diff.differences(inspected, body, IMAGE)]


def test_what_the_engine_fills_in_is_no_difference() -> None:
    body = made(environment={"B": "1", "A": "2"}, limits={"memory": "1G", "pids": 5})
    assert fields(shown(body), body) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": {"A": "2"}}, "environment"),
        ({"environment": {}}, "environment"),
        ({"command": ["other"]}, "command"),
        ({"user": "0"}, "user"),
        ({"capabilities": ["CHOWN"]}, "capabilities"),
        ({"devices": ["/dev/kvm"]}, "devices"),
        ({"security": ["apparmor=unconfined"]}, "security"),
        ({"security": ["systempaths=unconfined"]}, "security"),
        ({"writable": ["/tmp"]}, "writable"),
        ({"mounts": [{"type": "volume", "source": "v", "target": "/v"}]}, "mounts"),
        ({"limits": {"memory": "2G"}}, "limits memory"),
        ({"limits": {"cpus": 1}}, "limits cpus"),
        ({"limits": {"pids": 9}}, "limits pids"),
        ({"limits": {"nofile": 9}}, "limits nofile"),
        ({"pid_host": True}, "pid_host"),
        ({"device_rules": ["c 10:200 rwm"]}, "device_rules"),
        ({"ipc_host": True}, "ipc_host"),
        ({"read_only": False}, "read_only"),
        ({"init": False}, "init"),
        ({"stop_timeout": 99}, "stop_timeout"),
        ({"stop_signal": "INT"}, "stop_signal"),
        ({"hostname": "x"}, "hostname"),
        ({"healthcheck": {"exec": ["x"]}}, "healthcheck"),
        ({"service": "other"}, "labels"),
    ],
)
def test_each_field_in_both_directions(change: dict[str, Any], field: str) -> None:
    plain, changed = made(environment={"A": "1"}), made(**{"environment": {"A": "1"}, **change})
    assert fields(shown(plain), changed) == [field]
    if field not in ("hostname", "stop_signal"):  # these fall back to what the host and the image say
        assert field in fields(shown(changed), plain)


def test_a_privileged_container_is_not_what_was_asked_for() -> None:
    body = made()
    inspected = shown(body)
    inspected["HostConfig"]["Privileged"] = True
    assert fields(inspected, body) == ["privileged"]


def test_shared_namespaces_bring_a_security_option_of_their_own() -> None:
    body = made(pid_host=True)
    inspected = shown(body)
    inspected["HostConfig"]["SecurityOpt"] = ["label=disable"]
    assert fields(inspected, body) == []


def test_a_mount_that_somebody_added_counts() -> None:
    body = made()
    inspected = shown(body)
    inspected["HostConfig"]["Binds"] = ["/etc:/etc"]
    assert fields(inspected, body) == ["mounts"]


@pytest.mark.parametrize(("v2", "differs"), [(True, ["cgroup_host"]), (False, [])])
def test_with_cgroup_v1_every_container_has_the_hosts_cgroups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, v2: bool, differs: list[str]
) -> None:
    if v2:
        (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(diff, "CGROUP_V2", tmp_path / "cgroup.controllers")
    asked, plain = made(cgroup_host=True), made()
    default = shown(plain)
    default["HostConfig"]["CgroupnsMode"] = "private" if v2 else "host"
    assert fields(default, plain) == []
    assert fields(default, asked) == differs
    assert fields(shown(asked), asked) == []
    assert fields(shown(asked), plain) == differs
