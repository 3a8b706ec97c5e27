"""From a pillar to a token and an image on two hosts; what a run costs; what an edit touches."""

import json
import time
from typing import Any

import pytest
from rig import twohosts
from rig.cloud import SaltCloud
from rig.openstackapi import OpenStack

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

READS, CREATES, EXECS = ["read"], ["create"], ["exec"]


def test_containers_are_where_their_roles_are(deployed: SaltCloud) -> None:
    plan = deployed.plan()
    running = {host: set(names) for host, names in deployed.containers().items()}
    assert running == {name: set(host["containers"]) for name, host in plan["hosts"].items()}
    assert "mariadb" in running["db1"] and "mariadb" not in running["ctl1"]
    assert {"keystone", "haproxy", "memcached", "glance_api", "kolla_toolbox"} <= running["ctl1"]


def test_a_token_and_the_catalogue_through_haproxy(openstack: OpenStack) -> None:
    assert {"keystone", "glance"} <= {service["name"] for service in openstack.catalog}
    assert all(f"http://{openstack.address}:" in url for url in openstack.names("endpoints"))


def test_an_image_goes_in_and_comes_out(openstack: OpenStack) -> None:
    content = b"not an operating system " * 50_000  # several buffers
    image = openstack.upload("rig", content)
    try:
        assert openstack.download(image) == content
    finally:
        openstack.delete_image(image)


def assert_nothing_done(cloud: SaltCloud) -> dict[str, Any]:
    """A deploy that changes nothing, counted at the engines' sockets and on the bus."""
    before = cloud.containers()
    cloud.clear_calls()
    mark, since = cloud.events.mark(), time.time()
    done = cloud.deploy()
    calls = {host: proxy.calls(since) for host, proxy in cloud.deploys.items()}
    kinds = {host: [call.kind for call in made] for host, made in calls.items()}
    assert cloud.changes() == {}
    assert cloud.containers() == before
    for host, made in kinds.items():
        assert made.count("read") <= 2, (host, calls[host])
        assert made.count("create") == made.count("write") == 0, (host, calls[host])
    assert sum(made.count("exec") for made in kinds.values()) <= 3, calls  # one exec: create, start, inspect
    jobs = [event.data for event in cloud.events.seen("salt/job/*/new", mark) if event.data["fun"].startswith("state.")]
    ran = [minion for job in jobs for minion in job["minions"]]
    assert sorted(ran) == sorted(cloud.plan()["hosts"]), "one state run per host"
    assert "Nothing to do" in done.stderr + done.stdout
    return {"seconds": time.time() - since}


def test_deploy_again_does_nothing(deployed: SaltCloud) -> None:
    assert_nothing_done(deployed)


def test_deploy_again_costs_the_same_with_forty_containers(deployed: SaltCloud) -> None:
    twohosts.add_plain(deployed, 35)
    deployed.deploy()
    assert len(deployed.containers()["ctl1"]) >= 40
    assert_nothing_done(deployed)


def test_the_minions_engine_asks_apart_from_the_deploy(deployed: SaltCloud) -> None:
    """Else the counts above would count nothing. It lists every 30 s, and the tests above clear what was counted."""
    deadline = time.monotonic() + 90
    while not any(proxy.calls() for proxy in deployed.heals.values()):
        assert time.monotonic() < deadline, "no health engine has asked its Docker Engine for 90 s"
        time.sleep(0.2)  # a condition of the proxies


def test_one_key_edited(deployed: SaltCloud) -> None:
    """``plan`` names file, difference and container; ``reconfigure`` touches only that container."""
    before = deployed.containers()
    twohosts.write(deployed, config={"services": {"keystone": {"keystone.conf": {"DEFAULT": {"debug": True}}}}})
    shown = json.dumps(deployed.verb("plan"))
    assert "keystone.conf" in shown and "debug = True" in shown
    assert deployed.containers() == before, "plan changes nothing"
    done = deployed.orch("reconfigure")
    assert done.returncode == 0, done.stderr
    assert deployed.changes() == {"ctl1": {"keystone": "replace"}}
    after = deployed.containers()
    assert after["db1"] == before["db1"]
    assert {name for name in after["ctl1"] if after["ctl1"][name] != before["ctl1"][name]} == {"keystone"}
    explained = json.dumps(deployed.verb("explain", "keystone.conf", "DEFAULT.debug"))
    assert "init.sls" in explained and "True" in explained


def test_a_test_run_changes_nothing_and_says_what_it_would(deployed: SaltCloud) -> None:
    before = deployed.containers()
    twohosts.write(deployed, config={"global": {"keystone.conf": {"DEFAULT": {"debug": True}}}})
    done = deployed.orch("deploy", "test=True")
    assert "keystone" in done.stdout + done.stderr
    assert deployed.containers() == before
    assert not (deployed.state / "run.open").exists()


def test_an_added_backend_is_a_reload_and_nothing_else(deployed: SaltCloud) -> None:
    """A second host joins the service's role: its container is created, HAProxy reloads, all else stays."""
    twohosts.add_plain(deployed, 1, role="storage", frontend=True)
    hosts = twohosts.model(deployed)["openstack"]["hosts"]
    hosts["ctl1"]["roles"].append("storage")
    twohosts.write(deployed, hosts=hosts)
    deployed.deploy()
    before = deployed.containers()
    hosts["db1"]["roles"].append("storage")
    twohosts.write(deployed, hosts=hosts)
    deployed.deploy()
    assert deployed.changes() == {"ctl1": {"haproxy": "reload"}, "db1": {"plain_0": "create"}}
    after = deployed.containers()
    assert after["ctl1"] == before["ctl1"]
    assert {name: after["db1"][name] for name in before["db1"]} == before["db1"]
    configuration = deployed.rig["ctl1"].run("docker", "exec", "haproxy", "cat", "/etc/haproxy/haproxy.cfg").stdout
    assert f"{deployed.rig['db1'].address}:17001" in configuration


def test_a_container_the_model_no_longer_knows_is_removed(deployed: SaltCloud) -> None:
    twohosts.add_plain(deployed, 1)
    deployed.deploy()
    assert "plain_0" in deployed.containers()["ctl1"]
    twohosts.remove_plain(deployed)
    deployed.deploy()
    assert deployed.changes() == {"ctl1": {"plain_0": "remove"}}
    assert "plain_0" not in deployed.containers()["ctl1"]


def test_functions_know_the_cloud_without_a_refresh_by_hand(deployed: SaltCloud) -> None:
    """An execution function sees the pillar of the minion's last refresh, which may be older than the deploy."""
    running = {host: set(names) for host, names in deployed.containers().items()}
    listed = deployed.local("*", "openstack_container.list")
    assert {host: set(names) for host, names in listed.items()} == running
    for host, told in deployed.local("*", "openstack_container.status").items():
        healthy = {name: container["healthy"] for name, container in told["containers"].items()}
        assert healthy == dict.fromkeys(running[host], True)


def test_secrets_in_a_log_are_masked(deployed: SaltCloud) -> None:
    secret = deployed.secrets()["keystone_database_password"]
    write = ["docker", "exec", "-i", "keystone", "sh", "-c", "cat > /proc/1/fd/1"]
    deployed.rig["ctl1"].run(*write, stdin=f"a line with {secret} in it\n")
    shown = json.dumps(deployed.local("ctl1", "openstack_container.logs", "keystone"))
    assert "a line with" in shown and secret not in shown
