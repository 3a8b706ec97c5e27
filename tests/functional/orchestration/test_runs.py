"""The course of a run, with real Salt and pretended containers."""

from __future__ import annotations

from .conftest import Cloud

ONE, TWO = "1" * 16, "2" * 16


def steps(cloud: Cloud, event: str = "step_end") -> dict[str, str]:
    return {line["step"]: line.get("result", "") for line in cloud.journal() if line["event"] == event}


def test_first_deploy_goes_in_the_order_of_the_plan_and_at_once_where_it_may(cloud: Cloud) -> None:
    cloud.model(ONE)
    for host in ("ctl1", "ctl2"):
        cloud.behave(host, delay=0.7)
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.containers("ctl1") == {"mariadb": "one", "kolla_toolbox": "one", "keystone": "one"}
    assert cloud.containers("ctl2") == {"memcached": "one", "keystone": "one"}
    order = [(line["event"], line["step"]) for line in cloud.journal() if "step" in line]
    assert order[:2] == [("step_start", "compare"), ("step_end", "compare")]
    assert order.index(("step_start", "start memcached")) < order.index(("step_end", "start mariadb"))
    assert order.index(("step_start", "prepare keystone")) > order.index(("step_end", "start kolla_toolbox"))
    assert order.index(("step_start", "start keystone")) > order.index(("step_end", "prepare keystone"))
    keystone = [call for host in ("ctl1", "ctl2") for call in cloud.calls(host) if call["containers"] == ["keystone"]]
    assert keystone[0]["end"] <= keystone[1]["at"], "a serial wave takes one host after another"
    assert "● Start mariadb" in done.stderr
    assert "Deployed in" in done.stderr
    assert "5 containers started" in done.stderr
    assert "unclosed" not in done.stderr


def test_nothing_to_do_is_one_job_per_host(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    before = {host: len(cloud.calls(host)) for host in ("ctl1", "ctl2")}
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0
    for host, number in before.items():
        (call,) = cloud.calls(host)[number:]
        assert call["test"] is True
        assert call["changes"] == []
    assert "Nothing to do: 2 hosts, 5 containers, all as the model says" in done.stderr
    assert "changed=" not in done.stdout
    assert set(steps(cloud).values()) == {"ok", "skipped"}
    assert list(steps(cloud, "step_start")) == ["compare"], "a step without work fires nothing"


def test_a_host_that_lacks_a_setting_is_acted_on_in_the_wave_of_what_needs_it(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    setting = {"kind": "sysctl", "current": "0", "desired": "1", "containers": ["keystone"]}
    cloud.behave("ctl2", settings={"sysctl net.x": setting})
    planned = cloud.run("state.orch", "openstack.deploy", "test=True")
    assert "sysctl net.x: 0 → 1" in planned.stderr
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    ended = {line["step"]: line for line in cloud.journal() if line["event"] == "step_end"}
    assert (ended["start keystone"]["hosts"], ended["start keystone"]["summary"]) == (["ctl2"], "1 host setting")
    assert [name for name, line in ended.items() if line["result"] == "changed"] == ["start keystone"]
    assert "Nothing to do" in cloud.run("state.orch", "openstack.deploy").stderr


def test_a_failing_host_stops_its_step_and_all_that_needs_it(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", fail=["keystone"])
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 1
    assert "keystone" not in cloud.containers("ctl2"), "the next host of a serial wave is not begun"
    assert "✗ Start keystone on ctl1: not healthy after 1 s" in done.stderr
    assert "boom" in done.stderr
    assert "ctl2: not begun in this step" in done.stderr
    assert "salt-run openstack.deploy" in done.stderr
    assert "register keystone" not in steps(cloud)
    assert cloud.journal()[-1]["result"] == "failed"
    cloud.behave("ctl1")
    assert cloud.run("state.orch", "openstack.deploy").returncode == 0
    assert cloud.containers("ctl2")["keystone"] == "one"


def test_a_failing_precheck_stops_everything_before_the_first_change(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl2", prechecks=["port 5000: found nginx, expected free"])
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 1
    assert "ctl2: port 5000: found nginx, expected free" in done.stderr
    assert cloud.containers("ctl1") == {}
    assert list(steps(cloud)) == ["compare"]


def test_a_model_with_errors_begins_nothing(cloud: Cloud) -> None:
    problem = {
        "file": "init.sls",
        "line": 9,
        "key": "openstack:hosts:ctl2:adress",
        "expected": "",
        "found": "unknown key",
    }
    cloud.pillar({"digest": ONE, "errors": [{**problem, "hint": 'did you mean "vip"?'}], "plan": None})
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 1
    assert "init.sls:9" in done.stderr
    assert not (cloud.state / "runs").exists()
    assert cloud.calls("ctl1") == []


def test_test_mode_is_the_plan(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    cloud.model(TWO, {"keystone": "two"})
    before = {h: len(cloud.calls(h)) for h in ("ctl1", "ctl2")}
    done = cloud.run("state.orch", "openstack.deploy", "test=True")
    assert done.returncode == 0
    assert "keystone on ctl1, ctl2" in done.stderr
    assert "openstack.apply 222222" in done.stderr
    for host, number in before.items():
        assert [call["test"] for call in cloud.calls(host)[number:]] == [True]
    assert not (cloud.state / "runs").exists()
    assert (cloud.state / "compiled" / "current").readlink().name == ONE
    assert not (cloud.state / "run.open").exists()


def test_an_edit_meanwhile_is_named_and_not_mixed_in(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", delay=2)
    process = cloud.start("state.orch", "openstack.deploy")
    cloud.await_journal("step_start", "start mariadb")
    cloud.model(TWO, {"keystone": "two"})
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert cloud.containers("ctl2")["keystone"] == "one"
    assert "The pillar was edited meanwhile (model 222222); run deploy again." in errors


def test_containers_unknown_to_the_model_are_removed(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    cloud.put("ctl2", {**cloud.containers("ctl2"), "old_api": "one"})
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0
    assert "● Remove containers the model no longer knows" in done.stderr
    assert "old_api" not in cloud.containers("ctl2")


def test_reconfigure_runs_no_job(cloud: Cloud) -> None:
    cloud.model(ONE)
    assert cloud.run("state.orch", "openstack.reconfigure").returncode == 0
    assert steps(cloud)["prepare keystone"] == "skipped"
    assert not (cloud.world / "toolbox.json").exists()


def test_stop_takes_last_what_others_need(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    done = cloud.run("state.orch", "openstack.stop")
    assert done.returncode == 0
    ended = [step for step, result in steps(cloud).items() if result == "changed"]
    assert ended[0] == "start keystone"
    assert ended[-1] == "start mariadb"
    assert "● Stop keystone" in done.stderr
    assert cloud.containers("ctl1") == {}


def test_destroy_wants_the_clouds_name(cloud: Cloud) -> None:
    cloud.deployed(ONE)
    refused = cloud.run("state.orch", "openstack.destroy")
    assert refused.returncode == 1
    assert """pillar='{"confirm": "fake"}'""" in refused.stderr
    assert cloud.containers("ctl1")
    cloud.put("ctl2", {**cloud.containers("ctl2"), "old_api": "one"})
    done = cloud.run("state.orch", "openstack.destroy", 'pillar={"confirm": "fake"}')
    assert done.returncode == 0, done.stderr
    assert cloud.containers("ctl1") == cloud.containers("ctl2") == {}
