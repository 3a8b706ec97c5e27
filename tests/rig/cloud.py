"""``SaltCloud``: a salt-master on the machine and a salt-minion in every host of a rig, running this checkout.

    with Rig(["ctl1", "db1"]) as rig, SaltCloud(rig) as cloud:
        cloud.write_pillar("init.sls", {"openstack": {...}})
        cloud.start(images=[...])
        assert cloud.orch("deploy").returncode == 0

The tree under test is a copy of the checkout: a test may add a service folder to it, and an edit made meanwhile does
not change a run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import salt.client
import salt.config
import yaml

from rig import saltconf
from rig.dockerproxy import DockerProxy
from rig.events import Recorder
from rig.rig import CHECKOUT, Host, Rig, RigError

BIN = Path(sys.prefix) / "bin"
SHIPPED = ("salt", "states", "images", "pillar")


class SaltCloud:
    """Master, minions, a recorder of events, and two counting proxies per host (``deploys`` and ``heals``)."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.root = rig.shared / "salt"
        self.checkout = rig.shared / "checkout"
        self.config = self.root / "conf"
        self.events = Recorder()
        self.deploys: dict[str, DockerProxy] = {}
        self.heals: dict[str, DockerProxy] = {}
        self.notes: dict[str, Any] = {}  # what one test leaves for another (seconds of the first deploy)
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SaltCloud:
        for name in ("conf", "run", "log", "pillar/openstack", "saltern"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in SHIPPED:
            if (CHECKOUT / name).exists():
                ignored = shutil.ignore_patterns("__pycache__", "openstack" if name == "pillar" else "*.pyc")
                shutil.copytree(CHECKOUT / name, self.checkout / name, symlinks=True, ignore=ignored)
        return self

    def __exit__(self, *_: object) -> None:
        self.events.detach()
        for host in self.rig.hosts:
            host.power_cut()
        self.kill_master()
        for proxy in (*self.deploys.values(), *self.heals.values()):
            proxy.close()

    # setting up

    @property
    def pillar(self) -> Path:
        """The operator's own tree."""
        return self.root / "pillar/openstack"

    @property
    def state(self) -> Path:
        """The master's state root (`saltern_state_dir`)."""
        return self.root / "saltern"

    def write_pillar(self, name: str, content: dict[str, Any] | str) -> Path:
        """Write a file of the operator's tree, as YAML."""
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        (self.pillar / name).write_text(text, encoding="utf-8")
        return self.pillar / name

    def start(self, images: Sequence[str] | None = None) -> None:
        """Start all of Salt and boot the hosts with ``images``, by default all that the model needs."""
        for host in self.rig.hosts:
            self._prepare(host)
        self.start_master()
        mark = self.events.mark()
        self.rig.boot(self.plan()["images"] if images is None else images)
        self._await_minions(mark)
        self.sync()

    def compile(self) -> dict[str, Any]:
        """What ``openstack_plan.compile`` makes of the operator's tree."""
        done = self.run("salt.cmd", "openstack_plan.compile", "--out=json")
        return dict(json.loads(done.stdout))

    def plan(self) -> dict[str, Any]:
        """The plan of the operator's tree. Raises RigError for a model with errors."""
        made = self.compile()
        if made["errors"]:
            raise RigError(f"the model has errors: {json.dumps(made['errors'])}")
        return dict(made["plan"])

    def secrets(self) -> dict[str, Any]:
        """What ``openstack.secrets_generate`` wrote."""
        tree = yaml.safe_load((self.pillar / "secrets.sls").read_text(encoding="utf-8"))
        return dict(tree["openstack"]["secrets"])

    def sync(self) -> None:
        """Give the minions the tree's modules and restart them: engines are read when a minion starts."""
        answers = self.local("*", "saltutil.sync_all", timeout=120)
        silent = set(self.rig.names) - set(answers)
        if silent:
            raise RigError(f"no answer to sync_all from {', '.join(sorted(silent))}")
        self.restart_minions()

    def restart_minions(self, names: Sequence[str] = ()) -> None:
        mark = self.events.mark()
        hosts = [self.rig[name] for name in names or self.rig.names]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(_kill_minion, hosts))
        self._await_minions(mark, [host.name for host in hosts])

    def _await_minions(self, mark: int, names: Sequence[str] = ()) -> None:
        for name in names or self.rig.names:
            self.events.wait(f"salt/minion/{name}/start", since=mark, timeout=120)

    def _prepare(self, host: Host) -> None:
        host.tmp.mkdir(parents=True, exist_ok=True)
        conf = self.rig.shared / "minions" / host.name
        conf.mkdir(parents=True, exist_ok=True)
        settings = saltconf.minion(host.name, self.rig.master_address)
        (conf / "minion").write_text(yaml.safe_dump(settings), encoding="utf-8")
        host.services(f"service salt-minion {BIN}/salt-minion --disable-keepalive -c {conf}")
        engine = host.tmp / "docker.sock"
        self.deploys[host.name] = DockerProxy(host.tmp / "deploy.sock", engine)
        self.heals[host.name] = DockerProxy(host.tmp / "health.sock", engine)

    # the master

    @property
    def opts(self) -> dict[str, Any]:
        return dict(salt.config.client_config(str(self.config / "master")))

    def start_master(self) -> None:
        """Start it and wait until it serves; one that runs is left alone."""
        if self._master is not None:
            return
        settings = saltconf.master(self.root, self.checkout, self.rig.master_address)
        (self.config / "master").write_text(yaml.safe_dump(settings), encoding="utf-8")
        ready = self.root / "cache/health/ready"
        ready.unlink(missing_ok=True)
        with open(self.root / "log/console", "ab") as console:
            self._master = subprocess.Popen(
                [BIN / "salt-master", "-c", self.config], stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True, env=_environment(),
            )  # fmt: skip
        for _ in range(1200):
            if ready.exists():
                break
            if self._master.poll() is not None:
                raise RigError(f"salt-master ended: {(self.root / 'log/console').read_text()[-2000:]}")
            time.sleep(0.05)  # no event announces the file
        else:
            raise RigError(f"salt-master is not ready: see {self.root}/log")
        self.events.attach(self.opts)

    def kill_master(self) -> None:
        """As a crash would: the whole process group at once."""
        self.events.detach()
        if self._master is not None:
            _kill_group(self._master)
            self._master = None

    def freeze_master(self) -> None:
        """The master hangs: connections stay, nobody answers."""
        assert self._master is not None
        os.killpg(self._master.pid, signal.SIGSTOP)

    def thaw_master(self) -> None:
        assert self._master is not None
        os.killpg(self._master.pid, signal.SIGCONT)

    def stop_minion(self, name: str) -> None:
        """Keep a minion stopped until ``start_minion``."""
        host = self.rig[name]
        host.run("touch", "/run/salt-minion.stopped")
        _kill_minion(host)

    def start_minion(self, name: str) -> None:
        mark = self.events.mark()
        self.rig[name].start("salt-minion")
        self._await_minions(mark, [name])

    # asking

    def local(
        self, target: str | Sequence[str], function: str, *args: Any, timeout: float = 60, **kwargs: Any
    ) -> dict[str, Any]:
        """Run an execution function on minions, in this process (the command line costs a second more)."""
        kind = "glob" if isinstance(target, str) else "list"
        wanted = target if isinstance(target, str) else list(target)
        with salt.client.LocalClient(mopts=self.opts) as client:
            return dict(client.cmd(wanted, function, args, timeout=timeout, tgt_type=kind, kwarg=kwargs))

    def popen(self, *argv: str) -> subprocess.Popen[str]:
        """Start a literal ``salt-run …`` as an operator would; its process group can be killed."""
        return subprocess.Popen(
            [BIN / "salt-run", "-c", self.config, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True, env=_environment(),
        )  # fmt: skip

    def run(self, *argv: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """A literal ``salt-run …``, to its end."""
        process = self.popen(*argv)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            out, err = process.communicate()
            raise RigError(f"salt-run {' '.join(argv)} took more than {timeout} s: {out}\n{err}") from None
        return subprocess.CompletedProcess(list(argv), process.returncode, out, err)

    def verb(self, name: str, *argv: str, expect: int = 0, timeout: float = 600) -> dict[str, Any]:
        """An operator's verb as data. Raises RigError when its exit code is another than ``expect``."""
        done = self.run(f"openstack.{name}", *argv, "--out=json", timeout=timeout)
        if done.returncode != expect:
            raise RigError(
                f"openstack.{name}: exit code {done.returncode}, expected {expect}: {done.stdout}\n{done.stderr}"
            )
        answer = json.loads(done.stdout)
        if not isinstance(answer, dict):
            raise RigError(f"openstack.{name}: no answer but {done.stdout}\n{done.stderr}")
        return answer

    def orch(self, name: str, *argv: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """``salt-run state.orch openstack.NAME``."""
        return self.run("state.orch", f"openstack.{name}", *argv, timeout=timeout)

    def deploy(self) -> subprocess.CompletedProcess[str]:
        """Deploy; raises RigError with all it said when it fails."""
        done = self.orch("deploy")
        if done.returncode:
            raise RigError(f"deploy failed ({done.returncode}):\n{done.stderr}\n{done.stdout}")
        return done

    def clear_calls(self) -> None:
        for proxy in (*self.deploys.values(), *self.heals.values()):
            proxy.clear()

    # what happened

    def last_run(self) -> dict[str, Any]:
        """The newest run's own record, with its ``journal`` lines."""
        newest = max((self.state / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        record = json.loads((newest / "run.json").read_text(encoding="utf-8"))
        lines = (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        return {**record, "id": newest.name, "journal": [json.loads(line) for line in lines]}

    def changes(self) -> dict[str, dict[str, str]]:
        """Host → container → action, of everything the newest run did to containers."""
        found: dict[str, dict[str, str]] = {}
        for line in self.last_run()["journal"]:
            if line["event"] == "step_end":
                for host, changed in (line.get("detail") or {}).items():
                    actions = _actions(changed)
                    if actions:
                        found.setdefault(host, {}).update(actions)
        return found

    def containers(self) -> dict[str, dict[str, tuple[str, str]]]:
        """Host → container → (id, when started), of all running containers."""
        found = {}
        for host in self.rig.hosts:
            api = host.engine().api
            found[host.name] = {
                item["Names"][0].lstrip("/"): (item["Id"], api.inspect_container(item["Id"])["State"]["StartedAt"])
                for item in api.containers()
            }
        return found


def _actions(tree: Any) -> dict[str, str]:
    """Containers and their actions, wherever in a tree of changes they are."""
    found: dict[str, str] = {}
    if isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(value, dict) and isinstance(value.get("action"), str):
                found[key] = value["action"]
            else:
                found |= _actions(value)
    return found


def _environment() -> dict[str, str]:
    """Without what a test runner adds: the daemons find the library as an operator's do."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COVERAGE_", "PYTHONPATH"))}


def _kill_minion(host: Host) -> None:
    """At once: a minion takes six seconds to end on SIGTERM, and one started meanwhile ends itself."""
    host.run("pkill", "-9", "-f", "salt-minion --disable-keepalive", check=False)
    host.run("rm", "-f", "/run/salt-minion.pid")


def _kill_group(process: subprocess.Popen[Any]) -> None:
    try:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
