"""Runs that are killed, refused, aborted, or whose minions are silent."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from .conftest import Cloud, until

ONE, TWO = "1" * 16, "2" * 16


def test_a_second_run_is_refused_by_name(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", delay=3)
    process = cloud.start("state.orch", "openstack.deploy")
    cloud.await_journal("step_start", "start mariadb")
    run = cloud.journal()[0]["title"].split()[-1]
    second = cloud.run("state.orch", "openstack.deploy")
    assert second.returncode == 1
    assert f"Refused: run.lock: deploy run {run} is open" in second.stderr
    verb = cloud.run("openstack.deploy")
    assert verb.returncode == 4
    assert run in verb.stdout
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(list((cloud.state / "runs").iterdir())) == 1


def test_killed_at_each_step_and_run_again(cloud: Cloud) -> None:
    cloud.model(ONE)
    for host in ("ctl1", "ctl2"):
        cloud.behave(host, delay=1)
    for step in ("start mariadb", "prepare keystone", "start keystone"):
        process = cloud.start("state.orch", "openstack.deploy")
        cloud.await_journal("step_start", step)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        gone, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, "a step outlived its run"
        assert gone
        shown = cloud.run("openstack.show")
        assert "died" in shown.stdout
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0, done.stderr
    assert cloud.containers("ctl1") == {"mariadb": "one", "kolla_toolbox": "one", "keystone": "one"}
    assert cloud.containers("ctl2") == {"memcached": "one", "keystone": "one"}
    assert "Nothing to do" in cloud.run("state.orch", "openstack.deploy").stderr


def test_a_queued_job_of_a_killed_run_does_nothing(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", delay=4)
    process = cloud.start("state.orch", "openstack.deploy")
    cloud.await_journal("step_start", "start mariadb")
    cloud.await_journal("step_start", "start kolla_toolbox")
    until(lambda: cloud.begun("ctl1") and cloud.queued("ctl1"), "one job acts, the other one waits in the queue")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    until(lambda: [call for call in cloud.calls("ctl1") if "refused" in call], "the queued job started and refused")
    acted = {name for call in cloud.calls("ctl1") if not call["test"] for name in call.get("changes", [])}
    assert len(acted) == 1, "only the job that was running at the kill has acted"


def test_abort_ends_a_detached_run_and_its_jobs(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", delay=60)
    watcher = cloud.start("openstack.deploy")
    cloud.await_journal("step_start", "start mariadb")
    until(lambda: cloud.begun("ctl1"), "the job acts on the minion")
    done = cloud.run("openstack.abort")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ctl1: job" in done.stdout
    out, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 1
    assert "aborted" in out
    until(lambda: not cloud.busy("ctl1"), "the job is gone")
    assert cloud.containers("ctl1") == {}
    assert cloud.run("openstack.abort").returncode == 4


def test_a_detached_run_survives_its_terminal_and_can_be_watched(cloud: Cloud) -> None:
    cloud.model(ONE)
    cloud.behave("ctl1", delay=2)
    first = cloud.start("openstack.deploy")
    cloud.await_journal("step_start", "start mariadb")
    first.kill()
    first.communicate(timeout=30)
    watched = cloud.run("openstack.watch")
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert "Deployed in" in watched.stdout
    assert "● Start keystone" in watched.stderr
    assert cloud.containers("ctl2")["keystone"] == "one"


@pytest.mark.slow
def test_a_silent_minion_is_named_before_anything_changes(cloud: Cloud) -> None:
    cloud.model(ONE)
    with cloud.frozen("ctl2"):
        done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 1
    assert "no answer from ctl2" in done.stderr
    assert cloud.containers("ctl1") == {}


def test_apply_refuses_hosts_that_changed_since_the_plan(cloud: Cloud) -> None:
    cloud.model(ONE)
    assert cloud.run("openstack.apply", "111111").returncode == 4
    planned = cloud.run("openstack.plan", "check=True")
    assert planned.returncode == 3
    cloud.put("ctl1", {"mariadb": "one"})
    refused = cloud.run("openstack.apply", "111111")
    assert refused.returncode == 1
    assert "not as the plan showed them" in refused.stdout
    assert cloud.containers("ctl1") == {"mariadb": "one"}
    assert cloud.run("openstack.plan").returncode == 0
    assert cloud.run("openstack.apply", "111111").returncode == 0
    assert cloud.containers("ctl2")["keystone"] == "one"


def test_apply_refuses_another_model(cloud: Cloud) -> None:
    cloud.model(ONE)
    assert cloud.run("openstack.plan").returncode == 0
    cloud.model(TWO)
    refused = cloud.run("openstack.apply", "111111")
    assert refused.returncode == 4
    assert "the model is 222222 by now" in refused.stdout
