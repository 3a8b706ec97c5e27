"""Healing through real Salt: from Docker's event over bus, reactor, queue and order to a healthy container."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import salt.config
import salt.utils.event
from saltfactories.manager import FactoriesManager

from functional import tiny
from saltern.host.context import Host
from saltern.host.converge import converge
from saltern.host.engine import Engine
from saltern.host.store import Shelf, Store
from saltern.recovery.history import History

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DIGEST = "b7e57b7e57b7e57b"
CLOUD = f"b-test-salt-{os.getpid()}"
IMAGE = f"b-test/salt:{os.getpid()}"
NAME = f"b_test_salt_{os.getpid()}"
PATIENT = 40.0


class Cloud:
    """A master, a minion with a health engine, one real container, and what the master's bus carried."""

    def __init__(self, root: pathlib.Path, master: Any, minion: Any) -> None:
        self.root, self.master, self.minion = root, master, minion
        self.state, self.store = root / "state", Store(root / "host")
        self.engine = Engine()
        self.host = Host(self.engine, self.store, name="ctl1", cloud=CLOUD, model="m1")
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.arrived = threading.Condition()
        self._listening = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._listening.wait(20)

    def _listen(self) -> None:
        opts = salt.config.master_config(str(self.master.config_file))
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=True) as bus:
            self._listening.set()
            while self._listening.is_set():
                event = bus.get_event(wait=0.5, full=True, auto_reconnect=True)
                if event and event["tag"].startswith("openstack/"):
                    data = event["data"].get("data", event["data"]) if isinstance(event["data"], dict) else {}
                    with self.arrived:
                        self.events.append((event["tag"], data))
                        self.arrived.notify_all()

    def close(self) -> None:
        self._listening.clear()
        for item in self.engine.containers(CLOUD):
            self.engine.remove(item["Id"], force=True)
        self.engine.api.remove_image(IMAGE, force=True)
        self.engine.close()

    def deploy(self, **spec: Any) -> None:
        """Deploy the container, as the model says, and wait until the health engine reports it healthy."""
        self.forget()
        wanted = {
            "name": NAME, "service": "b", "cloud": CLOUD, "image": IMAGE, "restart": "health", "stop_timeout": 1,
            "start_timeout": 20, "limits": {"pids": 32}, **spec,
        }  # fmt: skip
        changes = converge(self.host, [wanted])
        assert not any(change.get("failure") for change in changes.values()), changes
        if changes:
            self.wait("snapshot", lambda data: data["containers"].get(NAME, {}).get("healthy") is True)
        resets = Shelf(self.store.health.directory / "resets")
        resets.put(NAME, {})  # tests kill faster than any back-off allows
        until(lambda: not resets.names(), "the health engine takes the reset up")
        self.forget()

    def plan(self) -> None:
        """Make a compiled model of one host and one container the current one."""
        directory = self.state / "compiled" / DIGEST
        directory.mkdir(parents=True)
        entry = {"service": "b", "restart": "health", "image": IMAGE, "hosts": ["ctl1"], "needs": [], "cluster": None}
        hosts = {"ctl1": {"address": "127.0.0.1", "roles": [], "containers": [NAME]}}
        plan = {"digest": DIGEST, "cloud": CLOUD, "hosts": hosts, "containers": {NAME: entry}, "heal": {}, "steps": []}
        (directory / "plan.json").write_text(json.dumps(plan))
        (self.state / "compiled" / "current").symlink_to(DIGEST)

    def wait(self, kind: str, good: Callable[[dict[str, Any]], bool] = lambda data: True) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((d for tag, d in self.events if tag.endswith(f"/{kind}") and good(d)), None)

        with self.arrived:
            assert self.arrived.wait_for(lambda: found() is not None, PATIENT), f"no {kind} in {self.events}"
        return found() or {}

    def kinds(self) -> list[str]:
        return [kind for tag, _ in self.events if (kind := tag.rsplit("/", 1)[1]) != "snapshot"]

    def forget(self) -> None:
        with self.arrived:
            self.events.clear()

    def running(self) -> bool:
        inspected = self.engine.inspect(NAME)
        return inspected is not None and inspected["State"]["Running"]

    def run(self, *arguments: str) -> tuple[int, Any]:
        """``salt-run`` with its answer as data."""
        script = pathlib.Path(sys.executable).with_name("salt-run")
        command = [sys.executable, str(script), "-c", self.master.config_dir, *arguments, "--out=json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        return done.returncode, json.loads(done.stdout)

    def history(self, event: str) -> list[dict[str, Any]]:
        return [line for line in History(self.state / "heal" / "history.jsonl").read() if line.get("event") == event]


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENT
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


def tree(root: pathlib.Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(CHECKOUT / "salt" / name)
    return str(root)


@pytest.fixture(scope="module")
def cloud(salt_factories: FactoriesManager) -> Iterator[Cloud]:
    root = pathlib.Path(tempfile.mkdtemp(prefix="saltern-heal-"))
    (root / "state").mkdir(mode=0o700)
    common = {
        "fileserver_list_cache_time": 0,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "log_level_logfile": "info",
    }
    master = salt_factories.salt_master_daemon(
        f"heal-master-{os.getpid()}",
        defaults={"root_dir": str(root / "master")},
        overrides={
            **common,
            "module_dirs": [
                tree(
                    root / "m",
                    "_runners",
                    "_output/openstack.py",
                    "_engines/openstack_recovery.py",
                    "_utils",
                )
            ],
            "file_roots": {"base": [str(CHECKOUT / "states")]},
            "saltern_state_dir": str(root / "state"),
            "engines": [{"openstack_recovery": {}}],
            "reactor": [{"openstack/health/*/*/failed": ["salt://openstack/reactor/failed.sls"]}],
            "worker_threads": 3,
            "interface": "127.0.0.1",
        },
    )
    master.slow_stop = False
    with master.started():
        minion = master.salt_minion_daemon(
            "ctl1",
            defaults={"root_dir": str(root / "ctl1")},
            overrides={
                **common,
                "module_dirs": [
                    tree(root / "n", "_modules/openstack_container.py", "_engines/openstack_health.py", "_utils")
                ],
                "saltern_root": str(root / "host"),
                "engines": [{"openstack_health": {}}],
                "publish_port": master.config["publish_port"],
                "tcp_keepalive_idle": 3,
            },
        )
        with Engine() as engine:
            tiny.load(engine.api, IMAGE, {"etc/b-test": CLOUD}, ["CMD /bin/sleep 100000", "ENV PATH=/bin"])
        minion.slow_stop = False
        with minion.started():
            cloud = Cloud(root, master, minion)
            cloud.plan()
            # On a busy machine an order takes its time; nobody shall act alone meanwhile.
            cloud.store.health.put("settings", {"patience": 30.0})
            yield cloud
            cloud.close()
    shutil.rmtree(root, ignore_errors=True)


def test_from_event_to_healthy_by_tag_and_id(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.engine.kill(NAME)
    failed = cloud.wait("failed")
    decided = cloud.wait("decided", lambda data: data["event"] == failed["event"])
    healed = cloud.wait("healed", lambda data: data["event"] == failed["event"])
    healthy = cloud.wait("healthy", lambda data: data["event"] == failed["event"])
    assert decided["decision"] == "heal" and decided["rule"] == "single container"
    assert healed["by"] == f"order {decided['order']}" and healed["result"] == "healed"
    assert healthy["seconds"] > 0 and cloud.running()
    assert cloud.kinds().count("healed") == 1  # nobody acted alone

    def queued() -> list[dict[str, Any]]:
        return [line for line in cloud.history(failed["event"]) if line["kind"] == "queued"]

    until(queued, "the reactor, the slower way")
    assert queued()[0]["via"] == "reactor"
    assert (cloud.state / "heal" / "queue" / "done" / f"{failed['event']}.json").exists()


def test_removed_is_made_again_by_an_order(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.engine.remove(NAME, force=True)
    failed = cloud.wait("failed")
    assert cloud.wait("healed")["result"] == "healed"
    assert cloud.wait("healthy")["event"] == failed["event"]
    assert cloud.running()


def test_why_tells_the_story(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.engine.kill(NAME)
    cloud.wait("healthy")
    code, answer = cloud.run("openstack.why", NAME)
    (story,) = answer["stories"]
    assert code == 0 and story["state"] == "healthy"
    assert [step["what"] for step in story["steps"]] == ["died", "reported", "decided", "started", "healthy"]
    assert story["steps"][0]["text"] == "docker kill (signal 9)"


def test_paused_holds_and_resume_heals(cloud: Cloud) -> None:
    cloud.deploy()
    code, answer = cloud.run("openstack.heal_pause", "why=a test")
    assert code == 0 and isinstance(answer, dict) and answer["lines"] == [], answer
    cloud.engine.kill(NAME)
    assert "paused" in cloud.wait("held")["why"]
    assert cloud.wait("decided")["rule"] == "paused"
    assert not cloud.running()
    code, answer = cloud.run("openstack.heal_resume")
    assert code == 0 and isinstance(answer, dict) and answer["lines"] == [], answer
    assert cloud.wait("healed")["by"].startswith("order ")
    cloud.wait("healthy")
    code, _ = cloud.run("openstack.heal_reset", NAME)
    assert code == 0


def test_without_a_master_healed_alone_and_reported_on_its_return(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.master.terminate()
    killed = time.time()
    cloud.engine.kill(NAME)
    until(cloud.running, "it is healed alone")
    assert cloud.events == []
    cloud.master.start()
    # What was sent just before the connection broke comes once more.
    failed = cloud.wait("failed", lambda data: data["at"] >= killed)
    healed = cloud.wait("healed", lambda data: data["event"] == failed["event"])
    assert failed["late"] and healed["by"] == "alone" and healed["result"] == "healed"
    cloud.wait("healthy", lambda data: data["event"] == failed["event"])
    assert cloud.wait("snapshot")["containers"][NAME]["healthy"] is True
    assert cloud.running()
