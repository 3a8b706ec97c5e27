"""Placement and the message queue on two hosts of their own: answers, confirmed messages, faults, an edited limit.

The services' side of the queue is a service folder of the test: a container that has oslo.messaging, configured by the
same two lines that every service has.
"""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from rig.cloud import SaltCloud
from rig.openstackapi import login
from rig.rig import Rig

from integration.test_two_hosts import assert_nothing_done

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

ON: dict[str, Any] = {"enabled": True}
SERVICES = {"placement": ON, "rabbitmq": ON, "glance": {"enabled": False}}
TALKER = {
    "name": "talker",
    "needs": ["rabbitmq"],
    "messaging": {},
    "containers": {
        "talker": {
            "image": "glance-api",
            "runs_on": "control",
            "user": "glance",
            "process": "sleep infinity",
            "config": {"talker.conf": {"dest": "/etc/talker/talker.conf", "format": "ini"}},
            "limits": {"memory": "256M", "pids": 64},
            "writable": ["/etc/talker", "/tmp"],
            "stop_timeout": "2s",
        }
    },
}
TALKER_CONF = """[DEFAULT]
transport_url = {{ transport_url() }}

{{ oslo_messaging() }}

[oslo_concurrency]
lock_path = /tmp
"""

CONNECTED = """
import sys
from kombu import Connection, Queue
from oslo_config import cfg
import oslo_messaging

conf = cfg.CONF
conf(["--config-file", "/etc/talker/talker.conf"])
url = oslo_messaging.TransportURL.parse(conf)
(host,) = url.hosts
connection = Connection(
    transport="pyamqp", hostname=host.hostname, port=host.port, userid=host.username, password=host.password,
    virtual_host=url.virtual_host, transport_options={"confirm_publish": True}, connect_timeout=5,
)
queue = Queue("kept", durable=True)
"""
# A publisher that is not told "confirmed" raises; so does one whose message no queue takes.
PUBLISH = """
with connection, connection.channel() as channel:
    queue(channel).declare()
    connection.Producer(channel).publish(
        {"text": sys.argv[1]}, routing_key="kept", delivery_mode=2, mandatory=True, timeout=20
    )
print("confirmed")
"""
TAKE = """
with connection, connection.channel() as channel:
    message = queue(channel).get()
    if message is not None:
        message.ack()
        print(message.payload["text"])
"""
# One process asks itself over the message queue, as nova-conductor is asked by nova-compute.
CALL = """
class Endpoint:
    def upper(self, context, text):
        return text.upper()


transport = oslo_messaging.get_rpc_transport(conf)
target = oslo_messaging.Target(topic="talk", server="here")
server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
server.start()
client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="talk"), timeout=30)
print(client.call({}, "upper", text=sys.argv[1]))
server.stop()
server.wait()
transport.cleanup()
"""


def model(cloud: SaltCloud, **rabbitmq: Any) -> None:
    """Make it the operator's tree; ``rabbitmq`` adds to that service's settings."""
    one, two = cloud.rig.hosts
    tree = {
        "cloud": "rig",
        "hosts": {
            one.name: {"address": one.address, "roles": ["control", "database", "loadbalancer"], "interface": "eth0"},
            two.name: {"address": two.address, "roles": ["messaging"], "interface": "eth0"},
        },
        "services": {**SERVICES, "rabbitmq": {**ON, **rabbitmq}},
        "images": {"namespace": os.environ.get("SALTERN_TEST_NAMESPACE", "saltern")},
    }
    cloud.write_pillar("init.sls", {"openstack": tree})


@pytest.fixture(scope="module")
def cloud() -> Iterator[SaltCloud]:
    """A cloud of this module's own, deployed."""
    with Rig(["ctl1", "msg1"]) as rig, SaltCloud(rig) as cloud:
        folder = cloud.checkout / "states/openstack/services/talker"
        (folder / "files").mkdir(parents=True)
        (folder / "service.yaml").write_text(yaml.safe_dump(TALKER, sort_keys=False), encoding="utf-8")
        (folder / "files/talker.conf.j2").write_text(TALKER_CONF, encoding="utf-8")
        model(cloud)
        cloud.start_master()
        cloud.verb("secrets_generate")
        cloud.start()
        cloud.deploy()
        yield cloud


def talk(cloud: SaltCloud, script: str, *argv: str) -> str:
    """Run a script in the container that talks; what it prints."""
    python = ["docker", "exec", "-i", "talker", "/var/lib/openstack/bin/python", "-", *argv]
    return cloud.rig["ctl1"].run(*python, stdin=CONNECTED + script).stdout.strip()


