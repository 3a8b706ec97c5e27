"""A host that comes is deployed by the master itself, where the operator wants that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig.cloud import SaltCloud
from rig.rig import Rig

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

OTHERS = ("mariadb", "keystone", "glance", "haproxy", "kolla_toolbox")
PATIENT = 180.0


def write(cloud: SaltCloud, *names: str, **extra: Any) -> None:
    """The cache on these hosts and nothing else."""
    hosts = {name: {"address": cloud.rig[name].address, "roles": ["control"], "interface": "eth0"} for name in names}
    services = {name: {"enabled": False} for name in OTHERS}
    tree = {"cloud": "rig", "release": "2025.2", "hosts": hosts, "services": services, **extra}
    cloud.write_pillar("init.sls", {"openstack": tree})


@pytest.fixture(scope="module")
def cloud() -> Iterator[SaltCloud]:
    with Rig(("ctl1", "ctl2")) as rig, SaltCloud(rig) as cloud:
        write(cloud, "ctl1")
        cloud.start_master()
        cloud.verb("secrets_generate")
        cloud.start()
        cloud.deploy()
        yield cloud


def until(good: Callable[[], bool], cloud: SaltCloud) -> None:
    end = time.monotonic() + PATIENT
    while not good():
        assert time.monotonic() < end, (joined(cloud), cloud.verb("runs"))
        time.sleep(0.5)  # a condition of the cloud


def joined(cloud: SaltCloud) -> list[tuple[str, str, str]]:
    path = cloud.state / "heal" / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return [(line["host"], line["what"], line["why"]) for line in lines if line["kind"] == "join"]


def test_without_being_asked_for_it_nothing_is_deployed(cloud: SaltCloud) -> None:
    write(cloud, "ctl1", "ctl2")
    told = len(joined(cloud))  # their first start is told, too
    cloud.restart_minions(["ctl2"])
    until(lambda: "ctl2" in {host for host, _, _ in joined(cloud)[told:]}, cloud)
    assert {(what, why) for _, what, why in joined(cloud)} == {("nothing", "openstack:auto_join is not true")}
    assert cloud.containers()["ctl2"] == {}


def test_a_new_host_joins_by_itself_and_a_known_one_that_restarts_does_not(cloud: SaltCloud) -> None:
    write(cloud, "ctl1", "ctl2", auto_join=True)
    before, runs = cloud.containers()["ctl1"], len(cloud.verb("runs")["runs"])
    cloud.restart_minions(["ctl2"])
    until(lambda: joined(cloud)[-1][1] != "nothing", cloud)
    assert joined(cloud)[-1][:2] == ("ctl2", "started"), joined(cloud)[-1]
    until(lambda: "memcached" in cloud.containers()["ctl2"], cloud)
    until(lambda: cloud.verb("runs")["runs"][0]["state"] == "ok", cloud)
    assert cloud.last_run()["user"] == "auto_join of ctl2"
    assert cloud.containers()["ctl1"] == before
    assert len(cloud.verb("runs")["runs"]) == runs + 1
    told = len(joined(cloud))
    cloud.restart_minions(["ctl1", "ctl2"])
    until(lambda: not list((cloud.state / "heal" / "joining").glob("*.json")), cloud)
    assert len(cloud.verb("runs")["runs"]) == runs + 1
    assert all(what == "nothing" for _, what, _ in joined(cloud)[told:])
