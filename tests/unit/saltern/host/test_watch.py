"""The health engine's state machine on a fake host with a fake clock."""

from __future__ import annotations

import itertools

import pytest

from saltern.host.healing import Hold, Rules
from saltern.host.observe import Observation
from unit.saltern.host.watch_fakes import Bench, committed

LIVE = {"liveness": {"http": "http://127.0.0.1:1/", "interval": 5, "timeout": 1, "failures": 3}}


@pytest.fixture
def bench() -> Bench:
    return Bench(db=committed("health"))


def test_a_killed_container_is_reported_and_healed_alone_after_patience(bench: Bench) -> None:
    bench.event("kill", "db", signal="9")
    bench.die("db")
    failed = bench.data("failed")
    assert failed["reason"] == "died" and failed["exit_code"] == 137 and failed["signal"] == "9"
    assert failed["event"].startswith("01234567-db-") and failed["restart"] == "health"
    bench.pass_time(0.9)
    assert bench.hands.heals == []
    bench.pass_time(0.2)
    assert bench.hands.heals == [("db", failed["event"])]
    bench.heal("db")
    bench.pass_time(1.1)
    assert bench.kinds() == ["failed", "healed", "healthy"]
    assert bench.data("healed")["by"] == "alone" and bench.data("healed")["event"] == failed["event"]
    assert bench.data("healthy")["event"] == failed["event"]


def test_an_order_that_healed_leaves_nothing_to_do(bench: Bench) -> None:
    bench.die("db")
    bench.now += 0.2
    bench.start("db")
    bench.pass_time(10)
    assert bench.hands.heals == []
    assert bench.kinds() == ["failed", "healthy"]


def test_an_order_at_work_is_waited_for(bench: Bench) -> None:
    bench.die("db")
    bench.world.locked.add("db")
    bench.pass_time(5)
    assert bench.hands.heals == []
    bench.run("db")
    bench.event("start", "db")
    bench.world.locked.clear()
    bench.pass_time(2)
    assert bench.hands.heals == [] and bench.kinds() == ["failed", "healthy"]


def test_a_master_known_to_be_away_is_not_waited_for(bench: Bench) -> None:
    bench.world.master = False
    bench.die("db")
    assert len(bench.hands.heals) == 1


def test_removed_is_one_failure_with_died(bench: Bench) -> None:
    bench.die("db", tick=False)
    del bench.world.containers["db"]
    bench.event("destroy", "db")
    bench.watch.tick(bench.now)
    assert bench.kinds() == ["failed"]
    bench.pass_time(1.1)
    assert len(bench.hands.heals) == 1


def test_removed_without_any_event_is_seen_by_the_list(bench: Bench) -> None:
    del bench.world.containers["db"]
    bench.pass_time(31)
    assert bench.data("failed")["reason"] == "removed"


def test_image_gone_waits_for_the_image(bench: Bench) -> None:
    bench.world.images.clear()
    del bench.world.containers["db"]
    bench.event("destroy", "db")
    bench.pass_time(100)
    assert bench.data("failed")["reason"] == "image_gone" and bench.hands.heals == []
    bench.world.images.add("sha256:1")
    bench.pass_time(31)
    assert len(bench.hands.heals) == 1


def test_what_docker_mends_is_recorded_without_an_order() -> None:
    bench = Bench(api=committed("engine"))
    bench.die("api", code=1, state="restarting")
    bench.now += 0.2
    bench.start("api")
    bench.pass_time(40)
    assert bench.kinds() == ["mended"] and bench.data("mended")["exit_code"] == 1
    assert bench.hands.heals == []


def test_docker_kill_of_a_restart_engine_container_is_a_failure() -> None:
    bench = Bench(api=committed("engine"))
    bench.die("api")
    assert bench.kinds() == ["failed"]


def test_docker_in_a_loop_is_said_once() -> None:
    bench = Bench(api=committed("engine"))
    for _ in range(12):
        bench.die("api", code=1, state="restarting")
        bench.now += 1
        bench.start("api")
        bench.now += 0.5
    assert bench.kinds() == ["mended"] * 5 + ["failed", "crashloop"]
    assert bench.data("failed")["reason"] == "crashloop"
    bench.pass_time(40)
    assert bench.kinds()[-1] == "healthy"


def test_restart_none_is_reported_and_never_healed() -> None:
    bench = Bench(once=committed("none"))
    bench.world.master = False
    bench.die("once")
    bench.pass_time(200)
    assert bench.kinds() == ["failed"] and bench.hands.heals == []


