"""The recovery engine from event to order, on disk but without Salt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saltern.contract import events
from saltern.plan import lock
from saltern.recovery.decide import decide
from saltern.recovery.evidence import evidence_from, gather, settings_from
from saltern.recovery.state import fold
from unit.saltern.recovery.scene import DIGEST, Master, plan


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


def test_a_failure_is_answered_with_an_order_to_its_host(master: Master) -> None:
    event = master.fail("ctl1", "keystone")
    assert master.calls() == [("ctl1", "heal", "keystone")]
    order = master.orders[0]
    assert order.kwargs == {"name": "keystone", "order": order.id, "event": event}
    tag, said = master.fired[-1]
    assert tag == events.heal_tag("ctl1", "keystone")
    assert (said["decision"], said["rule"], said["event"], said["order"]) == (
        "heal",
        "single container",
        event,
        order.id,
    )


def test_the_same_event_on_both_ways_is_one_order(master: Master) -> None:
    event = master.failure("ctl1", "keystone")
    assert master.recoverer.queue.put(event)
    master.recoverer.tick(master.now)
    master.recoverer.event(events.health_tag("ctl1", "keystone", "failed"), event, "ctl1", master.now)
    assert not master.recoverer.queue.put(event)
    assert len(master.orders) == 1


def test_what_waits_in_the_queue_outlives_the_engine(master: Master) -> None:
    master.recoverer.queue.put(master.failure("ctl1", "mariadb"))
    master.start()
    master.recoverer.tick(master.now)
    assert master.calls() == [("ctl1", "heal", "mariadb")]


def test_a_minion_speaks_for_itself_only(master: Master) -> None:
    tag = events.health_tag("ctl1", "keystone", "failed")
    master.recoverer.event(tag, master.failure("ctl1", "keystone"), "ctl2", master.now)
    assert master.orders == [] and master.decisions() == []


@pytest.mark.parametrize("data", [None, "text", [], {"event": "../../etc"}, {"event": None}, {"event": "x" * 999}])
def test_a_bad_event_harms_nobody(master: Master, data: object) -> None:
    master.recoverer.event("openstack/health/ctl1/keystone/failed", data, "ctl1", master.now)
    master.recoverer.event("openstack/health/ctl1/snapshot", data, "ctl1", master.now)
    assert master.orders == []
    master.fail("ctl1", "keystone")
    assert len(master.orders) == 1


def test_the_answer_to_an_order_is_told_and_ends_the_lease(master: Master) -> None:
    event = master.fail("ctl1", "keystone")
    order = master.orders[0]
    assert master.recoverer.leases.current("ctl1/keystone", master.now)
    master.recoverer.returned("job 1", {"result": "healed", "why": "started again", "seconds": 0.2}, master.now)
    tag, said = master.fired[-1]
    assert tag.endswith("ctl1/keystone/healed")
    assert (said["by"], said["event"], said["result"]) == (f"order {order.id}", event, "healed")
    assert master.recoverer.leases.current("ctl1/keystone", master.now) is None


def test_a_dead_database_does_not_restart_what_needs_it(master: Master) -> None:
    master.fail("ctl1", "mariadb")
    master.fail("ctl2", "keystone")
    assert master.calls() == [("ctl1", "heal", "mariadb"), ("ctl2", "hold", "keystone")]
    assert "mariadb" in master.orders[-1].kwargs["why"]
    master.now += 4
    master.say("ctl1", "mariadb", "healthy", event="x", seconds=4)
    master.recoverer.tick(master.now)
    assert master.calls()[-1] == ("ctl2", "heal", "keystone")


def test_a_dead_cache_holds_nobody(master: Master) -> None:
    master.fail("ctl1", "memcached")
    master.fail("ctl2", "keystone")
    assert master.calls()[-1] == ("ctl2", "heal", "keystone")


def test_a_held_failure_is_looked_at_again_also_after_a_restart(master: Master) -> None:
    not_before = master.now + 8
    master.fail("ctl1", "keystone", attempts=4, not_before=not_before)
    assert master.decisions() == [("hold", "back-off")]
    assert master.orders[0].kwargs["until"] == not_before
    master.start()
    master.pass_time(7)
    assert len(master.orders) == 1
    master.pass_time(2)
    assert master.calls()[-1] == ("ctl1", "heal", "keystone")


def test_a_failure_that_is_over_needs_no_second_look(master: Master) -> None:
    event = master.fail("ctl1", "keystone", attempts=1, not_before=master.now + 5)
    master.say("ctl1", "keystone", "healthy", event=event, seconds=1)
    master.pass_time(10)
    assert master.calls() == [("ctl1", "hold", "keystone")]


def test_an_event_from_an_outbox_waits_for_what_came_after_it(master: Master) -> None:
    event = master.fail("ctl1", "keystone", late=True)
    master.say("ctl1", "keystone", "healed", event=event, by="alone", result="healed", late=True)
    master.say("ctl1", "keystone", "healthy", event=event, seconds=1, late=True)
    master.pass_time(10)
    assert master.orders == []
    master.fail("ctl1", "keystone", late=True)
    master.pass_time(4)
    assert master.calls() == [("ctl1", "heal", "keystone")]


def test_a_repeated_event_counts_once(master: Master) -> None:
    for _ in range(3):
        master.say("ctl1", "keystone", "healed", event="x", by="alone", result="healed")
    assert master.recoverer.state.heals[("ctl1", "keystone")] == [master.now]


def test_a_repeated_event_counts_once_over_a_restart_too(master: Master) -> None:
    master.say("ctl1", "keystone", "healed", event="x", by="alone", result="healed")
    master.start()
    master.say("ctl1", "keystone", "healed", event="x", by="alone", result="healed")
    assert master.recoverer.state.heals[("ctl1", "keystone")] == [master.now]


@pytest.mark.parametrize(
    ("container", "data", "decision"),
    [
        ("nobody", {}, ("report", "unknown container")),
        ("mariadb", {"attempts": 5}, ("report", "crash loop")),
        ("keystone", {"reason": "crashloop"}, ("report", "crash loop")),
        ("keystone", {"reason": "image_gone"}, ("report", "image gone")),
        ("keystone", {"restart": "none"}, ("report", "restart: none")),
    ],
)
def test_what_is_only_reported(master: Master, container: str, data: dict, decision: tuple[str, str]) -> None:
    master.fail("ctl1", container, **data)
    assert master.decisions() == [decision] and master.orders == []


def test_an_unknown_host_is_only_reported(master: Master) -> None:
    master.fail("elsewhere", "keystone")
    assert master.decisions() == [("report", "unknown container")]


def test_paused_holds_until_resumed(master: Master) -> None:
    (master.root / "heal").mkdir(exist_ok=True)
    (master.root / "heal" / "settings.json").write_text(json.dumps({"paused": True}))
    master.fail("ctl1", "keystone")
    assert master.decisions() == [("hold", "paused")]
    (master.root / "heal" / "settings.json").write_text(json.dumps({"paused": False}))
    master.recoverer.resumed(master.now)
    master.recoverer.tick(master.now)
    assert master.calls()[-1] == ("ctl1", "heal", "keystone")


def test_a_dry_run_says_what_it_would_do(tmp_path: Path) -> None:
    master = Master(tmp_path, dry_run=True)
    master.fail("ctl1", "keystone")
    assert master.decisions() == [("hold", "dry run")]
    assert master.calls() == [("ctl1", "hold", "keystone"), ("ctl1", "heal", "keystone")]
    assert master.orders[1].kwargs["dry_run"] is True


def test_healing_that_is_off_holds(tmp_path: Path) -> None:
    master = Master(tmp_path, enabled=False)
    master.fail("ctl1", "keystone")
    assert master.decisions() == [("hold", "healing is off")]


def test_the_budget_ends_slow_flapping_and_a_reset_begins_anew(tmp_path: Path) -> None:
    master = Master(tmp_path, budget=3)
    for _ in range(4):
        event = master.fail("ctl1", "keystone")
        master.recoverer.returned(f"job {len(master.orders)}", {"result": "healed"}, master.now)
        master.say("ctl1", "keystone", "healthy", event=event, seconds=1)
        master.now += 40
    assert [decision for decision, _ in master.decisions()] == ["heal", "heal", "heal", "hold"]
    master.fail("ctl1", "keystone")
    master.recoverer.reset("ctl1", "keystone", master.now)
    master.recoverer.tick(master.now)
    assert master.calls()[-1] == ("ctl1", "heal", "keystone")


def test_the_open_run_covers_what_its_steps_work_on(master: Master) -> None:
    holder = lock.Holder("20260101-000000-abcd", 1, DIGEST, "deploy")
    directory = master.root / "runs" / holder.run
    directory.mkdir(parents=True)
    (directory / "journal.jsonl").write_text('{"event": "step_start", "step": "start keystone"}\n')
    run_lock = lock.RunLock(master.root)
    run_lock.take(holder)
    try:
        master.fail("ctl1", "keystone")
        master.fail("ctl1", "memcached")
        assert master.decisions() == [("hold", "open run"), ("heal", "single container")]
    finally:
        run_lock.close(holder.run)
        lock.release()
    master.recoverer.run_ended(master.now)
    master.recoverer.tick(master.now)
    assert master.calls()[-1] == ("ctl1", "heal", "keystone")


def test_an_order_that_cannot_be_sent_is_written_down(master: Master) -> None:
    master.deaf = True
    master.fail("ctl1", "keystone")
    assert "no minion" in master.recoverer.history.read()[-1]["error"]


def test_the_sweep_finds_what_no_event_told(master: Master) -> None:
    master.snapshot("ctl1", mariadb=False, memcached=True, keystone=True)
    master.snapshot("ctl2", keystone=True, once=True)
    master.pass_time(119, step=10)
    assert master.orders == []
    master.pass_time(61, step=10)
    assert master.calls() == [("ctl1", "heal", "mariadb")]
    assert [decision for decision in master.decisions() if decision[1] != "single container"] == []


def test_a_silent_host_is_reported_once_and_never_healed(master: Master) -> None:
    master.snapshot("ctl1", mariadb=True, memcached=True, keystone=True)
    master.pass_time(60, step=10)
    assert master.decisions() == [("report", "silent host")]
    assert master.fired[-1][1]["host"] == "ctl2"
    master.pass_time(1200, step=30)
    assert master.decisions() == [("report", "silent host")] * 2 and master.orders == []
    master.snapshot("ctl1", 2, mariadb=True, memcached=True, keystone=True)
    assert (master.root / "reports" / "ctl1.json").exists()


def test_a_container_that_a_host_does_not_know_is_reported_once(master: Master) -> None:
    master.snapshot("ctl1", mariadb=True, memcached=True)
    master.snapshot("ctl2", keystone=True, once=True)
    master.pass_time(300, step=10)
    assert master.decisions() == [("report", "missing container")]


def test_history_can_be_replayed(master: Master) -> None:
    """Each decision follows from its journalled evidence, and the evidence from the journalled events."""
    master.fail("ctl1", "mariadb")
    master.fail("ctl2", "keystone")
    master.fail("ctl2", "once")
    master.now += 3
    master.say("ctl1", "mariadb", "healed", event="x", by="alone", result="healed")
    master.say("ctl1", "mariadb", "healthy", event="x", seconds=3)
    master.recoverer.tick(master.now)
    master.fail("ctl1", "keystone", attempts=2, not_before=master.now + 2)
    lines = master.recoverer.history.read()
    decided = [(index, line) for index, line in enumerate(lines) if line["kind"] == "decision"]
    assert len(decided) == 5
    for index, line in decided:
        evidence = evidence_from(line["evidence"])
        again = decide(evidence)
        assert (again.kind, again.rule, again.why, again.until) == (
            line["decision"], line["rule"], line["why"], line["until"],
        )  # fmt: skip
        state = fold(lines[:index])
        gathered = gather(evidence.event, state, plan(), settings_from({}), None, evidence.now)
        assert json.loads(json.dumps(gathered.as_dict())) == line["evidence"]


def test_who_has_lately_run_containers(master: Master) -> None:
    assert not master.recoverer.lately_ran("ctl1", master.now)
    master.snapshot("ctl1", keystone=True)
    assert master.recoverer.lately_ran("ctl1", master.now)
    assert not master.recoverer.lately_ran("ctl1", master.now + 3600)
