"""The loop around the state machine: a recorded stream of Docker events, threads that fail, files that are broken."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import EngineUnavailable
from saltern.host.store import Store
from saltern.host.watchloop import Loop

BOOT = "b00tb00t-1"


class FakeEngine:
    """An engine whose containers are a dict and whose events come from a queue; ``None`` ends the stream."""

    def __init__(self) -> None:
        self.containers_now: dict[str, dict[str, Any]] = {}
        self.stream: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.since: list[float] = []
        self.away = False

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _check(self) -> None:
        if self.away:
            raise EngineUnavailable("no engine")

    def containers(self, cloud: str) -> list[dict[str, Any]]:
        self._check()
        return [
            {"Names": [f"/{name}"], "State": state["Status"], "Labels": {"saltern.cloud": cloud}}
            for name, state in self.containers_now.items()
        ]

    def inspect(self, name: str) -> dict[str, Any] | None:
        self._check()
        state = self.containers_now.get(name)
        return {"Name": f"/{name}", "State": state} if state else None

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": reference}

    def events(self, since: float, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._check()
        self.since.append(since)
        while (event := self.stream.get()) is not None:
            yield event

    def say(self, action: str, name: str, at: float, **attributes: str) -> None:
        actor = {"Attributes": {"name": name, **attributes}}
        self.stream.put({"Type": "container", "Action": action, "Actor": actor, "timeNano": int(at * 1e9)})


class Station:
    def __init__(self, root: Path, engine: FakeEngine, heal: Callable[..., Any]) -> None:
        self.fired: list[tuple[str, dict[str, Any]]] = []
        self.loop = Loop(
            Store(root), lambda: engine, heal, lambda tag, data: self.fired.append((tag, data)), lambda: True,
            host="ctl1", boot_id=BOOT,
        )  # type: ignore[arg-type,return-value]  # fmt: skip

    def turn(self, until: Callable[[], Any]) -> None:
        end = time.monotonic() + 20
        while not until():
            assert time.monotonic() < end, self.fired
            self.loop.step(0.02)

    def kinds(self) -> list[str]:
        return [tag.rsplit("/", 1)[1] for tag, _ in self.fired]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    document = {"spec": {"cloud": "test", "restart": "health"}, "digest": "1:aa", "image_id": "x", "state": "running"}
    store.desired.put("db", document)
    store.health.put("settings", {"patience": 0.0})
    return store


@pytest.fixture
def station(tmp_path: Path, engine: FakeEngine, store: Store) -> Iterator[Station]:
    healed: list[str] = []

    def heal(name: str, started: str | None) -> dict[str, Any]:
        healed.append(name)
        if len(healed) == 1:
            raise RuntimeError("a bug")
        engine.containers_now[name] = {"Status": "running", "StartedAt": f"t{len(healed)}"}
        return {"result": "healed", "why": "started"}

    engine.containers_now["db"] = {"Status": "running", "StartedAt": "t0"}
    station = Station(tmp_path, engine, heal)
    station.turn(lambda: engine.since and station.loop.watch.tracks["db"].healthy)
    yield station
    engine.stream.put(None)
    station.loop.close()


def test_a_heal_that_breaks_is_a_failed_heal(station: Station, engine: FakeEngine) -> None:
    engine.containers_now["db"] = {"Status": "exited", "ExitCode": 1}
    engine.say("die", "db", time.time(), exitCode="1")
    station.turn(lambda: station.kinds().count("healed") == 2)
    results = [data["result"] for tag, data in station.fired if tag.endswith("/healed")]
    assert results == ["failed", "healed"]


def test_the_stream_resumes_where_it_ended(station: Station, engine: FakeEngine, store: Store) -> None:
    at = time.time() + 1
    engine.containers_now["db"] = {"Status": "exited", "ExitCode": 1}
    engine.say("die", "db", at, exitCode="1")
    engine.stream.put(None)
    station.turn(lambda: len(engine.since) == 2 and "failed" in station.kinds())
    assert engine.since[1] == pytest.approx(at, abs=1e-5)
    station.turn(lambda: (store.health.get("cursor") or {}).get("since"))
    assert store.health.get("cursor") == {"since": pytest.approx(at, abs=1e-5), "boot_id": BOOT}


def test_an_event_that_is_sent_again_is_dropped(station: Station, engine: FakeEngine) -> None:
    at = time.time() + 1
    for _ in range(3):
        engine.say("kill", "db", at, signal="9")
    engine.say("kill", "db", at + 1, signal="15")
    station.turn(lambda: station.loop.watch.tracks["db"].signal == "15")


def test_an_engine_that_went_away_is_found_again(station: Station, engine: FakeEngine) -> None:
    engine.away = True
    engine.stream.put(None)
    station.loop.watch._list_due = 0
    station.turn(lambda: not station.loop.watch.engine_up)
    engine.away = False
    station.turn(lambda: station.loop.watch.engine_up and len(engine.since) == 2)
    assert "failed" not in station.kinds()


def test_rubbish_in_the_stream_is_passed_over(station: Station, engine: FakeEngine) -> None:
    engine.stream.put({"Type": "container"})
    engine.stream.put({"Actor": {"Attributes": {"name": "db"}}, "Action": "die", "timeNano": int(time.time() * 1e9)})
    engine.say("die", "unknown", time.time() + 1, exitCode="x")
    station.turn(lambda: station.loop._cursor > time.time() + 0.5)


@pytest.mark.parametrize("broken", ["backoff.json", "cursor.json", "settings.json", "holds/db.json"])
def test_broken_files_stop_nothing(tmp_path: Path, engine: FakeEngine, store: Store, broken: str) -> None:
    path = store.health.directory / broken
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"cut')
    station = Station(tmp_path, engine, lambda name, started: {"result": "healed"})
    station.turn(lambda: "failed" in station.kinds())
    engine.stream.put(None)
    station.loop.close()


def test_a_broken_spec_keeps_its_former_content(station: Station, store: Store) -> None:
    (store.desired.directory / "db.json").write_text("rubbish")
    (store.desired.directory / "new.json").write_text("[]")
    station.loop.step(0.01)
    assert list(station.loop.watch.tracks) == ["db"]


def test_a_cursor_of_another_boot_is_not_used(tmp_path: Path, engine: FakeEngine, store: Store) -> None:
    store.health.put("cursor", {"since": 5.0, "boot_id": "another"})
    before = time.time()
    assert Station(tmp_path, engine, lambda *_: {}).loop._cursor >= before
    store.health.put("cursor", {"since": 5.0, "boot_id": BOOT})
    assert Station(tmp_path, engine, lambda *_: {}).loop._cursor == 5.0


def test_backoff_outlives_the_engine(tmp_path: Path, engine: FakeEngine, store: Store) -> None:
    store.health.put("backoff", {"db": {"attempts": 5, "last_heal": time.time(), "spec": "1:aa"}})
    station = Station(tmp_path, engine, lambda *_: {})
    station.turn(lambda: "crashloop" in station.kinds())
    engine.stream.put(None)
    station.loop.close()


def test_nothing_deployed_yet_is_waited_out(tmp_path: Path, engine: FakeEngine) -> None:
    station = Station(tmp_path / "empty", engine, lambda *_: {})
    station.turn(lambda: "snapshot" in station.kinds())
    assert station.fired[0][1]["containers"] == {} and engine.since == []
    station.loop.close()
