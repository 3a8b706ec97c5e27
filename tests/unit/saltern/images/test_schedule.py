"""Graphs: order, bounds, and that a failure blocks exactly what needs it."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from saltern.images.schedule import PlaceLost, Shared, critical, run_graph, simulate

NAMES = [f"n{i}" for i in range(8)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    return {
        name: sorted(draw(st.sets(st.sampled_from(NAMES[:i]), max_size=3))) if i else [] for i, name in enumerate(NAMES)
    }


def descendants(needs: dict[str, list[str]], name: str) -> set[str]:
    found = {name}
    for other, parents in needs.items():  # parents stand before children
        if found & set(parents):
            found.add(other)
    return found - {name}


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sets(st.sampled_from(NAMES), max_size=2), st.integers(1, 3))
def test_parents_first_and_failures_block_their_descendants_only(
    needs: dict[str, list[str]], failing: set[str], parallel: int
) -> None:
    order: list[str] = []
    lock = threading.Lock()

    def work(name: str) -> str:
        with lock:
            assert all(parent in order for parent in needs[name])
            if name in failing:
                raise ValueError(name)
            order.append(name)
        return name.upper()

    outcome = run_graph(needs, work, parallel=parallel)
    unreachable = set().union(*(descendants(needs, name) for name in failing)) if failing else set()
    assert set(outcome.done) == set(NAMES) - failing - unreachable
    assert set(outcome.failed) == failing - unreachable
    assert set(outcome.blocked) == unreachable
    assert all(outcome.done[name] == name.upper() for name in outcome.done)


def test_no_more_than_the_bound_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait()  # two are needed to go on, and a third would break the count
        with lock:
            running -= 1

    run_graph({name: [] for name in NAMES}, work, parallel=2)
    assert most == 2


def test_the_longest_chain_starts_first() -> None:
    needs = {"short": [], "long": [], "after": ["long"]}
    seconds = {"short": 5.0, "long": 3.0, "after": 10.0}
    assert critical(needs, seconds)["long"] == 13.0
    started: list[str] = []
    run_graph(needs, started.append, seconds=seconds, parallel=1)
    assert started[0] == "long"


def test_an_estimate_plays_the_schedule() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": []}
    seconds = {"a": 10.0, "b": 20.0, "c": 20.0, "d": 5.0}
    assert simulate(needs, seconds, parallel=2) == 30.0
    assert simulate(needs, seconds, parallel=1) == 55.0
    assert simulate(needs, seconds, parallel=2, running={"a": 4.0, "d": 1.0}) == 26.0
    assert simulate({"b": ["a"]}, seconds, running={"b": 50.0}) == 0.0
    assert simulate({}, {}) == 0.0


class LostPlace(PlaceLost):
    pass


@settings(max_examples=80, deadline=None)
@given(
    graphs(),
    st.sets(st.sampled_from(NAMES), max_size=4),
    st.dictionaries(st.sampled_from(["p", "q"]), st.sets(st.sampled_from(NAMES), max_size=3)),
    st.sets(st.sampled_from(NAMES), max_size=1),
    st.integers(1, 2),
)
def test_two_places_do_all_once_and_local_nodes_where_they_are_needed(
    needs: dict[str, list[str]], local: set[str], have: dict[str, set[str]], failing: set[str], parallel: int
) -> None:
    have = {place: names & local for place, names in have.items()}
    held = {place: set(have.get(place, ())) for place in ("p", "q")}
    done: list[str] = []
    running = {"p": 0, "q": 0}
    lock = threading.Lock()

    def work(name: str, place: str) -> str:
        with lock:
            running[place] += 1
            assert running[place] <= parallel
            for parent in needs[name]:
                assert parent in (held[place] if parent in local else done)
        with lock:
            running[place] -= 1
            if name in failing:
                raise ValueError(name)
            assert name not in held[place]
            if name in local:
                held[place].add(name)
            done.append(name)
        return name

    outcome = Shared(needs, work, places=["p", "q"], parallel=parallel, local=local, have=have).run()
    shared = [name for name in done if name not in local]
    assert len(shared) == len(set(shared)), "made by one place only"
    for name in set(NAMES) - local:
        assert (name in outcome.done) + (name in outcome.failed) + (name in outcome.blocked) == 1
    if not failing:
        assert set(NAMES) - local <= set(outcome.done)
        assert all(name in held["p"] | held["q"] for name in local)


def test_a_local_node_is_made_by_no_more_places_than_wait_for_it() -> None:
    made: list[tuple[str, str]] = []
    Shared(
        {"tool": [], "app": ["tool"]},
        lambda name, place: made.append((name, place)),
        places=["p", "q"],
        local={"tool"},
    ).run()
    assert [name for name, _ in made] == ["tool", "app"]
    assert made[0][1] == made[1][1]


def test_branches_are_shared() -> None:
    both = threading.Barrier(2, timeout=10)
    made: dict[str, str] = {}

    def work(name: str, place: str) -> None:
        made[name] = place
        if name != "base":
            both.wait()

    needs = {"base": [], "a": ["base"], "b": ["base"]}
    outcome = Shared(needs, work, places=["p", "q"], parallel=1).run()
    assert {made["a"], made["b"]} == {"p", "q"}
    assert outcome.places == made


def test_a_lost_place_fails_what_runs_there_and_the_other_goes_on() -> None:
    started = threading.Event()

    def work(name: str, place: str) -> str:
        if place == "q":
            started.set()
            raise LostPlace(name)
        started.wait(10)
        return place

    needs = {"a": [], "b": [], "c": [], "d": ["a"], "e": ["b"]}
    outcome = Shared(needs, work, places=["p", "q"], parallel=1).run()
    (lost,) = outcome.failed
    assert set(outcome.done) | set(outcome.blocked) == set(needs) - {lost}
    assert set(outcome.done.values()) == {"p"}


def test_when_the_last_place_is_lost_all_that_waits_is_blocked_by_what_ran() -> None:
    def work(name: str, place: str) -> str:
        raise LostPlace(name)

    outcome = Shared({"a": [], "b": [], "c": ["b"]}, work, places=["p"], parallel=1).run()
    assert outcome.done == {}
    assert set(outcome.failed) | set(outcome.blocked) == {"a", "b", "c"}


def test_what_is_pinned_is_done_there() -> None:
    made: dict[str, str] = {}
    Shared({"a": [], "b": []}, lambda n, p: made.update({n: p}), places=["p", "q"], pinned={"a": "q", "b": "q"}).run()
    assert made == {"a": "q", "b": "q"}


def test_what_waits_is_told_when_its_parent_fails() -> None:
    told: list[tuple[str, list[str]]] = []

    def work(name: str, place: str) -> None:
        raise ValueError(name)

    Shared({"a": [], "b": ["a"], "c": ["b"]}, work, places=[""], failed=lambda n, b: told.append((n, list(b)))).run()
    assert told == [("a", ["b", "c"])]
