"""Runs that are disturbed: edited under, killed at every step, asked twice, with hosts and engines away."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rig import twohosts
from rig.cloud import SaltCloud
from rig.openstackapi import login

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

DEBUG = {"services": {"keystone": {"keystone.conf": {"DEFAULT": {"debug": True}}}}}
STEP = "openstack/run/*/step/start"


def destroy(cloud: SaltCloud) -> None:
    """Containers and their data, all of them."""
    done = cloud.orch("destroy", f"pillar={json.dumps({'confirm': twohosts.CLOUD, 'volumes': True})}")
    assert done.returncode == 0, done.stderr + done.stdout
    for host in cloud.rig.hosts:
        engine = host.engine()
        assert engine.containers.list(all=True) == []
        for volume in engine.volumes.list():
            volume.remove()


def state_of(cloud: SaltCloud) -> dict[str, Any]:
    """What a deploy makes, without what differs between two deploys (ids, times)."""
    api = {host.name: host.engine().api for host in cloud.rig.hosts}
    containers = {
        host: {item["Names"][0]: (item["ImageID"], item["Labels"].get("saltern.spec")) for item in client.containers()}
        for host, client in api.items()
    }
    client = login(cloud.rig["ctl1"].address, cloud.secrets()["keystone_admin_password"])
    identity = {what: client.names(what) for what in ("users", "projects", "roles", "services", "endpoints")}
    return {"containers": containers, "identity": identity}


def test_destroy_wants_the_clouds_name(deployed: SaltCloud) -> None:
    before = deployed.containers()
    for argument in ("pillar={}", "pillar=" + json.dumps({"confirm": "another"})):
        done = deployed.orch("destroy", argument)
        assert done.returncode != 0 and twohosts.CLOUD in done.stdout + done.stderr
    assert deployed.containers() == before


def test_killed_at_every_step_and_run_again(deployed: SaltCloud) -> None:
    """Kill salt-run at the start of the first step, run again, kill at the next step that starts, to the end."""
    wanted = state_of(deployed)
    destroy(deployed)
    killed: list[str] = []
    while (step := run_until_a_new_step(deployed, killed)) is not None:
        killed.append(step)
        assert len(killed) < 60, killed
    assert len(killed) >= len([step for step in deployed.plan()["steps"] if step["kind"] == "wave"]), killed
    assert state_of(deployed) == wanted
    deployed.deploy()
    assert deployed.changes() == {}, "databases, users and jobs are as an uninterrupted run leaves them"


def run_until_a_new_step(cloud: SaltCloud, killed: list[str]) -> str | None:
    """Start a deploy and kill it when a step starts that was not killed yet; None when it ended well."""
    mark = cloud.events.mark()
    process = cloud.popen("state.orch", "openstack.deploy")
    try:
        while process.poll() is None:
            try:
                event = cloud.events.wait(STEP, since=mark, timeout=0.2, where=lambda data: data["step"] not in killed)
            except TimeoutError:
                continue
            os.killpg(process.pid, signal.SIGKILL)
            return str(event.data["step"])
        out, err = process.communicate()
        assert process.returncode == 0, err + out
        return None
    finally:
        process.communicate()


def test_killed_in_the_middle_of_a_swap(deployed: SaltCloud) -> None:
    """The minion's job is killed with the former container stopped; the next deploy completes or reverts."""
    twohosts.write(deployed, config=DEBUG)
    host = deployed.rig["ctl1"]
    engine = host.engine()
    stream = engine.events(decode=True, filters={"type": "container", "event": ["die"], "container": "keystone"})
    process = deployed.popen("state.orch", "openstack.deploy")
    next(iter(stream))
    stream.close()
    jobs = [job for job in deployed.local("ctl1", "saltutil.running")["ctl1"] if job["fun"] == "state.sls"]
    for job in jobs:  # its pid is the host's own
        host.run("kill", "-9", str(job["pid"]))
    assert jobs
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deployed.deploy()
    names = {c.name for c in engine.containers.list(all=True)}
    assert "keystone" in names and not [name for name in names if "--" in name]
    assert not list((host.state / "journal").glob("*.json"))


def test_killed_in_the_middle_of_a_db_sync(deployed: SaltCloud) -> None:
    """The job's own container dies: the run says so, the next one does it again, once."""
    destroy(deployed)
    engine = deployed.rig["ctl1"].engine()
    stream = engine.events(decode=True, filters={"type": "container", "event": "start"})
    process = deployed.popen("state.orch", "openstack.deploy")
    for event in stream:
        if event["Actor"]["Attributes"]["name"] == "keystone--db_sync":
            engine.containers.get(event["id"]).kill()
            break
    stream.close()
    out, err = process.communicate(timeout=600)
    assert process.returncode != 0 and "db_sync" in out + err
    deployed.deploy()
    assert login(deployed.rig["ctl1"].address, deployed.secrets()["keystone_admin_password"]).token
    assert not [c for c in engine.containers.list(all=True) if "--" in c.name]


