"""Containers of one host with the real engine: converge, swap, way back, reload, stop, removal, healing."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functional import tiny
from saltern.contract.errors import EngineRefused, EngineUnavailable, ImageMissing
from saltern.host import files, lock, mounts
from saltern.host.compare import compare
from saltern.host.context import Host
from saltern.host.converge import converge, failed
from saltern.host.engine import Engine
from saltern.host.heal import heal, hold
from saltern.host.store import Store

pytestmark = pytest.mark.engine

LIBRARY = Path(__file__).resolve().parents[2] / "salt" / "_utils"
CLOUD = f"a-test-{os.getpid()}"
IMAGE = f"a-test/tiny:{os.getpid()}"
OTHER = f"a-test/tiny:{os.getpid()}-other"
SCRIPTS = {
    # The smallest program that keeps the kolla_start contract for two files.
    "usr/local/bin/kolla_set_configs": """#!/bin/sh
        set -e
        for name in run app.conf; do cat /var/lib/kolla/config_files/$name > /etc/app/$name; done
        """,
    "usr/local/bin/kolla_start": """#!/bin/sh
        kolla_set_configs || exit 1
        echo "password is s3cret-value"
        . /etc/app/run
        """,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        scripts = {path: textwrap.dedent(text) for path, text in SCRIPTS.items()}
        changes = ["CMD /usr/local/bin/kolla_start", "USER 1000:1000", "ENV PATH=/usr/local/bin:/bin"]
        for tag, extra in ((IMAGE, {}), (OTHER, {"etc/other": "x"})):
            tiny.load(engine.api, tag, {**scripts, **extra}, changes)
        yield engine
        for item in engine.containers(CLOUD):
            engine.remove(item["Id"], force=True)
        for volume in engine.volumes(CLOUD):
            engine.remove_volume(volume["Name"])
        for tag in (IMAGE, OTHER):
            engine.api.remove_image(tag, force=True)


@pytest.fixture
def host(engine: Engine, tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "state").mkdir()
    yield Host(engine, Store(tmp_path / "state"), name="ctl1", cloud=CLOUD, model="m1", secrets=("s3cret-value",))
    for item in engine.containers(CLOUD):
        engine.remove(item["Id"], force=True)


@pytest.fixture
def calls(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every request that goes to the engine."""
    made: list[tuple[str, str]] = []
    send = engine.api.send

    def counted(request: Any, **kwargs: Any) -> Any:
        made.append((request.method, request.path_url))
        return send(request, **kwargs)

    monkeypatch.setattr(engine.api, "send", counted)
    return made


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


PORT = free_port()


def web(
    name: str = "a_test_web", *, text: str = "one", port: int = PORT, run: str | None = None, **more: Any
) -> dict[str, Any]:
    run = run or f"exec httpd -f -p 127.0.0.1:{port} -h /etc/app"
    return {
        "name": name, "service": "web", "cloud": CLOUD, "image": IMAGE, "command": None, "user": None,
        "uid": 1000, "gid": 1000, "environment": {"A": "b"}, "init": True, "read_only": True,
        "writable": ["/etc/app", "/tmp"], "mounts": [], "limits": {"memory": "64M", "pids": 64},
        "restart": "engine", "stop_timeout": 2, "start_timeout": 5, "rollback": True,
        "liveness": {"http": f"http://127.0.0.1:{port}/app.conf", "interval": 1, "timeout": 1, "failures": 1},
        "reload": {"signal": "CONT", "check": ["/bin/test", "-s", "/etc/app/app.conf"]},
        "process": "httpd",
        "files": [
            {"name": "run", "dest": "/etc/app/run", "owner": "app", "mode": "0600", "content": run},
            {"name": "app.conf", "dest": "/etc/app/app.conf", "owner": "app", "mode": "0600", "content": text,
             "on_change": "reload"},
        ],
        **more,
    }  # fmt: skip


def idle(name: str, **more: Any) -> dict[str, Any]:
    """A container without configuration or probe."""
    return {
        "name": name, "service": "idle", "cloud": CLOUD, "image": IMAGE, "command": ["/bin/sleep", "1000"],
        "restart": "health", "stop_timeout": 1, "start_timeout": 5, **more,
    }  # fmt: skip


