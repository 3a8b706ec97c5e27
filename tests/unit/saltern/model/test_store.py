"""Compiled models on disk."""

import os
import stat
import threading
from pathlib import Path

import pytest

from saltern.model.store import KEPT, Store

PLAN = {"plan.json": {"digest": "x"}, "hosts/ctl1.json": {"a": 1}, "origins.json": {}}


def name(number: int) -> str:
    return f"{number:016x}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def test_a_model_is_written_for_root_alone_and_read_again(store: Store) -> None:
    store.write(name(1), PLAN)
    assert store.plan(name(1)) == {"digest": "x"}
    assert store.slice(name(1), "ctl1") == {"a": 1}
    modes = {stat.S_IMODE(os.lstat(p).st_mode) for p in [store.compiled, *store.compiled.rglob("*")]}
    assert modes == {0o700, 0o600}


def test_a_model_that_is_there_is_never_changed(store: Store) -> None:
    store.write(name(1), PLAN)
    store.write(name(1), {"plan.json": {"digest": "other"}})
    assert store.plan(name(1)) == {"digest": "x"}


def test_many_writers_of_one_model_leave_one_and_no_rubbish(store: Store) -> None:
    threads = [threading.Thread(target=store.write, args=(name(1), PLAN)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(store.compiled) == [name(1)]


def test_a_write_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(TypeError):
        store.write(name(1), {**PLAN, "bad.json": object()})
    assert os.listdir(store.compiled) == []


def test_pruning_keeps_current_the_open_run_and_the_newest(store: Store) -> None:
    for number in range(KEPT + 6):
        if number == 1:
            os.symlink(name(0), store.compiled / "current")
        store.write(name(number), PLAN, keep=[name(1)])
        os.utime(store.path(name(number)), (number, number))
    store.prune([name(1)])
    left = {path.name for path in store.compiled.iterdir()} - {"current"}
    assert left == {name(0), name(1), *(name(n) for n in range(6, KEPT + 6))}
    assert store.current() == name(0)


@pytest.mark.parametrize("digest", ["../../etc", "", "X" * 16, "0" * 15])
def test_what_is_no_digest_is_no_path(store: Store, digest: str) -> None:
    assert store.plan(digest) is None
    with pytest.raises(ValueError, match="digest"):
        store.path(digest)


def test_the_key_is_made_once_and_private(store: Store) -> None:
    assert store.key() == Store(store.root).key()
    assert len(store.key()) == 32
    assert stat.S_IMODE((store.root / "digest.key").stat().st_mode) == 0o600