@contextmanager
def open_run(cloud: SaltCloud) -> Iterator[Any]:
    """A deploy that has something to do, in the middle of its first step after the comparison."""
    twohosts.write(cloud, config=DEBUG)
    mark = cloud.events.mark()
    process = cloud.popen("state.orch", "openstack.deploy")
    cloud.events.wait(STEP, since=mark, where=lambda data: "keystone" in data["step"], timeout=120)
    yield process
    if process.poll() is None:
        process.communicate(timeout=600)


def test_the_pillar_edited_in_the_middle_of_a_run(deployed: SaltCloud) -> None:
    """The run ends on the model it began with and says so; the next one brings the edit."""
    with open_run(deployed) as process:
        twohosts.write(deployed)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "run deploy again" in (out + err).lower()
    configuration = deployed.rig["ctl1"].run("docker", "exec", "keystone", "cat", "/etc/keystone/keystone.conf").stdout
    assert "debug = True" in configuration.replace("debug=", "debug = ").replace("true", "True")
    deployed.deploy()
    assert deployed.changes() == {"ctl1": {"keystone": "replace"}}


def test_a_second_run_is_refused(deployed: SaltCloud) -> None:
    with open_run(deployed):
        second = deployed.orch("deploy")
        assert second.returncode != 0
        assert "run" in (second.stdout + second.stderr).lower() and "Traceback" not in second.stderr


def test_no_job_of_a_closed_run_acts(deployed: SaltCloud) -> None:
    """A job of a run that has ended is refused by the minion, whatever it was told."""
    run = deployed.last_run()
    step = {"run": run["id"], "model": run["model"], "verb": "deploy", "mode": "deploy", "containers": ["memcached"]}
    deployed.rig["ctl1"].engine().containers.get("memcached").stop()
    answer = deployed.local("ctl1", "state.sls", "openstack.host.converge", pillar={"saltern_step": step}, queue=True)
    (result,) = answer["ctl1"].values()
    assert result["result"] is False and "closed" in result["comment"].lower()


def test_an_engine_that_is_away_is_named(deployed: SaltCloud) -> None:
    host = deployed.rig["db1"]
    host.stop("dockerd")
    try:
        done = deployed.orch("deploy")
        text = done.stdout + done.stderr
        assert done.returncode != 0 and "db1" in text and "Docker Engine" in text and "Traceback" not in text
    finally:
        host.start("dockerd")


def test_a_minion_that_does_not_answer_is_named_and_nothing_changed(deployed: SaltCloud) -> None:
    before = deployed.containers()
    twohosts.write(deployed, config=DEBUG)
    deployed.stop_minion("db1")
    try:
        done = deployed.orch("deploy")
        text = done.stdout + done.stderr
        assert done.returncode != 0 and "db1" in text and "Traceback" not in text
        assert deployed.containers() == before
    finally:
        deployed.start_minion("db1")


def test_a_full_disk_is_named(deployed: SaltCloud) -> None:
    host = deployed.rig["ctl1"]
    before = deployed.containers()
    twohosts.write(deployed, config=DEBUG)
    fill = """
        cp -a /var/lib/saltern/config /tmp/config && mount -t tmpfs -o size=2m tmpfs /var/lib/saltern/config
        cp -a /tmp/config/. /var/lib/saltern/config/
        cat /dev/zero > /var/lib/saltern/config/full 2>/dev/null || true
    """
    host.run("sh", "-ec", fill)
    try:
        done = deployed.orch("deploy")
        text = done.stdout + done.stderr
        assert done.returncode != 0 and "ctl1" in text and "No space left" in text and "Traceback" not in text
        assert deployed.containers() == before
    finally:
        host.run("umount", "-l", "/var/lib/saltern/config")
        host.run("rm", "-rf", "/tmp/config")


def test_a_wrong_pillar_stops_before_anything(deployed: SaltCloud) -> None:
    before = deployed.containers()
    hosts = twohosts.model(deployed)["openstack"]["hosts"]
    hosts["db1"]["adress"] = hosts["db1"].pop("address")
    twohosts.write(deployed, hosts=hosts)
    mark = deployed.events.mark()
    done = deployed.orch("deploy")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "adress" in text and "address" in text and "init.sls" in text
    assert deployed.events.seen("salt/job/*/new", mark) == [] and deployed.containers() == before


def test_a_container_that_does_not_get_healthy_gives_way_to_the_former(deployed: SaltCloud) -> None:
    """A setting that stops Keystone from starting: the old container is back, the failure says why."""
    before = deployed.containers()
    twohosts.write(
        deployed, config={"services": {"keystone": {"uwsgi.ini": {"uwsgi": {"http-socket": "10.255.255.1:1"}}}}}
    )
    done = deployed.orch("deploy")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for word in ("keystone", "ctl1", "back and healthy", "salt-run openstack.deploy"):
        assert word in text, text
    after = deployed.containers()
    assert after["ctl1"]["keystone"][0] == before["ctl1"]["keystone"][0]
    assert login(deployed.rig["ctl1"].address, deployed.secrets()["keystone_admin_password"]).token