def served(port: int = PORT) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/app.conf", timeout=3) as answer:
        return str(answer.read().decode())


def only(engine: Engine) -> dict[str, str]:
    return {item["Names"][0][1:]: item["State"] for item in engine.containers(CLOUD)}


def test_created_healthy_and_committed(host: Host) -> None:
    changes = converge(host, [web()])
    assert changes["a_test_web"]["action"] == "create"
    assert failed(changes) == []
    assert served() == "one"
    document = host.store.desired.get("a_test_web")
    assert document is not None
    assert document["state"] == "running"
    assert "one" not in str(document["spec"]["files"])
    inspected = host.engine.inspect("a_test_web")
    assert inspected is not None
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True
    assert inspected["HostConfig"]["CapDrop"] == ["ALL"]
    assert inspected["Config"]["Labels"]["saltern.spec"] == document["digest"]


@pytest.mark.parametrize("number", [1, 40])
def test_a_run_in_which_nothing_differs_is_two_reads(host: Host, calls: list[tuple[str, str]], number: int) -> None:
    specs = [idle(f"a_test_idle_{n}") for n in range(number)]
    for spec in specs:  # created here, as the settling of 40 containers is not what is tested
        host.engine.create(spec["name"], body_of(host, spec))
        host.engine.start(spec["name"])
    host.workers = 20
    assert failed(converge(host, specs)) == []
    calls.clear()
    assert converge(host, specs) == {}
    assert [method for method, _ in calls] == ["GET", "GET"]
    calls.clear()
    found = compare(host, specs)
    assert {row["action"] for row in found["containers"].values()} == {"none"}
    assert len(calls) == 2


def body_of(host: Host, spec: dict[str, Any]) -> dict[str, Any]:
    from saltern.host.compare import body_for

    image = host.engine.inspect_image(spec["image"])
    assert image is not None
    return body_for(host, spec, image["Id"])


def test_test_mode_tells_each_field_and_changes_nothing(host: Host, calls: list[tuple[str, str]]) -> None:
    converge(host, [web()])
    before = sorted(str(path) for path in host.store.root.rglob("*"))
    calls.clear()
    wanted = web(text="two s3cret-value", environment={"A": "c"}, limits={"memory": "32M", "pids": 64})
    row = compare(host, [wanted])["containers"]["a_test_web"]
    assert row["action"] == "replace"
    assert {reason["field"] for reason in row["reasons"]} == {"environment", "limits memory"}
    assert row["files"] == [{"name": "app.conf", "diff": ["- one", "+ two ********"]}]
    assert {method for method, _ in calls} == {"GET"}
    assert sorted(str(path) for path in host.store.root.rglob("*")) == before


def test_what_the_engine_shows_of_a_new_container_is_no_difference(host: Host) -> None:
    spec = web(
        healthcheck={"exec": ["/bin/true"], "interval": 1, "timeout": 1, "failures": 2, "start_period": 0},
        limits={"memory": "64M", "pids": 64, "cpus": 0.5, "nofile": 4096},
        capabilities=["NET_BIND_SERVICE"], devices=["/dev/null:/dev/zilch"], pid_host=True, ipc_host=True,
        device_rules=["c 136:* rw", "c 10:200 rwm"], cgroup_host=True,
        mounts=[{"type": "volume", "source": f"{CLOUD}-data", "target": "/data"},
                {"type": "bind", "source": "/tmp", "target": "/host", "read_only": True, "propagation": "rprivate"}],
        stop_signal="SIGINT", hostname="box", command=["/usr/local/bin/kolla_start"], user="1000:1000",
    )  # fmt: skip
    assert failed(converge(host, [spec])) == []
    document = host.store.desired.get("a_test_web")
    assert document is not None
    # As after an update of the normaliser: another label on the container, and the same wish.
    host.engine.remove("a_test_web", force=True)
    made = body_of(host, spec)
    made["Labels"]["saltern.spec"] = "0:former"
    host.engine.create("a_test_web", made)
    host.engine.start("a_test_web")
    host.store.desired.put("a_test_web", {**document, "digest": "0:former", "label": "0:former"})
    started = host.engine.inspect("a_test_web")["State"]["StartedAt"]  # type: ignore[index]
    assert compare(host, [spec])["containers"]["a_test_web"]["reasons"][0]["field"] == "spec"
    assert converge(host, [spec])["a_test_web"]["action"] == "equivalent"
    assert converge(host, [spec]) == {}
    assert host.engine.inspect("a_test_web")["State"]["StartedAt"] == started  # type: ignore[index]


