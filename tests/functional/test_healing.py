"""The health engine on the real Docker Engine, without Salt: what is killed, removed or hangs comes back."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functional import tiny
from saltern.contract import events
from saltern.host import heal
from saltern.host.context import Host
from saltern.host.converge import converge
from saltern.host.engine import Engine
from saltern.host.lock import ContainerLock
from saltern.host.store import Store
from saltern.host.watchloop import Loop

pytestmark = pytest.mark.engine

CLOUD = f"b-test-{os.getpid()}"
IMAGE = f"b-test/tiny:{os.getpid()}"
NAME = f"b_test_{os.getpid()}"
PATIENT = 15.0


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        tiny.load(engine.api, IMAGE, {"etc/b-test": CLOUD}, ["CMD /bin/sleep 100000", "ENV PATH=/bin"])
        yield engine
        for item in engine.containers(CLOUD):
            engine.remove(item["Id"], force=True)
        engine.api.remove_image(IMAGE, force=True)


class Station:
    """A host with a health engine, and a master that can be there or not and listens."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine, self.store, self.master = engine, Store(root), True
        self.host = Host(engine, self.store, name="ctl1", cloud=CLOUD, model="m1")
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.arrived = threading.Condition()
        self.answer: Callable[[dict[str, Any]], None] | None = None
        self.begin()

    def begin(self) -> None:
        self.loop = Loop(
            self.store, Engine, self._heal, self._fire, lambda: self.master, host="ctl1", boot_id="b00tb00t-1"
        )
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.loop.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def _heal(self, name: str, started: str | None) -> dict[str, Any]:
        with Engine() as engine:
            return heal.heal(Host(engine, self.store, name="ctl1", cloud=CLOUD), name, started=started)

    def _fire(self, tag: str, data: dict[str, Any]) -> None:
        with self.arrived:
            self.heard.append((tag, data))
            self.arrived.notify_all()
        if self.answer is not None and tag.endswith("/failed"):
            threading.Thread(target=self.answer, args=(data,), daemon=True).start()

    def deploy(self, **spec: Any) -> None:
        """Deploy the one container and wait until the health engine found it healthy."""
        wanted = {
            "name": NAME, "service": "b", "cloud": CLOUD, "image": IMAGE, "restart": "health",
            "stop_timeout": 1, "start_timeout": 8, "limits": {"pids": 32}, **spec,
        }  # fmt: skip
        changes = converge(self.host, [wanted])
        assert not changes[NAME].get("failure"), changes
        self.until(lambda: NAME in self.loop.watch.tracks and self.loop.watch.tracks[NAME].healthy is True)

    def wait(self, kind: str, good: Callable[[dict[str, Any]], bool] = lambda data: True) -> dict[str, Any]:
        """Data of the first event of a kind that is good, waited for."""

        def found() -> dict[str, Any] | None:
            return next((d for tag, d in self.heard if tag.endswith(f"/{kind}") and good(d)), None)

        with self.arrived:
            assert self.arrived.wait_for(lambda: found() is not None, PATIENT), f"no {kind} in {self.kinds()}"
        return found() or {}

    def kinds(self) -> list[str]:
        kinds = [tag.rsplit("/", 1)[1] for tag, _ in self.heard]
        return [kind for kind in kinds if kind != "snapshot"]

    def pid(self) -> int:
        """Process of the container, 0 while there is none."""
        return int((self.engine.inspect(NAME) or {"State": {}})["State"].get("Pid") or 0)

    def forget(self) -> None:
        with self.arrived:
            self.heard.clear()

    def until(self, good: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENT
        while not good():
            assert time.monotonic() < end, self.kinds()
            time.sleep(0.05)


@pytest.fixture
def station(engine: Engine, tmp_path: Path) -> Iterator[Station]:
    station = Station(engine, tmp_path / "state")
    yield station
    station.end()
    for item in engine.containers(CLOUD):
        engine.remove(item["Id"], force=True)


def kill(engine: Engine, pid: int) -> None:
    engine.kill(NAME)


def remove(engine: Engine, pid: int) -> None:
    engine.remove(NAME, force=True)


def kill_process(engine: Engine, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("harm", [kill, remove, kill_process])
@pytest.mark.parametrize("master", [True, False], ids=["master silent", "master away"])
def test_healed_alone(station: Station, harm: Callable[[Engine, int], None], master: bool) -> None:
    station.deploy()
    station.forget()
    station.master = master
    before = station.pid()
    harm(station.engine, before)
    if master:
        failed = station.wait("failed")
        assert failed["reason"] in ("died", "removed") and failed["container"] == NAME
        healed = station.wait("healed")
        assert (healed["event"], healed["by"], healed["result"]) == (failed["event"], "alone", "healed")
        assert station.wait("healthy")["event"] == failed["event"]
    else:
        station.until(
            lambda: (station.engine.inspect(NAME) or {"State": {}})["State"].get("Pid") not in (0, before, None)
        )
        assert station.kinds() == []  # nothing is fired into the void
        station.until(lambda: station.loop.courier.waiting() >= 3)
        station.master = True
        assert station.wait("healthy")["late"] is True
        assert station.kinds() == ["failed", "healed", "healthy"]
        snapshot = station.wait("snapshot")
        assert snapshot["containers"][NAME]["healthy"] is True
    assert station.pid() != before


def test_an_order_in_time_leaves_nothing_to_do_alone(station: Station) -> None:
    station.deploy()
    station.forget()
    with Engine() as orders:
        host = Host(orders, station.store, name="ctl1", cloud=CLOUD)
        outcomes: list[dict[str, Any]] = []
        station.answer = lambda data: outcomes.append(heal.heal(host, data["container"], ordered=True))
        station.engine.kill(NAME)
        station.wait("healthy")
    assert outcomes[0]["result"] == "healed"
    assert station.kinds() == ["failed", "healthy"]


def test_a_hold_is_obeyed(station: Station) -> None:
    station.deploy()
    station.forget()
    heal.hold(station.host, NAME, time.time() + 3600, "the database is away", "order1")
    station.engine.kill(NAME)
    assert station.wait("held")["why"] == "the database is away"
    assert station.kinds() == ["failed", "held"]
    heal.hold(station.host, NAME, 0, "")
    station.loop.watch.tracks[NAME].failure.look_at = 0
    station.wait("healed")


def test_a_process_of_restart_engine_is_mended_by_docker(station: Station) -> None:
    station.deploy(restart="engine")
    station.forget()
    before = station.pid()
    os.kill(before, signal.SIGKILL)
    mended = station.wait("mended")
    assert mended["exit_code"] == 137 and mended["restarts"] == 1
    station.until(lambda: station.pid() not in (0, before))
    assert station.kinds() == ["mended"]
    assert NAME in (station.store.health.directory / "mended.jsonl").read_text()


def test_docker_kill_of_restart_engine_is_no_case_for_docker(station: Station) -> None:
    station.deploy(restart="engine")
    station.forget()
    station.engine.kill(NAME)
    failed = station.wait("failed")
    assert failed["signal"] == "9"
    station.wait("healed")


def test_a_service_that_does_not_answer_is_restarted(station: Station) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = ["/bin/sh", "-c", f"echo yes > /tmp/alive; exec httpd -f -p 127.0.0.1:{port} -h /tmp"]
    probe = {"http": f"http://127.0.0.1:{port}/alive", "interval": 0.3, "timeout": 1, "failures": 2}
    station.deploy(command=command, liveness=probe, writable=["/tmp"], restart="engine", start_timeout=30)
    station.forget()
    before = station.pid()
    code, _, _ = station.engine.exec(NAME, ["/bin/sh", "-c", "> /tmp/dead; /bin/busybox rm /tmp/alive"])
    assert code == 0
    failed = station.wait("failed")
    assert failed["reason"] == "unhealthy" and "404" in failed["probe"]
    assert station.wait("healed")["result"] == "healed"
    station.wait("healthy")
    assert station.pid() != before


def test_a_planned_stop_is_not_healed(station: Station) -> None:
    station.deploy()
    station.forget()
    with ContainerLock(station.store.locks, NAME, "stop"):
        station.engine.stop(NAME, 1)
        station.wait("planned")
        station.engine.start(NAME)
    station.until(lambda: not station.loop.watch.tracks[NAME].planned)
    assert station.kinds() == ["planned"]


def test_stop_by_the_model_is_not_healed_and_removal_ends_the_watch(station: Station) -> None:
    station.deploy()
    wanted = [dict(station.store.desired.get(NAME)["spec"])]
    station.forget()
    converge(station.host, wanted, mode="stop")
    station.wait("snapshot", lambda data: data["containers"][NAME]["state"] == "exited")
    converge(station.host, wanted, mode="destroy")
    station.wait("snapshot", lambda data: NAME not in data["containers"])
    assert set(station.kinds()) <= {"planned"}


def test_a_crash_loop_is_given_up_and_a_reset_tries_again(station: Station) -> None:
    station.deploy()
    station.master = True
    station.forget()
    station.loop.watch.tracks[NAME].backoff = station.loop.watch.tracks[NAME].backoff.healed(time.time()).of_spec("x")
    track = station.loop.watch.tracks[NAME]
    for _ in range(5):
        track.backoff = track.backoff.healed(0.0)
    station.engine.kill(NAME)
    crashloop = station.wait("crashloop")
    assert crashloop["event"] == station.wait("failed")["event"]
    assert (station.engine.inspect(NAME) or {})["State"]["Status"] == "exited"
    station.loop.world._resets.put(NAME, {"at": time.time()})
    station.wait("healed")


def test_what_died_while_no_health_engine_ran_is_found(station: Station) -> None:
    station.deploy()
    station.end()
    station.engine.kill(NAME)
    died = time.time()
    station.forget()
    station.begin()
    failed = station.wait("failed")
    assert failed["exit_code"] == 137 and failed["died_at"] <= died < failed["at"]
    station.wait("healthy")
    cursor = station.store.health.get("cursor")
    assert cursor and cursor["boot_id"] == "b00tb00t-1"


def test_tags_and_payloads_are_as_documented(station: Station) -> None:
    station.deploy()
    station.engine.kill(NAME)
    station.wait("healthy")
    for tag, data in station.heard:
        parsed = events.parse_health(tag)
        assert parsed is not None and parsed.host == data["host"] == "ctl1" and data["at"] > 0
        assert parsed.container == data.get("container")
        assert data["cloud"] == CLOUD or data["containers"] == {}  # nothing was committed yet


class Queue:
    """A message queue that takes connections, drops them and goes away as told."""

    def __init__(self) -> None:
        self.port = 0
        self.open: list[socket.socket] = []
        self.begin()

    def begin(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def end(self) -> None:
        """Like a queue that is stopped: nobody listens, all connections are closed."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self) -> None:
        while self.open:
            self.open.pop().close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if connection.recv(1):  # what only knocks says nothing
                self.open.append(connection)


@pytest.fixture
def message_queue() -> Iterator[Queue]:
    queue = Queue()
    yield queue
    queue.end()


def agent(port: int) -> dict[str, Any]:
    """A container with one connection. nc ends with it, the shell and sleep live on: a process that is deaf."""
    script = f"(echo hello; exec sleep 100000) | nc 127.0.0.1 {port}; exec sleep 100000"
    return {
        "command": ["/bin/sh", "-c", script],
        "process": "nc",  # there is a configuration, so a mount that tells whose a process is
        "liveness": {"connected": f"127.0.0.1:{port}", "interval": 0.3, "failures": 3},
    }


def test_what_lost_its_connection_while_the_queue_answers_is_replaced(station: Station, message_queue: Queue) -> None:
    station.deploy(**agent(message_queue.port))
    probing = station.loop.watch.tracks[NAME].probes["liveness"]
    station.until(lambda: probing.text == f"connected to 127.0.0.1:{message_queue.port}")
    station.forget()
    before = station.pid()

    message_queue.end()
    station.until(lambda: "not this container's fault" in probing.text)
    assert (station.pid(), station.kinds()) == (before, [])

    message_queue.begin()
    failed = station.wait("failed")
    assert (failed["reason"], failed["probe"]) == ("unhealthy", f"no connection to 127.0.0.1:{message_queue.port}")
    assert station.wait("healed")["result"] == "healed"
    station.wait("healthy")
    assert station.pid() not in (0, before) and len(message_queue.open) == 1


def test_a_dropped_connection_is_found_though_nothing_died(station: Station, message_queue: Queue) -> None:
    station.deploy(**agent(message_queue.port), pid_host=True, init=False)
    station.forget()
    station.answer = lambda failed: None
    before = station.pid()
    message_queue.drop()
    assert station.wait("failed")["reason"] == "unhealthy"
    station.wait("healthy")
    assert station.pid() not in (0, before)
