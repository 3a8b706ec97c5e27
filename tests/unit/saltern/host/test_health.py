"""Healthy is one thing everywhere, and waiting for it ends: with health, with a dead process, or in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saltern.host import health
from saltern.host.probes import Answer
from unit.saltern.host.fake_engine import IMAGES, FakeEngine, make_host, web

GOOD, BAD = Answer(True, "GET → 200"), Answer(False, "GET → connection refused")


def inspected(**state: Any) -> dict[str, Any]:
    return {"State": {"Running": True, "Status": "running", "ExitCode": 0, **state}, "RestartCount": 0}


@pytest.mark.parametrize(
    ("state", "spec", "answer", "ok"),
    [
        ({}, {"liveness": {"tcp": "x"}}, GOOD, True),
        ({}, {"liveness": {"tcp": "x"}}, BAD, False),
        ({}, {}, BAD, True),
        ({"Health": {"Status": "starting"}}, {}, GOOD, False),
        ({"Health": {"Status": "unhealthy"}}, {}, GOOD, False),
        ({"Health": {"Status": "healthy"}}, {"liveness": {"tcp": "x"}}, BAD, False),
        ({"Running": False, "Status": "exited"}, {}, GOOD, False),
        ({"Paused": True, "Status": "paused"}, {}, GOOD, False),
        ({"Restarting": True, "Status": "restarting"}, {}, GOOD, False),
    ],
)
def test_healthy(state: dict[str, Any], spec: dict[str, Any], answer: Answer, ok: bool) -> None:
    assert health.healthy(inspected(**state), spec, lambda check: answer).ok is ok


def test_readiness_decides_what_is_ready_and_liveness_what_must_live() -> None:
    spec = {"liveness": {"tcp": "live"}, "readiness": {"tcp": "ready"}}

    def probe(check: dict[str, Any]) -> Answer:
        return GOOD if check["tcp"] == "live" else BAD

    assert not health.healthy(inspected(), spec, probe).ok
    assert health.healthy(inspected(), spec, probe, live=True).ok


def test_a_probe_is_told_which_container_it_is_about() -> None:
    asked: list[dict[str, Any]] = []
    spec = {"name": "web", "liveness": {"connected": "10.0.0.11:5672"}}
    assert health.healthy(inspected(), spec, lambda check: asked.append(check) or GOOD).ok
    assert asked == [{"connected": "10.0.0.11:5672", "container": "web"}]


def started(tmp_path: Path, spec: dict[str, Any], **more: Any) -> tuple[Any, FakeEngine]:
    engine = FakeEngine()
    host = make_host(tmp_path, engine, **more)
    from saltern.host.compare import body_for

    engine.create("web", body_for(host, spec, IMAGES["saltern/web:1"]))
    engine.start("web")
    return host, engine


def test_waits_until_the_probe_passes(tmp_path: Path) -> None:
    answers = iter([BAD, BAD, GOOD, GOOD])
    host, _ = started(tmp_path, web(), probe=lambda check: next(answers))
    assert health.await_healthy(host, "web", web()).ok


def test_a_start_time_out_is_said_with_the_last_answer(tmp_path: Path) -> None:
    host, _ = started(tmp_path, web(), probe=lambda check: BAD)
    begin = host.clock()
    found = health.await_healthy(host, "web", web(start_timeout=7))
    assert (found.ok, found.why, found.probe) == (False, "not healthy after 7 s: does not answer", BAD.text)
    assert 7 <= host.clock() - begin < 9


def test_a_process_that_nobody_restarts_is_not_waited_for(tmp_path: Path) -> None:
    host, engine = started(tmp_path, web(restart="health"))
    engine.get("web")["State"].update(Status="exited", Running=False, ExitCode=3)
    begin = host.clock()
    found = health.await_healthy(host, "web", web(restart="health"))
    assert (found.ok, found.why) == (False, "exited, exit code 3")
    assert host.clock() == begin


def test_a_container_without_a_probe_must_stay_up_for_a_moment(tmp_path: Path) -> None:
    host, _ = started(tmp_path, web(liveness=None))
    begin = host.clock()
    assert health.await_healthy(host, "web", web(liveness=None)).ok
    assert host.clock() - begin >= health.SETTLE


def test_a_crash_loop_is_not_taken_for_health(tmp_path: Path) -> None:
    host, engine = started(tmp_path, web(liveness=None))

    def sleep(seconds: float) -> None:
        host.clock.time += seconds
        engine.get("web")["RestartCount"] += 1  # Docker started it again while we slept

    host.sleep = sleep
    found = health.await_healthy(host, "web", web(liveness=None))
    assert (found.ok, found.why) == (False, "not healthy after 5 s: it does not stay up")


def test_the_record_has_what_an_operator_needs_and_no_secret(tmp_path: Path) -> None:
    host, engine = started(tmp_path, web(), secrets=("hunter22",))
    engine.logs = lambda name, lines=20: ["cannot log in with hunter22"]  # type: ignore[method-assign]
    state = health.Health(False, "not healthy: hunter22", "GET http://x/?p=hunter22 → 500")
    record = health.failure(host, "web", web(), state, former="none", image="saltern/web:1")
    assert record == {
        "container": "web", "host": "ctl1", "image": "saltern/web:1", "exit_code": 0, "restarts": 0,
        "probe": "GET http://x/?p=******** → 500", "log": ["cannot log in with ********"], "former": "none",
        "message": "not healthy: ********",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-01-01T00:00:00.5Z", 1767225600.5),
        ("2026-01-01T00:00:00.123456789Z", 1767225600.123456),
        ("2026-01-01T01:00:00+01:00", 1767225600.0),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("soon", None),
    ],
)
def test_time_stamps(stamp: str | None, seconds: float | None) -> None:
    assert health.epoch(stamp) == seconds
