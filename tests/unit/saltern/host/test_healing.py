"""The rules of healing, without a container in sight."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltern.host import healing
from saltern.host.healing import Backoff, Case, Hold, Rules, act_alone, delay, failure_reason


@given(st.integers(min_value=-3, max_value=10_000))
def test_delay_doubles_up_to_a_minute(attempts: int) -> None:
    assert 0 <= delay(attempts) <= 60
    assert delay(attempts) <= delay(attempts + 1)
    assert delay(0) == 0 and delay(1) == 1 and delay(2) == 2


@given(st.lists(st.floats(min_value=0.01, max_value=29.9), min_size=5, max_size=20))
def test_heals_that_do_not_last_end_in_a_crashloop(lives: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for life in lives:
        backoff = backoff.failed(now).healed(now).healthy(now)
        now += life
    assert backoff.failed(now).crashloop


@given(st.lists(st.floats(min_value=30.1, max_value=9e4), min_size=1, max_size=30))
def test_heals_that_last_never_count(lives: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for life in lives:
        backoff = backoff.failed(now).healed(now).healthy(now)
        now += life
        backoff = backoff.failed(now)
        assert backoff.attempts == 0 and backoff.not_before() == 0


@given(st.integers(1, 4), st.floats(0, 1e9))
def test_the_next_heal_is_never_earlier_than_the_delay(attempts: int, now: float) -> None:
    backoff = replace(Backoff(), attempts=attempts, last_heal=now)
    assert backoff.not_before() == now + delay(attempts)


def test_a_new_spec_is_a_new_chance() -> None:
    backoff = Backoff(attempts=5, last_heal=1.0, spec="1:aa")
    assert backoff.of_spec("1:aa").crashloop
    assert not backoff.of_spec("1:bb").crashloop


def test_backoff_survives_the_disk_and_other_versions() -> None:
    backoff = Backoff(3, 7.0, None, "1:aa")
    assert healing.backoff_from({**backoff.as_dict(), "of another version": 1}) == backoff


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"state": None, "restart": "engine"}, "removed"),
        ({"state": None, "restart": "engine", "image_there": False}, "image_gone"),
        ({"state": "exited", "restart": "engine"}, "died"),
        ({"state": "exited", "restart": "none"}, "died"),
        ({"state": "dead", "restart": "health"}, "died"),
        ({"state": "created", "restart": "health"}, "died"),
        ({"state": "restarting", "restart": "engine"}, None),
        ({"state": "restarting", "restart": "health"}, "died"),
        ({"state": "removing", "restart": "health"}, None),
        ({"state": "running", "restart": "health"}, None),
        ({"state": "running", "restart": "health", "health": "starting"}, None),
        ({"state": "running", "restart": "engine", "health": "unhealthy"}, "unhealthy"),
        ({"state": "running", "restart": "engine", "alive": False}, "unhealthy"),
    ],
)
def test_what_counts_as_failed(seen: dict, reason: str | None) -> None:
    assert failure_reason(**{"health": None, **seen}) == reason


CASE = Case(reason="died", restart="health", reported_at=100.0)


@pytest.mark.parametrize(
    ("change", "now", "kind", "until"),
    [
        ({}, 100.0, "wait", 101.0),
        ({}, 101.0, "heal", 0),
        ({"connected": False}, 100.0, "heal", 0),
        ({"locked": True}, 105.0, "wait", 105.25),
        ({"restart": "none"}, 105.0, "leave", 0),
        ({"backoff": Backoff(5, 90.0)}, 105.0, "leave", 0),
        ({"backoff": Backoff(3, 99.0)}, 101.0, "wait", 104.0),
        ({"backoff": Backoff(3, 99.0)}, 104.0, "heal", 0),
        ({"backoff": Backoff(3, 99.0), "connected": False}, 103.0, "heal", 0),
        ({"hold": Hold(130.0, "the database is away")}, 105.0, "wait", 130.0),
        ({"hold": Hold(130.0, "the database is away")}, 130.0, "wait", 131.0),
        ({"hold": Hold(130.0, "the database is away")}, 131.0, "heal", 0),
        ({"hold": Hold(99.0, "an old one")}, 101.0, "heal", 0),
        ({"hold": Hold(130.0, "master went away"), "connected": False}, 105.0, "wait", 130.0),
        ({"reason": "image_gone"}, 105.0, "wait", 135.0),
    ],
)
def test_acting_alone(change: dict, now: float, kind: str, until: float) -> None:
    action = act_alone(replace(CASE, **change), Rules(patience=1.0), now)
    assert (action.kind, action.until if kind == "wait" else 0) == (kind, until)
    assert action.why


@pytest.mark.parametrize("rules", [Rules(enabled=False), Rules(dry_run=True)])
def test_healing_that_is_off_does_not_heal(rules: Rules) -> None:
    assert act_alone(replace(CASE, connected=False), rules, 500.0).kind == "wait"


def test_rules_have_defaults_and_ignore_what_they_do_not_know() -> None:
    assert healing.rules_from(None) == Rules()
    assert healing.rules_from({"patience": 3.0, "sweep": 60}) == Rules(patience=3.0)