def test_a_planned_stop_is_no_failure(bench: Bench) -> None:
    bench.world.locked.add("db")
    bench.die("db")
    bench.pass_time(60)
    assert bench.kinds() == ["planned"]
    bench.run("db")
    bench.event("start", "db")
    bench.world.locked.clear()
    bench.pass_time(60)
    assert bench.kinds() == ["planned"] and bench.hands.heals == []


def test_a_lock_that_died_with_its_holder_leaves_a_failure(bench: Bench) -> None:
    bench.world.locked.add("db")
    bench.die("db")
    bench.world.locked.clear()
    bench.pass_time(2)
    assert bench.kinds() == ["planned", "failed"] and len(bench.hands.heals) == 1


def test_desired_stopped_is_no_failure(bench: Bench) -> None:
    bench.world.change(db={**committed("health"), "state": "stopped"})
    bench.die("db")
    bench.pass_time(60)
    assert bench.kinds() == [] and bench.hands.heals == []


def test_a_deleted_spec_ends_the_watch(bench: Bench) -> None:
    bench.world.change(db=None)
    bench.die("db")
    bench.pass_time(60)
    assert bench.kinds() == [] and bench.watch.snapshot()["unknown"] == ["db"]


def test_crashloop_after_five_heals_with_growing_gaps(bench: Bench) -> None:
    heals = []
    bench.world.master = False
    for _ in range(8):
        bench.die("db", code=1)
        for _ in range(200):
            if bench.hands.heals:
                break
            bench.pass_time(0.1)
        if not bench.hands.heals:
            break
        bench.hands.heals.clear()
        heals.append(bench.now)
        bench.heal("db")
        bench.pass_time(0.05)
    assert len(heals) == 5
    gaps = [b - a for a, b in itertools.pairwise(heals)]
    assert [round(g) for g in gaps] == [1, 2, 4, 8]
    assert bench.kinds().count("crashloop") == 1 and bench.kinds()[-1] == "crashloop"
    assert bench.watch.snapshot()["containers"]["db"]["crashloop"]


def test_reset_ends_a_crashloop(bench: Bench) -> None:
    test_crashloop_after_five_heals_with_growing_gaps(bench)
    bench.world.cleared.append("db")
    bench.pass_time(0.1)
    assert bench.hands.heals
    bench.heal("db")
    bench.pass_time(2)
    assert bench.kinds()[-1] == "healthy" and not bench.watch.tracks["db"].backoff.crashloop


def test_an_operator_who_mends_it_ends_a_crashloop_after_a_while(bench: Bench) -> None:
    test_crashloop_after_five_heals_with_growing_gaps(bench)
    bench.start("db")
    bench.pass_time(20)
    assert bench.kinds()[-1] == "crashloop"
    bench.pass_time(20)
    assert bench.kinds()[-1] == "healthy" and bench.hands.remembered == {}


def test_backoff_is_remembered(bench: Bench) -> None:
    bench.world.master = False
    bench.die("db")
    bench.heal("db")
    assert bench.hands.remembered["db"].attempts == 1
    bench.pass_time(35)
    assert bench.hands.remembered == {}


def test_a_silent_service_is_unhealthy_from_its_first_failed_probe() -> None:
    bench = Bench(api=committed("engine", **LIVE))
    begin = bench.now
    bench.pass_time(16, answers=False)
    failed = bench.data("failed")
    assert failed["reason"] == "unhealthy" and failed["probe"] == "GET / → test"
    assert begin <= failed["died_at"] <= begin + 5.1
    assert len(bench.hands.heals) == 1
    bench.heal("api")
    bench.pass_time(1)
    assert bench.kinds() == ["failed", "healed", "healthy"]


def test_one_failed_probe_is_no_failure() -> None:
    bench = Bench(api=committed("engine", **LIVE))
    for _ in range(10):
        bench.pass_time(5.0, answers=False)
        bench.pass_time(5.1, answers=True)
    assert bench.kinds() == []


def test_a_service_that_answers_again_before_anybody_acted_is_left_alone() -> None:
    bench = Bench(api=committed("engine", **LIVE))
    bench.world.settings = Rules(patience=60)
    bench.pass_time(16, answers=False)
    bench.pass_time(6, answers=True)
    assert bench.kinds() == ["failed", "healthy"] and bench.hands.heals == []


def test_never_healthy_after_its_start_is_a_failure_when_start_timeout_is_over() -> None:
    bench = Bench(api=committed("engine", start_timeout=10, **LIVE))
    bench.die("api", code=1, state="restarting")
    bench.start("api")
    bench.pass_time(9, answers=False)
    assert bench.kinds() == ["mended"]
    bench.pass_time(2, answers=False)
    assert bench.kinds() == ["mended", "failed"]
    assert "not healthy in 10 s" in bench.data("failed")["probe"]