def test_replaced_by_a_swap(host: Host) -> None:
    converge(host, [web()])
    former = host.store.desired.get("a_test_web")
    changes = converge(host, [web(text="two", environment={"A": "c"})])
    assert changes["a_test_web"]["action"] == "replace"
    assert changes["a_test_web"]["gap"] > 0
    assert served() == "two"
    assert only(host.engine) == {"a_test_web": "running"}
    assert host.store.journal.names() == []
    assert host.store.desired.get("a_test_web") != former


def test_a_new_one_that_gets_not_healthy_leaves_the_old_one(host: Host) -> None:
    converge(host, [web()])
    old = host.engine.inspect("a_test_web")
    bad = web(run="echo 'cannot open s3cret-value'; exit 3", start_timeout=1)
    failure = converge(host, [bad])["a_test_web"]["failure"]
    assert failure["former"] == "back and healthy"
    assert "connection refused" in failure["probe"] or "exit code" in failure["message"]
    assert any("cannot open ********" in line for line in failure["log"])
    assert "s3cret-value" not in str(failure)
    now = host.engine.inspect("a_test_web")
    assert old is not None
    assert now is not None
    assert now["Id"] == old["Id"]
    assert now["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert served() == "one"
    assert only(host.engine) == {"a_test_web": "running"}
    assert len(list((host.store.config / "a_test_web").glob("*.masked.json"))) == 1
    assert converge(host, [web()]) == {}


def test_no_way_back_after_another_version_may_have_written_data(host: Host) -> None:
    converge(host, [web(rollback=False)])
    bad = web(rollback=False, image=OTHER, run="exit 3", start_timeout=1)
    failure = converge(host, [bad])["a_test_web"]["failure"]
    assert failure["former"] == "none"
    assert "may have written data" in failure["message"]
    assert failed(converge(host, [bad])) == ["a_test_web"]  # and says so again, instead of "nothing to do"
    assert failed(converge(host, [web(rollback=False, image=OTHER)])) == []
    assert served() == "one"


def test_an_engine_that_refuses_leaves_the_old_one(host: Host) -> None:
    converge(host, [web()])
    bad = web(mounts=[{"type": "bind", "source": "/nowhere/at/all", "target": "/x"}])
    failure = converge(host, [bad])["a_test_web"]["failure"]
    assert "/nowhere/at/all" in failure["message"]
    assert served() == "one"
    assert only(host.engine) == {"a_test_web": "running"}


def test_a_first_start_that_fails_is_tried_again(host: Host) -> None:
    bad = web(run="exit 3", start_timeout=1)
    assert failed(converge(host, [bad])) == ["a_test_web"]
    assert host.store.desired.names() == []
    assert failed(converge(host, [bad])) == ["a_test_web"]
    assert failed(converge(host, [web()])) == []
    assert served() == "one"


def test_reload_keeps_the_container(host: Host) -> None:
    converge(host, [web()])
    before = host.engine.inspect("a_test_web")
    changes = converge(host, [web(text="two")])
    assert changes["a_test_web"]["action"] == "reload"
    assert changes["a_test_web"]["files"] == [{"name": "app.conf", "diff": ["- one", "+ two"]}]
    assert served() == "two"
    after = host.engine.inspect("a_test_web")
    assert before is not None
    assert after is not None
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert converge(host, [web(text="two")]) == {}


def test_a_reload_that_the_service_refuses_puts_the_former_files_back(host: Host) -> None:
    converge(host, [web()])
    failure = converge(host, [web(text="")])["a_test_web"]["failure"]
    assert "the check of the new configuration ended with 1" in failure["message"]
    assert served() == "one"
    assert files.intact(files.directory(host.store.config, web()), web())
    assert converge(host, [web()]) == {}


def test_a_file_that_somebody_changed_on_the_host_is_put_right(host: Host) -> None:
    converge(host, [web()])
    target = files.directory(host.store.config, web())
    assert target is not None
    (target / "run").write_text("exit 1")
    assert converge(host, [web()])["a_test_web"]["action"] == "equivalent"
    assert (target / "run").read_text().startswith("exec httpd")
    assert (target / "run").stat().st_uid == 1000
    assert (target / "run").stat().st_mode & 0o777 == 0o400


def test_a_planned_stop_is_not_healed(host: Host) -> None:
    converge(host, [web()])
    assert converge(host, [web()], mode="stop")["a_test_web"]["action"] == "stop"
    assert only(host.engine) == {"a_test_web": "exited"}
    assert heal(host, "a_test_web")["result"] == "nothing"
    assert converge(host, [web()], mode="stop") == {}
    assert converge(host, [web()])["a_test_web"]["action"] == "start"
    assert served() == "one"
    assert converge(host, [web()]) == {}


def test_reconfigure_creates_nothing_and_keeps_the_image(host: Host) -> None:
    assert converge(host, [web()], mode="reconfigure") == {}
    converge(host, [web()])
    image = host.engine.inspect("a_test_web")["Image"]  # type: ignore[index]
    changes = converge(host, [web(image=OTHER, environment={"A": "c"})], mode="reconfigure")
    assert [reason["field"] for reason in changes["a_test_web"]["reasons"]] == ["environment"]
    assert host.engine.inspect("a_test_web")["Image"] == image  # type: ignore[index]


def test_what_the_model_does_not_know_goes_and_own_containers_stay(host: Host) -> None:
    converge(
        host,
        [web(), idle("a_test_gone"), idle("a_test_own", own=True)],
        names=["a_test_web", "a_test_gone", "a_test_own"],
    )
    found = compare(host, [web()])["containers"]
    assert {name: row["action"] for name, row in found.items()} == {"a_test_web": "none", "a_test_gone": "remove"}
    assert converge(host, [web()], names=["a_test_gone"])["a_test_gone"]["action"] == "remove"
    assert set(only(host.engine)) == {"a_test_web", "a_test_own"}
    assert heal(host, "a_test_gone")["result"] == "refused"
    assert converge(host, [], mode="destroy", names=["a_test_own"])["a_test_own"]["action"] == "remove"


def test_destroy_leaves_nothing_but_volumes_unless_asked(host: Host) -> None:
    volume = f"{CLOUD}-web"
    spec = web(mounts=[{"type": "volume", "source": volume, "target": "/data"}])
    converge(host, [spec])
    assert converge(host, [spec], mode="destroy")["a_test_web"]["action"] == "remove"
    assert only(host.engine) == {}
    assert [v["Name"] for v in host.engine.volumes(CLOUD) if v["Name"] == volume] == [volume]
    assert [p.name for p in host.store.config.iterdir()] == []
    assert host.store.desired.names() == host.store.records.names() == []
    assert converge(host, [spec], mode="destroy") == {}
    converge(host, [spec])
    assert converge(host, [spec], mode="destroy", volumes=True)["a_test_web"]["volumes"] == [volume]
    assert volume not in [v["Name"] for v in host.engine.volumes(CLOUD)]


def test_missing_images_are_named_with_the_command_that_fetches_them(host: Host) -> None:
    with pytest.raises(ImageMissing, match=r"nova-api:none, saltern/keystone:none.*salt-run openstack\.pull"):
        converge(host, [web(image="saltern/keystone:none"), idle("a_test_n", image="r.example:5/x/nova-api:none")])
    assert only(host.engine) == {}


def test_a_foreign_container_of_the_same_name_is_left_alone(host: Host) -> None:
    name = "a_test_foreign"
    host.engine.create(name, {"Image": IMAGE, "Cmd": ["/bin/sleep", "100"]})
    try:
        failure = converge(host, [idle(name)])[name]["failure"]
        assert "belongs to somebody else" in failure["message"]
        assert host.engine.inspect(name) is not None
    finally:
        host.engine.remove(name, force=True)


def test_a_held_lock_is_named(host: Host) -> None:
    converge(host, [web()])
    host.lock_timeout = 0
    with lock.ContainerLock(host.store.locks, "a_test_web", "maintenance"):
        failure = converge(host, [web(text="two")])["a_test_web"]["failure"]
        assert "(maintenance) works on it" in failure["message"]
        assert heal(host, "a_test_web")["result"] == "held"
    assert lock.held(host.store.locks, "a_test_web") is None


class TestExec:
    """What the toolbox and reloads rest on: input and output whole, exit codes, users, time-outs."""

    def test_streams(self, host: Host) -> None:
        converge(host, [idle("a_test_exec")])
        lines = b"0123456789\n" * 200_000
        assert host.engine.exec("a_test_exec", ["/bin/cat"], stdin=lines) == (0, lines, b"")
        assert host.engine.exec("a_test_exec", ["/bin/sh", "-c", "echo o; echo e >&2; exit 3"]) == (3, b"o\n", b"e\n")
        assert host.engine.exec("a_test_exec", ["/bin/id", "-u"]) == (0, b"1000\n", b"")
        assert host.engine.exec("a_test_exec", ["/bin/id", "-u"], user="7") == (0, b"7\n", b"")
        assert host.engine.exec("a_test_exec", ["/bin/true"], stdin=lines)[0] == 0  # ends without reading it

    def test_quick_answers_are_whole(self, host: Host) -> None:
        converge(host, [idle("a_test_exec")])
        assert {host.engine.exec("a_test_exec", ["/bin/echo", "x"]) for _ in range(20)} == {(0, b"x\n", b"")}

    def test_one_that_is_stuck(self, host: Host) -> None:
        converge(host, [idle("a_test_exec")])
        with pytest.raises(EngineUnavailable, match="in time"):
            host.engine.exec("a_test_exec", ["/bin/sleep", "30"], timeout=0.2)

    def test_a_program_that_is_not_there(self, host: Host) -> None:
        converge(host, [idle("a_test_exec")])
        code, out, err = host.engine.exec("a_test_exec", ["/no/such/program"])
        assert code != 0
        assert b"no such file" in out + err


class TestHeal:
    def test_running(self, host: Host) -> None:
        converge(host, [web()])
        assert heal(host, "a_test_web")["result"] == "nothing"

    def test_killed(self, host: Host) -> None:
        converge(host, [web()])
        host.engine.kill("a_test_web")
        host.engine.wait("a_test_web", 5)
        assert heal(host, "a_test_web", dry_run=True)["why"].startswith("would be started again")
        assert only(host.engine) == {"a_test_web": "exited"}
        assert heal(host, "a_test_web")["result"] == "healed"
        assert only(host.engine) == {"a_test_web": "running"}

    def test_removed(self, host: Host) -> None:
        converge(host, [web()])
        host.engine.remove("a_test_web", force=True)
        assert heal(host, "a_test_web")["result"] == "healed"
        assert failed(converge(host, [web()])) == []
        assert served() == "one"
        assert converge(host, [web()]) == {}

    def test_held(self, host: Host) -> None:
        converge(host, [web()])
        host.engine.kill("a_test_web")
        hold(host, "a_test_web", host.now() + 60, "the database is down")
        assert heal(host, "a_test_web") | {"seconds": 0} == {
            "result": "held",
            "why": "the database is down",
            "seconds": 0,
        }
        hold(host, "a_test_web", 0, "")
        assert heal(host, "a_test_web")["result"] == "healed"

    def test_not_answering(self, host: Host) -> None:
        deaf = f"http://127.0.0.1:{free_port()}/"
        converge(host, [web(liveness=None, readiness=None)])
        document = host.store.desired.get("a_test_web")
        assert document is not None
        document["spec"]["liveness"] = {"http": deaf, "timeout": 1}
        host.store.desired.put("a_test_web", document)
        assert heal(host, "a_test_web")["why"].startswith("it is starting since")
        later = dataclasses.replace(host, now=lambda: host.now() + 60)
        before = host.engine.inspect("a_test_web")["State"]["StartedAt"]  # type: ignore[index]
        outcome = heal(later, "a_test_web")
        assert outcome["result"] == "healed"
        assert "connection refused" in outcome["why"]
        assert host.engine.inspect("a_test_web")["State"]["StartedAt"] != before  # type: ignore[index]

    def test_image_gone(self, host: Host) -> None:
        converge(host, [web()])
        document = host.store.desired.get("a_test_web")
        assert document is not None
        host.store.desired.put("a_test_web", {**document, "image_id": "sha256:" + "0" * 64})
        host.engine.remove("a_test_web", force=True)
        outcome = heal(host, "a_test_web")
        assert outcome["result"] == "refused"
        assert "salt-run openstack.build names=tiny" in outcome["why"]


KILLED = """
import os, signal, sys
sys.path[:0] = [{library!r}, {tests!r}]
import functional.test_containers as t
from saltern.host.engine import Engine
from saltern.host.context import Host
from saltern.host.converge import converge
from saltern.host.store import Store
t.CLOUD, t.IMAGE = {cloud!r}, {image!r}
engine = Engine()
send, left = engine.api.send, {after}
def counted(request, **kwargs):
    global left
    if request.method != "GET":
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return send(request, **kwargs)
engine.api.send = counted
host = Host(engine, Store({root!r}), name="ctl1", cloud={cloud!r}, model="m2")
converge(host, [t.web(port={port}, text="two", environment={{"A": "c"}})])
"""


# Writing calls of a swap: remove a stray next, create, stop, policy, remove a stray former, rename, rename, start,
# remove the former, remove a stray next.
@pytest.mark.parametrize(
    ("after", "next_step"),
    [
        (1, "heal"),
        (2, "converge"),
        (3, "heal"),
        (5, "heal"),
        (6, "converge"),
        (6, "heal"),
        (7, "heal"),
        (8, "converge"),
    ],
)
def test_killed_in_the_middle_of_a_swap(host: Host, after: int, next_step: str) -> None:
    converge(host, [web()])
    program = KILLED.format(
        library=str(LIBRARY), tests=str(LIBRARY.parents[1] / "tests"), cloud=CLOUD, image=IMAGE, after=after,
        root=str(host.store.root), port=PORT,
    )  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    if next_step == "heal":
        assert heal(host, "a_test_web")["result"] in ("healed", "nothing")
        wait_for(lambda: served() in ("one", "two"))
        names = {name.removesuffix("--next") for name in only(host.engine)}
        assert names == {"a_test_web"}
    assert failed(converge(host, [web(text="two", environment={"A": "c"})])) == []
    assert served() == "two"
    assert only(host.engine) == {"a_test_web": "running"}
    assert host.store.journal.names() == []
    assert converge(host, [web(text="two", environment={"A": "c"})]) == {}


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    import time

    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


@pytest.fixture
def below_run(tmp_path: Path) -> Iterator[Path]:
    """A directory that is not there yet, and no mount any more when the test is over."""
    path = tmp_path / "run" / "netns"
    yield path
    while mounts.shared(path) is not None:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_shared_mount_is_made_and_made_again_after_a_boot(host: Host, below_run: Path) -> None:
    spec = idle(
        "a_test_shared", user="0", capabilities=["SYS_ADMIN"], security=["apparmor=unconfined"], read_only=True,
        mounts=[{"type": "bind", "source": str(below_run), "target": "/run", "propagation": "shared",
                 "create": "shared"}],
    )  # fmt: skip
    assert failed(converge(host, [spec])) == []
    script = "busybox mkdir /run/a && busybox mount -t tmpfs a /run/a"
    code, _, error = host.engine.exec("a_test_shared", ["/bin/busybox", "sh", "-c", script])
    assert code == 0, error
    assert mounts.shared(below_run / "a") is not None, "what the container mounts there is seen on the host"
    subprocess.run(["umount", str(below_run / "a")], check=True)
    assert converge(host, [spec]) == {}
    (mounted,) = [line for line in mounts.MOUNTINFO.read_text().splitlines() if f" {below_run} " in line]
    assert "shared:" in mounted

    host.engine.kill("a_test_shared")
    host.engine.wait("a_test_shared", 5)
    subprocess.run(["umount", str(below_run)], check=True)
    (below_run / "a").rmdir()
    below_run.rmdir()
    with pytest.raises(EngineRefused):  # what the engine's own restart would meet after a boot
        host.engine.start("a_test_shared")
    outcome = heal(host, "a_test_shared")
    assert outcome["result"] == "healed", outcome
    assert mounts.shared(below_run) is True
