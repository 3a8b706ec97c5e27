"""Healing on real parts: each kind of death, with the master up (followed by tag and id) and stopped."""

import time
from collections.abc import Callable, Iterator

import pytest
from rig.cloud import SaltCloud
from rig.patient import Patient

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def patient(deployed: SaltCloud) -> Iterator[Callable[[str], Patient]]:
    """Makes patients; afterwards their back-off is forgotten, so tests do not slow each other."""
    made: list[Patient] = []

    def make(name: str) -> Patient:
        host = next(host for host, names in deployed.containers().items() if name in names)
        deployed.local(host, "openstack_container.heal_reset", name)
        made.append(Patient(deployed, host, name))
        return made[-1]

    yield make
    for one in made:
        deployed.local(one.host, "openstack_container.heal_reset", one.name)


DEATHS = [
    ("memcached", Patient.docker_kill, "died"),
    ("memcached", Patient.remove, "removed"),
    ("mariadb", Patient.kill_process, "died"),  # restart: health
    ("keystone", Patient.hang, "unhealthy"),
]


@pytest.mark.parametrize("name,hurt,reason", DEATHS, ids=[f"{n}-{r}-{h.__name__}" for n, h, r in DEATHS])
def test_event_reactor_order_healthy(
    patient: Callable[[str], Patient], name: str, hurt: Callable[[Patient], None], reason: str
) -> None:
    """One failure has one id from its event through the queue and the order to its end."""
    one = patient(name)
    hurt(one)
    failed = one.event("failed", reason=reason)
    which = failed.data["event"]
    decided = one.event("decided", event=which)
    assert decided.data["decision"] == "heal" and decided.data["rule"] and decided.data["why"]
    healed = one.event("healed", event=which, timeout=120)
    assert healed.data["by"] == f"order {decided.data['order']}"
    one.event("healthy", event=which, timeout=120)
    assert failed.at <= decided.at <= healed.at
    assert len([event for event in one.events("decided") if event.data["event"] == which]) == 1


@pytest.mark.parametrize("name,hurt,reason", DEATHS[:3], ids=[f"{n}-{r}" for n, _, r in DEATHS[:3]])
def test_master_stopped_healed_alone_and_reported(
    patient: Callable[[str], Patient], deployed: SaltCloud, name: str, hurt: Callable[[Patient], None], reason: str
) -> None:
    one = patient(name)
    deployed.kill_master()
    try:
        hurt(one)
        one.running()
    finally:
        deployed.start_master()
    assert one.event("failed", reason=reason, timeout=120).data["event"]
    assert one.event("healed", timeout=120).data["by"] == "alone"


def test_master_frozen_healed_alone_after_patience(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    """The connection stays, nobody answers; the late order does nothing."""
    one = patient("memcached")
    deployed.freeze_master()
    try:
        one.docker_kill()
        one.running()
        started = one.container.attrs["State"]["StartedAt"]
    finally:
        deployed.thaw_master()
    one.event("healthy", timeout=120)
    assert one.container.attrs["State"]["StartedAt"] == started


def test_docker_mends_a_stateless_process_and_it_is_recorded(patient: Callable[[str], Patient]) -> None:
    one = patient("keystone")
    one.kill_process()
    one.event("mended", timeout=90)
    assert one.events("decided") == [] and one.events("failed") == []


def test_a_planned_stop_is_not_healed(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    one = patient("memcached")
    done = deployed.orch("stop")
    assert done.returncode == 0, done.stderr
    assert deployed.containers() == {"ctl1": {}, "db1": {}}
    # The next full list after the stop is the moment at which a wrong engine would act.
    since = time.time()
    _await_full_list(deployed, since)
    assert one.events("failed") == [] and deployed.containers() == {"ctl1": {}, "db1": {}}


def test_an_image_that_is_gone_is_reported(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    """Container and image removed before anybody looks: nothing can be started, so it is said, with the remedy."""
    one = patient("memcached")
    host = deployed.rig[one.host]
    image = one.container.attrs["Image"]
    host.run("pkill", "-STOP", "-f", "salt-minion --disable-keepalive")
    try:
        one.remove()
        host.forget_image(image)
    finally:
        host.run("pkill", "-CONT", "-f", "salt-minion --disable-keepalive")
    try:
        gone = one.event("failed", reason="image_gone", timeout=90)
        decided = one.event("decided", event=gone.data["event"])
        assert decided.data["decision"] == "report" and "build or pull it" in decided.data["why"]
    finally:
        host.load_image("saltern/memcached:2025.2")
    deployed.deploy()
    one.running()


def test_a_spec_that_is_gone_is_restored_by_a_deploy(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    """What a host does not know it does not heal; the model does."""
    one = patient("memcached")
    (deployed.rig[one.host].state / f"desired/{one.name}.json").unlink()
    one.remove()
    deployed.deploy()
    one.running()
    assert (deployed.rig[one.host].state / f"desired/{one.name}.json").exists()


def test_a_crash_loop_is_held_and_reset(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    """Killed after every start: after five heals in a row it is left alone until somebody resets it."""
    one = patient("memcached")
    heals = 0
    while one.comes_back_from_a_kill():
        heals += 1
    # A kill that comes before the host's engine has seen the start belongs to the former outage and is not counted.
    assert 5 <= heals <= 7
    deployed.verb("heal_reset", f"name={one.name}", f"host={one.host}")
    one.mark = deployed.events.mark()
    one.running(timeout=90)


def test_paused_healing_holds_and_resumes(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    one = patient("memcached")
    deployed.verb("heal_pause")
    try:
        one.docker_kill()
        decided = one.event("decided")
        assert decided.data["decision"] == "hold" and "paus" in decided.data["why"]
        assert one.container.status == "exited"
    finally:
        deployed.verb("heal_resume")
    one.running(timeout=90)


def test_why_tells_the_story(patient: Callable[[str], Patient], deployed: SaltCloud) -> None:
    one = patient("memcached")
    one.docker_kill()
    which = one.event("failed").data["event"]
    one.event("healthy", event=which, timeout=90)
    done = deployed.run("openstack.why", one.name, f"host={one.host}")
    assert done.returncode == 0
    for word in ("died", "reported", "decided", "started", "healthy"):
        assert word in done.stdout, done.stdout


def test_a_power_cut_and_every_container_is_back(deployed: SaltCloud) -> None:
    """The host boots with all containers stopped or restarted by Docker; the minion's own list finds the rest."""
    host = deployed.rig["ctl1"]
    names = set(deployed.containers()["ctl1"])
    mark = deployed.events.mark()
    host.power_cut()
    host.boot()
    deployed.events.wait("salt/minion/ctl1/start", since=mark, timeout=120)
    for name in sorted(names):
        Patient(deployed, "ctl1", name).running(timeout=120)


def _await_full_list(cloud: SaltCloud, since: float) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if all(any(call.path == "/containers/json" for call in proxy.calls(since)) for proxy in cloud.heals.values()):
            return
        time.sleep(0.2)  # the proxy has no event to wait on
    raise TimeoutError("a health engine no longer lists")
