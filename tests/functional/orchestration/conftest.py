"""A real master and two real minions on loopback, with pretended containers: what is tested is the course of a run."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from saltfactories.manager import FactoriesManager

HERE = pathlib.Path(__file__).parent
CHECKOUT = HERE.parents[2]
HOSTS = ("ctl1", "ctl2")


def link(tree: pathlib.Path, name: str, target: pathlib.Path) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).symlink_to(target)


def master_tree(tree: pathlib.Path) -> pathlib.Path:
    for name in ("_states/openstack_step.py", "_runners", "_output/openstack.py", "_utils"):
        link(tree, name, CHECKOUT / "salt" / name)
    link(tree, "_modules/openstack_plan.py", HERE / "fakes/master/openstack_plan.py")
    link(tree, "_pillar/openstack.py", HERE / "fakes/master/pillar_openstack.py")
    return tree


def minion_tree(tree: pathlib.Path) -> pathlib.Path:
    link(tree, "_utils", CHECKOUT / "salt/_utils")
    for file in (HERE / "fakes/minion").glob("*.py"):
        link(tree, f"_states/{file.name}", file)
    for file in (HERE / "fakes/minion_modules").glob("*.py"):
        link(tree, f"_modules/{file.name}", file)
    return tree


@dataclass
class Cloud:
    """The pretended cloud and its master."""

    root: pathlib.Path
    config: pathlib.Path
    minions: dict[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> pathlib.Path:
        return self.root / "world"

    @property
    def state(self) -> pathlib.Path:
        return self.root / "state"

    def reset(self) -> None:
        """No container, no run, no model."""
        for directory in (self.world, self.state):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)

    def model(self, digest: str, images: dict[str, str] | None = None, **slice_changes: Any) -> dict[str, Any]:
        """Write a compiled model: mariadb and toolbox on ctl1, keystone on both."""
        plan = make_plan(digest)
        directory = self.state / "compiled" / digest
        (directory / "hosts").mkdir(parents=True, exist_ok=True)
        (directory / "plan.json").write_text(json.dumps(plan))
        for host in plan["hosts"]:
            containers = [{"name": n, "image": (images or {}).get(n, "one")} for n in plan["hosts"][host]["containers"]]
            part = {"model": digest, "host": host, "errors": [], "toolbox": host == "ctl1", "containers": containers}
            (directory / "hosts" / f"{host}.json").write_text(json.dumps({**part, **slice_changes}))
        self.pillar({"digest": digest, "errors": [], "plan": plan})
        return plan

    def pillar(self, compiled: dict[str, Any]) -> None:
        (self.world / "compiled.json").write_text(json.dumps(compiled))

    def behave(self, host: str, **what: Any) -> None:
        (self.world / f"{host}.behaviour").write_text(json.dumps(what))

    def containers(self, host: str) -> dict[str, str]:
        file = self.world / f"{host}.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def deployed(self, digest: str) -> None:
        """As if this model had been deployed."""
        plan = self.model(digest)
        for host, found in plan["hosts"].items():
            containers = dict.fromkeys(found["containers"], "one")
            self.put(host, containers)
            (self.world / f"{host}.desired").write_text(json.dumps(containers))
        (self.world / "toolbox.json").write_text(json.dumps(["prepare keystone", "register keystone"]))
        (self.state / "compiled" / "current").symlink_to(digest)

    def put(self, host: str, containers: dict[str, str]) -> None:
        (self.world / f"{host}.json").write_text(json.dumps(containers))

    def calls(self, host: str) -> list[dict[str, Any]]:
        file = self.world / f"{host}.calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """``salt-run`` in the background."""
        script = pathlib.Path(sys.executable).with_name("salt-run")
        return subprocess.Popen(
            [sys.executable, str(script), "-c", str(self.config), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
            **options,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=180)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def await_journal(self, event: str, step: str) -> None:
        """Wait until a run that is not over has written this line."""

        def there() -> bool:
            lines = self.journal() if (self.state / "runs").exists() and any((self.state / "runs").iterdir()) else []
            return any(line["event"] == event and line.get("step") == step for line in lines)

        until(there, f"{event} of {step!r}")

    def begun(self, host: str) -> bool:
        """Whether a state has begun to change something there."""
        return (self.world / f"{host}.begun").exists()

    def queued(self, host: str) -> bool:
        """Whether a job waits in the minion's queue."""
        return any(path.is_file() for path in (self.root / "salt" / host).glob("**/state_queue/**/*"))

    def busy(self, host: str) -> bool:
        """Whether a job runs on the minion."""
        return any((self.root / "salt" / host).glob("**/proc/*"))

    @contextlib.contextmanager
    def frozen(self, host: str) -> Iterator[None]:
        """The minion and its children stand still."""
        daemon = psutil.Process(self.minions[host].pid)
        processes = [daemon, *daemon.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def journal(self, number: int = -1) -> list[dict[str, Any]]:
        """Journal of a run, by default the last one."""
        file = sorted((self.state / "runs").iterdir())[number] / "journal.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)


def make_plan(digest: str) -> dict[str, Any]:
    def step(
        kind: str, service: str, hosts: list[str], containers: list[str], requires: list[str], serial: int = 0
    ) -> Any:
        verb = {"wave": "Start", "prepare": "Prepare", "register": "Register"}[kind]
        return {
            "id": f"{verb.lower()} {service}",
            "title": f"{verb} {service}",
            "kind": kind,
            "service": service,
            "hosts": hosts,
            "containers": containers,
            "serial": serial,
            "requires": requires,
        }

    both = list(HOSTS)
    where = {"mariadb": ["ctl1"], "kolla_toolbox": ["ctl1"], "memcached": ["ctl2"], "keystone": both}
    return {
        "digest": digest,
        "cloud": "fake",
        "errors": [],
        "toolbox_host": "ctl1",
        "hosts": {
            "ctl1": {
                "address": "127.0.0.1",
                "roles": ["control"],
                "containers": ["mariadb", "kolla_toolbox", "keystone"],
            },
            "ctl2": {"address": "127.0.0.1", "roles": ["control"], "containers": ["memcached", "keystone"]},
        },
        "containers": {name: {"service": name, "hosts": hosts} for name, hosts in where.items()},
        "steps": [
            step("wave", "mariadb", ["ctl1"], ["mariadb"], []),
            step("wave", "kolla_toolbox", ["ctl1"], ["kolla_toolbox"], []),
            step("wave", "memcached", ["ctl2"], ["memcached"], []),
            step("prepare", "keystone", ["ctl1"], [], ["start mariadb", "start kolla_toolbox"]),
            step("wave", "keystone", both, ["keystone"], ["prepare keystone", "start memcached"], serial=1),
            step("register", "keystone", ["ctl1"], [], ["start keystone"]),
        ],
    }


@pytest.fixture(scope="session")
def salt_factories_config() -> Iterator[dict[str, Any]]:
    root = pathlib.Path(tempfile.mkdtemp(prefix="saltern-orch-"))  # short: it holds sockets
    yield {"root_dir": str(root / "salt"), "slow_stop": False}
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def daemons(salt_factories: FactoriesManager, salt_factories_config: dict[str, Any]) -> Iterator[Cloud]:
    root = pathlib.Path(salt_factories_config["root_dir"]).parent
    (root / "world").mkdir()
    (root / "state").mkdir()
    common = {
        "fake_world": str(root / "world"),
        "fileserver_list_cache_time": 0,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "log_level_logfile": "warning",
    }
    master = salt_factories.salt_master_daemon(
        "master",
        overrides={
            **common,
            "module_dirs": [str(master_tree(root / "master-tree"))],
            "file_roots": {"base": [str(CHECKOUT / "states")]},
            "pillar_roots": {"base": [str(root / "pillar")]},
            "ext_pillar": [{"openstack": {}}],
            "saltern_state_dir": str(root / "state"),
            "saltern_checkout": str(CHECKOUT),
            "gather_job_timeout": 60,
            "worker_threads": 3,
            "interface": "127.0.0.1",
        },
        extra_cli_arguments_after_first_start_failure=["--log-level=info"],
    )
    tree = str(minion_tree(root / "minion-tree"))
    cloud = Cloud(root, pathlib.Path(master.config_dir))
    with master.started():
        minions = [master.salt_minion_daemon(host, overrides={**common, "module_dirs": [tree]}) for host in HOSTS]
        with minions[0].started(), minions[1].started():
            cloud.minions = dict(zip(HOSTS, minions, strict=True))
            yield cloud


@pytest.fixture
def cloud(daemons: Cloud) -> Cloud:
    for host in HOSTS:  # jobs of a run that another test killed
        until(lambda host=host: not daemons.busy(host) and not daemons.queued(host), f"{host} is idle", 60)
    daemons.reset()
    return daemons