def management(cloud: SaltCloud, path: str) -> Any:
    """What the management API answers its monitoring user."""
    user = f"monitoring:{cloud.secrets()['rabbitmq_monitoring_password']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
    url = f"http://{cloud.rig['msg1'].address}:15672/api/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.loads(answer.read())


def queues(cloud: SaltCloud) -> dict[str, str]:
    """Types of all queues by their names."""
    return {queue["name"]: queue["type"] for queue in management(cloud, "queues/openstack?disable_stats=true")}


def rabbitmq(cloud: SaltCloud) -> tuple[str, str]:
    """Id and start of its container."""
    return cloud.containers()["msg1"]["rabbitmq"]


def test_placement_answers_who_has_a_token(cloud: SaltCloud) -> None:
    openstack = login(cloud.rig["ctl1"].address, cloud.secrets()["keystone_admin_password"])
    assert "placement" in {service["name"] for service in openstack.catalog}
    url = f"http://{openstack.address}:8778/resource_providers"
    wanted = {"X-Auth-Token": openstack.token, "OpenStack-API-Version": "placement 1.39"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=wanted), timeout=30) as answer:
        assert answer.status == 200 and json.loads(answer.read()) == {"resource_providers": []}
        assert answer.headers["OpenStack-API-Version"] == "placement 1.39"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=30)
    assert refused.value.code == 401


def test_services_talk_over_quorum_queues(cloud: SaltCloud) -> None:
    assert talk(cloud, CALL, "hello") == "HELLO"
    found = queues(cloud)
    assert {"talk", "talk.here"} <= set(found)
    assert any(name.startswith("reply_ctl1:talker:") for name in found), "named after the process"
    assert set(found.values()) == {"quorum"}


def test_a_queue_that_asks_for_nothing_is_a_quorum_queue(cloud: SaltCloud) -> None:
    assert talk(cloud, PUBLISH, "a word") == "confirmed"
    assert queues(cloud)["kept"] == "quorum"
    assert talk(cloud, TAKE) == "a word"
    assert talk(cloud, TAKE) == ""


def test_its_users_are_ours_and_the_services_one_has_no_say(cloud: SaltCloud) -> None:
    assert management(cloud, "health/checks/node-is-quorum-critical")["status"] == "ok"
    shown = cloud.rig["msg1"].run("docker", "exec", "rabbitmq", "rabbitmqctl", "--quiet", "list_users").stdout
    assert sorted(line.split("\t")[0] for line in shown.splitlines()[1:]) == ["monitoring", "openstack"]
    assert "openstack\t[]" in shown


def test_deploy_again_does_nothing(cloud: SaltCloud) -> None:
    assert_nothing_done(cloud)


def test_confirmed_messages_outlive_a_killed_member(cloud: SaltCloud) -> None:
    assert talk(cloud, PUBLISH, "before the fall") == "confirmed"
    before, mark = rabbitmq(cloud), cloud.events.mark()
    cloud.rig["msg1"].run("docker", "exec", "rabbitmq", "sh", "-c", "kill -9 $(pidof beam.smp)")
    cloud.events.wait("openstack/health/msg1/rabbitmq/healthy", since=mark, timeout=120)
    after = rabbitmq(cloud)
    assert after[0] == before[0] and after[1] > before[1], "the same container, started again"
    assert talk(cloud, TAKE) == "before the fall"


def test_messages_outlive_a_replaced_container(cloud: SaltCloud) -> None:
    """Another limit is another container on the same volume, and RabbitMQ is told of its memory."""
    assert talk(cloud, PUBLISH, "before the change") == "confirmed"
    before = rabbitmq(cloud)
    model(cloud, limits={"rabbitmq": {"memory": "768M"}}, variables={"settings": {"channel_max": 1000}})
    done = cloud.orch("reconfigure")
    assert done.returncode == 0, done.stderr
    assert cloud.changes() == {"msg1": {"rabbitmq": "replace"}}
    assert rabbitmq(cloud)[0] != before[0]
    assert talk(cloud, TAKE) == "before the change"
    deadline = time.monotonic() + 60
    while not (nodes := management(cloud, "nodes")) or "mem_limit" not in nodes[0]:
        assert time.monotonic() < deadline, "no statistics of the member"
        time.sleep(0.2)  # a condition of the management API
    assert nodes[0]["mem_limit"] == int(768 * 2**20 * 0.6)
    assert nodes[0]["name"] == f"rabbit@{cloud.rig['msg1'].address}"
