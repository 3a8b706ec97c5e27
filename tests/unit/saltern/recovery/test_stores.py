"""Queue, leases and history: what several processes share on disk, under kills and at the same time."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saltern.contract.errors import SalternError
from saltern.recovery.history import History
from saltern.recovery.leases import Leases
from saltern.recovery.queue import Queue

NO_FIXTURE_CHECK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@NO_FIXTURE_CHECK
@given(st.lists(st.tuples(st.sampled_from(["put", "done"]), st.integers(0, 4)), max_size=30))
def test_an_event_is_worked_on_at_most_once_whatever_the_order(tmp_path_factory, steps) -> None:
    queue = Queue(tmp_path_factory.mktemp("queue"))
    accepted: list[int] = []
    finished: set[int] = set()
    for what, number in steps:
        if what == "put":
            if queue.put({"event": f"e-{number}", "n": number}):
                accepted.append(number)
        elif number in accepted:
            queue.done(f"e-{number}")
            finished.add(number)
    assert len(accepted) == len(set(accepted))
    assert {event["n"] for event in queue.waiting()} == set(accepted) - finished


def test_the_oldest_waits_first_and_a_broken_file_blocks_nobody(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.put({"event": "a-2"})
    (tmp_path / "broken.json").write_text('{"event": ')
    queue.put({"event": "a-1"})
    assert [event["event"] for event in queue.waiting()] == ["a-2", "a-1"]
    assert not (tmp_path / "broken.json").exists()


def test_finished_ones_are_pruned(tmp_path: Path) -> None:
    queue = Queue(tmp_path, keep=8)
    for number in range(40):
        queue.put({"event": f"e-{number}"})
        queue.done(f"e-{number}")
    assert 8 <= len(list((tmp_path / "done").iterdir())) <= 10
    assert not queue.put({"event": "e-39"})


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x\0", "é"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SalternError):
        Queue(tmp_path).put({"event": name})


def _put(directory: str, results) -> None:
    queue = Queue(Path(directory))
    results.put(sum(queue.put({"event": f"e-{number}"}) for number in range(50)))


def test_many_processes_put_each_event_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_put, args=(str(tmp_path), results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    total = sum(results.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join()
    assert total == 50 and len(Queue(tmp_path).waiting()) == 50


@NO_FIXTURE_CHECK
@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "release", "wait"]), st.sampled_from("abc"), st.floats(0.1, 50)),
        max_size=40,
    )
)
def test_a_lease_has_one_holder_at_any_time(tmp_path_factory, steps) -> None:
    leases = Leases(tmp_path_factory.mktemp("leases"))
    now, holder, until = 0.0, None, 0.0
    for what, who, seconds in steps:
        if what == "wait":
            now += seconds
        elif what == "take":
            taken = leases.take("ctl1/keystone", who, now, ttl=seconds)
            assert (taken is not None) == (holder in (None, who) or now >= until)
            if taken is not None:
                holder, until = who, now + seconds
        elif leases.release("ctl1/keystone", who):
            assert holder == who
            holder = None
        current = leases.current("ctl1/keystone", now)
        assert (current.holder if current else None) == (holder if now < until else None)


def test_leases_of_odd_names_do_not_collide_and_are_pruned(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    assert leases.take("a/b", "x", 0) and leases.take("a%2Fb", "y", 0) and leases.take("../../a", "z", 0)
    leases.prune(1000)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_history_survives_a_cut_line_and_turns_over(tmp_path: Path) -> None:
    history = History(tmp_path / "heal" / "history.jsonl", most=2000)
    for number in range(60):
        history.add("event", float(number), host="h", container="c", n=number)
    with history.path.open("ab") as file:
        file.write(b'{"at": 99, "kind": "ev')
    numbers = [line["n"] for line in history.read()]
    assert numbers == list(range(numbers[0], 60)) and len(numbers) >= 15
    assert [line["n"] for line in history.read(since=58)] == [58, 59]
    assert [line["n"] for line in history.about("h", "c", most=3)] == [57, 58, 59]
    assert history.about("h", "other") == []
    assert json.loads(history.former.read_bytes().splitlines()[0])["kind"] == "event"
    assert history.path.stat().st_mode & 0o777 == 0o600


def test_a_line_longer_than_a_block_is_read(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.add("event", 1.0, text="x" * 600_000)
    history.add("event", 2.0, text="y")
    assert [line["at"] for line in history.read()] == [1.0, 2.0]
