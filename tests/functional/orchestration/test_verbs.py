"""What verbs print, as data and for a person, and their exit codes."""

from __future__ import annotations

import json

from .conftest import Cloud

ONE = "1" * 16


def test_json_is_clean_and_complete(cloud: Cloud) -> None:
    cloud.model(ONE)
    planned = cloud.run("openstack.plan", "--out=json")
    data = json.loads(planned.stdout)
    assert data["kind"] == "plan"
    assert data["retcode"] == 0
    assert {group["container"] for group in data["changes"]} == {"mariadb", "kolla_toolbox", "memcached", "keystone"}
    deployed = json.loads(cloud.run("openstack.deploy", "--out=json").stdout)
    assert deployed["state"] == "ok"
    assert json.loads(cloud.run("openstack.runs", "--out=json").stdout)["runs"][0]["run"] == deployed["run"]
    assert json.loads(cloud.run("openstack.show", deployed["run"][:12], "--out=json").stdout)["run"] == deployed["run"]


def test_an_invalid_model_is_exit_code_2(cloud: Cloud) -> None:
    problem = {
        "file": "init.sls",
        "line": 9,
        "key": "openstack:vip",
        "expected": "an address",
        "found": "x",
        "hint": "",
    }
    cloud.pillar({"digest": ONE, "errors": [problem], "plan": None})
    for verb in ("validate", "plan", "deploy"):
        done = cloud.run(f"openstack.{verb}")
        assert done.returncode == 2, done.stdout
        assert "init.sls:9" in done.stdout


def test_status_shows_hosts_and_names_what_is_wrong(cloud: Cloud) -> None:
    assert cloud.run("openstack.status").returncode == 1
    cloud.model(ONE)
    assert cloud.run("openstack.deploy").returncode == 0
    done = cloud.run("openstack.status")
    assert done.returncode == 0, done.stdout
    assert "ctl1" in done.stdout
    assert "applied" in done.stdout
    here = cloud.containers("ctl2")
    del here["keystone"]
    cloud.put("ctl2", here)
    done = cloud.run("openstack.status")
    assert done.returncode == 1
    assert "openstack.why keystone host=ctl2" in done.stdout


def test_logs_of_every_host(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    done = cloud.run("openstack.logs", "keystone")
    assert done.returncode == 0
    assert "log of keystone on ctl1" in done.stdout
    assert "log of keystone on ctl2" in done.stdout
    assert cloud.run("openstack.logs", "keyston").returncode == 2


def test_precheck_changes_nothing(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", readings={"emulated": "no /dev/kvm"})
    done = cloud.run("state.orch", "openstack.precheck")
    assert done.returncode == 0 and "ctl1: instances are emulated, slowly: no /dev/kvm" in done.stdout
    cloud.behave(
        "ctl1", prechecks=["disk: found 1 GB, expected 5 GB"], readings={"processor": "Xeon 6", "service": "libvirt"}
    )
    cloud.behave("ctl2", readings={"processor": "EPYC 3", "service": "libvirt"})
    done = cloud.run("state.orch", "openstack.precheck")
    assert done.returncode == 1
    assert "ctl1: disk: found 1 GB" in done.stderr
    assert "ctl2: processor: EPYC 3, expected Xeon 6 as on ctl1" in done.stderr
    assert not (cloud.state / "runs").exists()


def test_every_verb_has_help(cloud: Cloud) -> None:
    done = cloud.run("-d", "openstack")
    for verb in ("validate", "plan", "apply", "deploy", "status", "runs", "watch", "show", "abort", "logs", "explain"):
        assert f"openstack.{verb}:" in done.stdout
    assert "CLI Example" in done.stdout
