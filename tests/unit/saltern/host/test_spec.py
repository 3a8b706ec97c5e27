"""The create body: what is asked of the engine, what is never asked, and when its digest changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltern.contract.errors import SalternError
from saltern.host import spec as specs
from unit.saltern.host.fake_engine import web

CONFIG = Path("/state/config/web/d1")


def body(**more: Any) -> dict[str, Any]:
    return specs.body(web(**more), "sha256:1", CONFIG)


def test_by_default_nothing_that_a_plain_engine_may_refuse() -> None:
    host = body()["HostConfig"]
    assert host["NetworkMode"] == "host"
    assert host["ReadonlyRootfs"] is True
    assert host["Init"] is True
    assert (host["CapDrop"], host["CapAdd"], host["Devices"], host["SecurityOpt"]) == (["ALL"], [], [], [])
    assert not {"Privileged", "Ulimits", "PidMode", "IpcMode", "Memory", "OomScoreAdj"} & set(host)


def test_limits_and_privileges_only_where_named() -> None:
    host = body(
        limits={"memory": "1.5G", "pids": 10, "cpus": 0.5, "nofile": 16384},
        capabilities=["cap_net_admin", "CHOWN"],
        devices=["/dev/kvm", "/dev/net/tun:/dev/tun:r"],
        pid_host=True,
        ipc_host=True,
        device_rules=["c 136:* rwm", "c 10:200 rwm"],
        cgroup_host=True,
    )["HostConfig"]
    assert host["Memory"] == 3 * 2**29
    assert host["PidsLimit"] == 10
    assert host["NanoCpus"] == 500_000_000
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 16384, "Hard": 16384}]
    assert host["CapAdd"] == ["CHOWN", "NET_ADMIN"]
    assert [d["PathInContainer"] for d in host["Devices"]] == ["/dev/kvm", "/dev/tun"]
    assert host["Devices"][1]["CgroupPermissions"] == "r"
    assert (host["PidMode"], host["IpcMode"], host["CgroupnsMode"]) == ("host", "host", "host")
    assert host["DeviceCgroupRules"] == ["c 10:200 rwm", "c 136:* rwm"]


def test_what_only_the_command_line_calls_a_security_option_is_said_as_the_engine_knows_it() -> None:
    host = body(security=["systempaths=unconfined", "apparmor=unconfined"])["HostConfig"]
    assert (host["SecurityOpt"], host["MaskedPaths"], host["ReadonlyPaths"]) == (["apparmor=unconfined"], [], [])
    assert not {"MaskedPaths", "ReadonlyPaths"} & set(body(security=["apparmor=unconfined"])["HostConfig"])


def test_keys_that_are_not_used_and_those_of_the_host_leave_the_body_as_it_was() -> None:
    mount = {"type": "bind", "source": "/run/x", "target": "/run/x"}
    plain = body(mounts=[mount])
    host = {"sysctls": {"net.ipv4.ip_forward": "1"}, "paths": ["/dev/kvm"]}
    more = body(mounts=[{**mount, "create": "shared"}], device_rules=[], cgroup_host=False, host=host)
    assert more == plain


@pytest.mark.parametrize(("restart", "policy"), [("engine", "unless-stopped"), ("health", "no"), ("none", "no")])
def test_only_restart_engine_lets_docker_restart(restart: str, policy: str) -> None:
    made = body(restart=restart)
    assert made["HostConfig"]["RestartPolicy"] == {"Name": policy}
    assert made["Labels"]["saltern.restart"] == restart


def test_a_job_never_restarts_and_says_so() -> None:
    made = specs.body(web(), "sha256:1", CONFIG, job="db_sync")
    assert made["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert made["Labels"]["saltern.job"] == "db_sync"


def test_mounts_and_writable_directories() -> None:
    host = body(
        uid=42,
        gid=43,
        writable=["/etc/web", "/tmp"],
        mounts=[
            {"type": "volume", "source": "data", "target": "/data"},
            {"type": "bind", "source": "/run/netns", "target": "/run/netns", "propagation": "shared"},
        ],
    )["HostConfig"]
    assert host["Tmpfs"] == {
        "/etc/web": "rw,nosuid,nodev,mode=0750,uid=42,gid=43",
        "/tmp": "rw,nosuid,nodev,mode=1777",
    }
    by_target = {mount["Target"]: mount for mount in host["Mounts"]}
    assert by_target["/data"]["VolumeOptions"] == {"Labels": {"saltern.cloud": "test"}}
    assert by_target["/run/netns"]["BindOptions"] == {"Propagation": "shared"}
    assert by_target[specs.CONFIG_TARGET] == {
        "Type": "bind", "Source": str(CONFIG), "Target": specs.CONFIG_TARGET, "ReadOnly": True,
    }  # fmt: skip


def test_the_image_s_own_health_check_does_not_count() -> None:
    assert body()["Healthcheck"] == {"Test": ["NONE"]}
    check = body(healthcheck={"exec": ["/check", "it"], "interval": 2, "timeout": 1, "failures": 4})["Healthcheck"]
    assert check["Test"] == ["CMD", "/check", "it"]
    assert (check["Interval"], check["Retries"]) == (2_000_000_000, 4)


def test_the_label_does_not_depend_on_order_or_probes() -> None:
    one = body(environment={"A": "1", "B": "2"}, capabilities=["A", "B"], liveness={"tcp": "x:1"}, start_timeout=1)
    two = body(environment={"B": "2", "A": "1"}, capabilities=["B", "A"], liveness=None, start_timeout=9)
    assert one["Labels"]["saltern.spec"] == two["Labels"]["saltern.spec"]
    assert one["Labels"]["saltern.spec"].startswith(f"{specs.NORMALISER}:")


@pytest.mark.parametrize(
    "change",
    [{"environment": {"A": "1"}}, {"command": ["x"]}, {"read_only": False}, {"limits": {"pids": 1}}, {"user": "1"}],
)
def test_the_label_depends_on_what_makes_the_container(change: dict[str, Any]) -> None:
    assert body()["Labels"]["saltern.spec"] != body(**change)["Labels"]["saltern.spec"]


@pytest.mark.parametrize(
    ("text", "number"), [("512M", 2**29), ("1G", 2**30), ("1.5k", 1536), (1024, 1024), ("2GiB", 2**31)]
)
def test_sizes(text: str | int, number: int) -> None:
    assert specs.size(text) == number


@given(st.text(alphabet="qxyz!-", min_size=1))
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SalternError, match="is not a size"):
        specs.size(text)
