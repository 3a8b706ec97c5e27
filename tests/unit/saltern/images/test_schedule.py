"""Graphs: order, bounds, and that a failure blocks exactly what needs it."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from saltern.images.schedule import critical, run_graph

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
