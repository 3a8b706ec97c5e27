"""Instances on two hypervisors: reached, talking to each other, outliving what serves them; hosts that come and go."""

import calendar
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig import compute, console
from rig.cloud import SaltCloud
from rig.compute import Compute, active, address, banner, on, qemu
from rig.openstackapi import login
from rig.patient import Patient
from rig.pinger import Pinger

from integration.test_two_hosts import assert_nothing_done

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

NAME = "first.novalocal"  # as the metadata service tells it
BANNER = f"SSH-2.0-saltern-guest_{NAME}"
# What an instance finds when it asks for the metadata, the other one by name of its address, and with packets as large
# as its network takes.
ASK_ABOUT = """#!/bin/sh
echo "id $(wget -q -O - http://169.254.169.254/latest/meta-data/instance-id)"
ping -c 3 -W 5 {peer} | grep transmitted
ping -c 1 -W 5 -s 1400 {peer} | grep transmitted
nc -w 10 {peer} 22 < /dev/null
"""


@pytest.fixture(scope="module")
def nova(compute_cloud: SaltCloud) -> Compute:
    """Nova and Neutron for the administrator."""
    return Compute(login(compute_cloud.rig["ctl1"].address, compute_cloud.secrets()["keystone_admin_password"]))


@pytest.fixture(scope="module")
def first(compute_cloud: SaltCloud, nova: Compute) -> dict[str, Any]:
    """The first cloud's instance."""
    done = compute_cloud.orch("first_cloud")
    assert done.returncode == 0, done.stdout + done.stderr
    return nova.server(nova.by_name(8774, "/v2.1/servers", "servers", "first")["id"])


@pytest.fixture(scope="module")
def second(nova: Compute, first: dict[str, Any]) -> dict[str, Any]:
    """An instance on the other host, which tries the first one."""
    (other,) = {"ctl1", "cmp1"} - {on(first)}
    made = nova.boot("second", first, other, ASK_ABOUT.format(peer=address(first, "fixed")))
    return nova.server(made["id"], active)


@pytest.fixture(scope="module")
def pinged(compute_cloud: SaltCloud, first: dict[str, Any]) -> Iterator[Pinger]:
    """The first instance's floating address, pinged through all tests."""
    with Pinger(compute_cloud.rig["ctl1"], address(first, "floating")) as pinger:
        yield pinger


@pytest.fixture
def ping(pinged: Pinger) -> Pinger:
    pinged.mark()
    return pinged


@pytest.fixture
def patient(compute_cloud: SaltCloud) -> Iterator[Callable[[str, str], Patient]]:
    """Makes patients of containers of hosts; afterwards their back-off is forgotten."""
    made: list[Patient] = []

    def make(host: str, name: str) -> Patient:
        made.append(Patient(compute_cloud, host, name))
        return made[-1]

    yield make
    for one in made:
        compute_cloud.local(one.host, "openstack_container.heal_reset", one.name)


def test_the_first_instance_answers(compute_cloud: SaltCloud, nova: Compute, first: dict[str, Any]) -> None:
    assert active(first)
    assert banner(compute_cloud.rig["ctl1"], address(first, "floating")) == BANNER
    key = nova.get(8774, "/v2.1/os-keypairs/first")["keypair"]["public_key"]
    shown = nova.console(first["id"], "GUEST-READY")
    assert "METADATA instance-id=i-0000000" in shown and f"hostname={NAME} key={key[:60]}" in shown


def test_a_second_time_there_is_nothing_to_do(compute_cloud: SaltCloud, first: dict[str, Any]) -> None:
    assert_nothing_done(compute_cloud)
    done = compute_cloud.orch("first_cloud", "--out=json")
    states = json.loads(done.stdout)["data"]["rig_master"].values()
    assert done.returncode == 0 and not any(state["changes"] for state in states), done.stdout


