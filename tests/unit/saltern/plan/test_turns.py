"""Steps that go on side by side have one state run at a time on a host."""

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from saltern.plan import turns

fork = multiprocessing.get_context("fork")


def hold(directory: Path, hosts: list[str], begun: Event, end: Event) -> None:
    with turns.taken(directory, hosts):
        begun.set()
        end.wait(30)


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [(["a", "b"], ["b", "c"], True), (["a"], ["b"], False), (["a", "b"], ["b", "a"], True)],
)
def test_who_has_a_host_in_common_waits(tmp_path: Path, first: list[str], second: list[str], waits: bool) -> None:
    steps = []
    for hosts in (first, second):
        begun, end = fork.Event(), fork.Event()
        steps.append((fork.Process(target=hold, args=(tmp_path, hosts, begun, end)), begun, end))
    (one, begun, end), (other, later, last) = steps
    one.start()
    assert begun.wait(10)
    other.start()
    assert later.wait(0.5 if waits else 10) is not waits
    end.set()
    assert later.wait(10)
    last.set()
    for process in (one, other):
        process.join(10)
        assert process.exitcode == 0


def test_a_step_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    begun = fork.Event()
    step = fork.Process(target=hold, args=(tmp_path, ["a"], begun, fork.Event()))
    step.start()
    assert begun.wait(10)
    step.kill()
    step.join(10)
    with turns.taken(tmp_path, ["a"]):
        pass