def test_a_failing_readiness_neither_restarts_nor_looks_healthy() -> None:
    bench = Bench(db=committed("health", readiness={"tcp": "127.0.0.1:1", "interval": 2, "failures": 2}))
    bench.pass_time(60, answers=False)
    assert bench.kinds() == [] and bench.hands.heals == []
    assert bench.watch.snapshot()["containers"]["db"]["healthy"] is False
    bench.pass_time(4, answers=True)
    assert bench.watch.snapshot()["containers"]["db"]["healthy"] is True


def test_answers_of_a_former_process_are_dropped() -> None:
    bench = Bench(api=committed("engine", **LIVE))
    old = bench.watch.tracks["api"].generation
    bench.die("api", state="restarting")
    bench.start("api")
    for _ in range(5):
        bench.watch.answered("api", old, "liveness", False, "late", bench.now)
    assert bench.watch.tracks["api"].alive


def test_dockers_own_health_counts() -> None:
    bench = Bench(api=committed("engine"))
    bench.run("api", health="unhealthy")
    bench.event("health_status", "api")
    assert bench.data("failed")["reason"] == "unhealthy"


def test_a_hold_is_respected_and_said_once(bench: Bench) -> None:
    bench.world.holds["db"] = Hold(bench.now + 20, "mariadb is not healthy")
    bench.die("db")
    bench.pass_time(20.5)
    assert bench.hands.heals == [] and bench.kinds() == ["failed", "held"]
    bench.pass_time(1)
    assert len(bench.hands.heals) == 1


def test_a_failed_heal_backs_off(bench: Bench) -> None:
    bench.world.master = False
    bench.die("db")
    for attempt in range(1, 5):
        assert len(bench.hands.heals) == attempt
        bench.heal("db", "failed")
        bench.pass_time(2 ** (attempt - 1) + 0.1)
    bench.heal("db", "failed")
    bench.pass_time(300)
    assert len(bench.hands.heals) == 5 and bench.kinds()[-1] == "crashloop"


def test_a_refused_heal_is_tried_again_later_and_does_not_count(bench: Bench) -> None:
    bench.world.master = False
    bench.die("db")
    bench.heal("db", "refused")
    bench.pass_time(29)
    assert len(bench.hands.heals) == 1
    bench.pass_time(2)
    assert len(bench.hands.heals) == 2 and not bench.watch.tracks["db"].backoff.attempts


def test_an_engine_that_is_away_is_no_failure_of_its_containers(bench: Bench) -> None:
    bench.world.up = False
    bench.pass_time(100)
    assert bench.kinds() == []
    assert bench.hands.fired[-1][2]["engine"] == "unavailable"
    bench.world.up = True
    bench.pass_time(5)
    assert bench.hands.fired[-1][2]["engine"] == "up" and bench.kinds() == []


def test_failures_found_at_the_engines_start_are_healed() -> None:
    bench = Bench()
    bench.world.change(db=committed("health"))
    bench.pass_time(3)
    assert bench.data("failed")["reason"] == "removed" and len(bench.hands.heals) == 1


@pytest.mark.parametrize("state", ["exited", "created"])
@pytest.mark.parametrize("restart", ["engine", "health"])
def test_what_docker_could_not_start_at_a_boot_is_healed(state: str, restart: str) -> None:
    """A bind mount's source below /run is gone then: Docker tries once, whatever the restart policy, and leaves it."""
    bench = Bench()
    bench.world.containers["db"] = Observation("db", state, exit_code=128, started="before the boot")
    bench.world.change(db=committed(restart))
    bench.pass_time(10)
    assert bench.kinds() == ["failed"]
    assert bench.data("failed")["reason"] == "died"
    assert len(bench.hands.heals) == 1
    bench.heal("db")
    bench.pass_time(10)
    assert bench.kinds()[-1] == "healthy"


def test_snapshots_come_on_change_and_every_five_minutes(bench: Bench) -> None:
    bench.pass_time(601)
    assert 1 <= len(bench.hands.fired) <= 3
    bench.hands.fired.clear()
    bench.die("db")
    bench.pass_time(2.1)
    snapshots = [data for kind, _, data in bench.hands.fired if kind == "snapshot"]
    assert len(snapshots) == 1 and snapshots[0]["containers"]["db"]["healthy"] is False


def test_healing_that_is_off_only_reports(bench: Bench) -> None:
    bench.world.settings = Rules(enabled=False)
    bench.world.master = False
    bench.die("db")
    bench.pass_time(100)
    assert bench.kinds() == ["failed"] and bench.hands.heals == []