def test_instances_of_two_hosts_talk(nova: Compute, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Over the tunnel; addresses and metadata of the one on the host without a network role come over it, too."""
    assert {on(first), on(second)} == {"ctl1", "cmp1"}
    shown = nova.console(second["id"], "USER-DATA-END")
    said = re.findall(r"USER-DATA ([^\r\n]*)", shown)  # the first one stands behind the prompt of a shell
    assert said[0].startswith("id i-")
    assert [line.split(",")[1].strip() for line in said[1:3]] == ["3 packets received", "1 packets received"]
    assert said[3] == BANNER


def test_consoles_in_a_browser(nova: Compute, first: dict[str, Any], second: dict[str, Any]) -> None:
    for server in (first, second):
        assert console.greeting(console.url(nova.api, server["id"])) == "RFB 003.008"


def test_the_cloud_as_status_tells_it(compute_cloud: SaltCloud, second: dict[str, Any]) -> None:
    told = json.dumps(compute_cloud.verb("status"))
    assert '"first"' in told and '"second"' in told and '"cmp1"' in told


def test_an_instance_moves_while_it_runs(
    compute_cloud: SaltCloud,
    nova: Compute,
    first: dict[str, Any],
    ping: Pinger,
    record_property: Callable[[str, object], None],
) -> None:
    """There and back, with its disk, as nothing is shared.

    Before anything is killed: a nova-compute that could not ask libvirt at its start knows its resources a minute
    later, and Nova breaks off a move from it until then.
    """
    here = on(first)
    (there,) = {"ctl1", "cmp1"} - {here}
    for host, left in ((there, here), (here, there)):
        nova.migrate(first["id"], host)
        assert qemu(compute_cloud.rig[host], first) and not qemu(compute_cloud.rig[left], first)
        record_property(f"gap of the move to {host}", ping.gap())
    assert banner(compute_cloud.rig["ctl1"], address(first, "floating")) == BANNER


AGENTS = ["neutron_openvswitch_agent", "neutron_l3_agent", "neutron_dhcp_agent", "neutron_metadata_agent"]


@pytest.mark.parametrize("names", [AGENTS, ["nova_libvirt", "nova_compute", "nova_conductor"]], ids=["neutron", "nova"])
def test_killed_and_back_without_a_lost_ping(
    patient: Callable[[str, str], Patient], first: dict[str, Any], ping: Pinger, names: list[str]
) -> None:
    mine = ("nova_libvirt", "nova_compute")
    patients = [patient(on(first) if name in mine else "ctl1", name) for name in names]
    for one in patients:
        one.docker_kill()
    for one in patients:
        one.event("healthy", timeout=120)
    assert ping.gap() == 0


def test_a_replaced_hypervisor_finds_its_instances(
    compute_cloud: SaltCloud, patient: Callable[[str, str], Patient], first: dict[str, Any], ping: Pinger
) -> None:
    host = compute_cloud.rig[on(first)]
    before, one = qemu(host, first), patient(host.name, "nova_libvirt")
    one.remove()
    one.event("healthy", timeout=120)
    assert before and qemu(host, first) == before
    names = host.run("docker", "exec", "nova_libvirt", "virsh", "list", "--name").stdout.split()
    assert first["OS-EXT-SRV-ATTR:instance_name"] in names
    assert ping.gap() == 0


@pytest.mark.parametrize("asked", [False, True], ids=["idle", "with a question of the agent's"])
def test_a_killed_switch(
    patient: Callable[[str, str], Patient],
    ping: Pinger,
    record_property: Callable[[str, object], None],
    nova: Compute,
    asked: bool,
) -> None:
    """Its flows are those of the userspace datapath and die with it: the agent makes them anew.

    Also an agent that waits for an answer which never comes.
    """
    one, agent = patient("ctl1", "openvswitch_vswitchd"), patient("ctl1", "neutron_openvswitch_agent")
    if asked:
        one.hang()
        nova.eventually(lambda: waits(agent), "the agent waits for the switch")
    one.kill_process()
    one.event("mended", timeout=120)
    record_property("gap", ping.gap())


def waits(agent: Patient) -> bool:
    """Whether a round of the agent is longer on its way than one that goes well."""
    rounds = [line for line in agent.container.logs(tail=20).decode().splitlines() if "rpc_loop - iteration:" in line]
    begun = rounds[-1].partition(".")[0] if rounds and rounds[-1].endswith("started") else None
    return begun is not None and time.time() - calendar.timegm(time.strptime(begun, "%Y-%m-%d %H:%M:%S")) > 3


def test_a_deaf_agent_is_replaced(patient: Callable[[str, str], Patient], ping: Pinger) -> None:
    """It lives and hangs, and its connection to the message queue is gone."""
    one = patient("cmp1", "neutron_openvswitch_agent")
    one.hang()
    one.cut_off(5672)
    failed = one.event("failed", reason="unhealthy", timeout=180)
    one.event("healthy", event=failed.data["event"], timeout=120)
    assert ping.gap() == 0


def test_the_message_queue_away_for_a_minute(
    compute_cloud: SaltCloud, nova: Compute, patient: Callable[[str, str], Patient], ping: Pinger
) -> None:
    """Nobody is blamed for it, and all find it again by themselves."""
    before, one = compute_cloud.containers(), patient("ctl1", "rabbitmq")
    compute_cloud.verb("heal_pause")
    try:
        one.docker_kill()
        with pytest.raises(TimeoutError):  # longer than probes of connections are patient
            compute_cloud.events.wait("openstack/health/*/failed", since=one.mark, timeout=75, where=of_others)
    finally:
        compute_cloud.verb("heal_resume")
    one.event("healthy", timeout=120)
    back = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    nova.eventually(lambda: reported(nova, back), "everybody heard", timeout=150)
    after = compute_cloud.containers()
    for host, names in after.items():
        assert {n: c for n, c in names.items() if n != "rabbitmq"} == {
            n: c for n, c in before[host].items() if n != "rabbitmq"
        }
    assert ping.gap() == 0


def of_others(failure: dict[str, Any]) -> bool:
    return bool(failure["container"] != "rabbitmq")


def reported(nova: Compute, since: str) -> bool:
    """All agents and services have reported themselves since a time (ISO, UTC)."""
    agents = [agent["heartbeat_timestamp"].replace(" ", "T") for agent in nova.agents().values()]
    return all(at > since for at in (*agents, *(service["updated_at"] for service in nova.services().values())))


def test_a_third_host_joins_and_leaves(
    compute_cloud: SaltCloud, nova: Compute, first: dict[str, Any], ping: Pinger
) -> None:
    """Two lines of the pillar and a deploy make it a hypervisor; one command takes it out again."""
    before = compute_cloud.containers()
    compute_cloud.write_pillar("init.sls", compute.model(compute_cloud, *compute.NAMES))
    compute_cloud.deploy()
    assert set(compute_cloud.changes()) == {"cmp2"}
    assert nova.hypervisors() == {"ctl1", "cmp1", "cmp2"}
    third = nova.boot("third", first, "cmp2", ASK_ABOUT.format(peer=address(first, "fixed")))
    nova.server(third["id"], active)
    shown = nova.console(third["id"], "USER-DATA-END")
    assert f"USER-DATA {BANNER}" in shown

    refused = compute_cloud.verb("host_remove", "cmp2", "confirm=cmp2", expect=4)
    assert "third" in json.dumps(refused)
    nova.delete(third["id"])
    compute_cloud.verb("host_remove", "cmp2", "confirm=cmp2")
    assert nova.hypervisors() == {"ctl1", "cmp1"}
    assert not [host for _, host in (*nova.agents(), *nova.services()) if host == "cmp2"]
    providers = nova.get(8778, "/resource_providers")["resource_providers"]
    assert {provider["name"] for provider in providers} == {"ctl1", "cmp1"}
    compute_cloud.write_pillar("init.sls", compute.model(compute_cloud))
    compute_cloud.deploy()
    after = compute_cloud.containers()
    assert after["cmp2"] == {} and {host: after[host] for host in ("ctl1", "cmp1")} == {
        host: before[host] for host in ("ctl1", "cmp1")
    }
    assert ping.gap() == 0


def test_a_power_cut_of_the_host_that_has_all(
    compute_cloud: SaltCloud, first: dict[str, Any], second: dict[str, Any], nova: Compute
) -> None:
    """/run is empty after the boot, and with it the namespaces: routers, addresses and instances come back."""
    host, names = compute_cloud.rig["ctl1"], set(compute_cloud.containers()["ctl1"])
    mark = compute_cloud.events.mark()
    host.power_cut()
    host.boot()
    compute_cloud.events.wait("salt/minion/ctl1/start", since=mark, timeout=120)
    for name in sorted(names):
        Patient(compute_cloud, "ctl1", name).running(timeout=180)
    with Pinger(host, address(first, "floating"), patience=300):  # it has its address before it knows its name
        nova.eventually(lambda: banner(host, address(first, "floating")) == BANNER, "told its name", timeout=180)
    for server in (first, second):
        assert active(nova.server(server["id"], active))
