"""The lock of a run: one holder, free at its death, readable without dropping it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from saltern.contract.errors import LockHeld
from saltern.plan import lock as locks
from saltern.plan import runs
from saltern.plan.lock import Holder, RunLock

RUN = "20261124-100000-abcd"
HOLD = """
import os, sys, time
from pathlib import Path
from saltern.plan.lock import Holder, RunLock
RunLock(Path(sys.argv[1])).take(Holder("20261124-100000-abcd", os.getpid(), "1" * 16, "deploy", 5.0))
if len(sys.argv) > 2 and os.fork() == 0:
    os.close(1)
    time.sleep(60)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_lock_left() -> Iterator[None]:
    yield
    locks.release()


def holder(run: str = RUN) -> Holder:
    return Holder(run, os.getpid(), "1" * 16, "deploy", 5.0)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert RunLock(tmp_path).read() is None
    assert RunLock(tmp_path).holder_pid() is None


def test_held_by_another_process(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    lock = RunLock(tmp_path)
    assert lock.holder_pid() == other.pid
    assert lock.read() == Holder(RUN, other.pid, "1" * 16, "deploy", 5.0)
    with pytest.raises(LockHeld, match=RUN):
        lock.take(holder("20261124-110000-abcd"))
    assert lock.holder_pid() == other.pid, "a refused attempt leaves the lock alone"


def test_free_at_once_when_its_holder_is_killed(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert RunLock(tmp_path).read() is None, "the file still names the run, the lock does not"
    RunLock(tmp_path).take(holder())


def test_the_holder_reads_without_dropping_its_lock(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.take(holder())
    assert lock.read() == holder()
    assert lock.holder_pid() == os.getpid()
    code = "import sys; from pathlib import Path; from saltern.plan.lock import RunLock; "
    code += "print(RunLock(Path(sys.argv[1])).holder_pid())"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    seen = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=env)
    assert seen.stdout.strip() == str(os.getpid())


def test_a_closed_run_is_no_open_one(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    lock = RunLock(tmp_path)
    lock.close("another")
    assert lock.read() is not None
    lock.close(RUN)
    assert lock.read() is None
    assert lock.holder_pid() == other.pid, "its process may still live"


def test_one_process_may_run_again_after_it_closed_its_run(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.take(holder())
    with pytest.raises(LockHeld):
        lock.take(holder("20261124-110000-abcd"))
    lock.close(RUN)
    lock.take(holder("20261124-110000-abcd"))
    assert lock.read() == holder("20261124-110000-abcd")


def test_a_leaving_run_is_waited_for_and_an_open_one_is_not(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    lock, naps = RunLock(tmp_path), []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        other.kill()
        other.wait()

    with pytest.raises(LockHeld):
        runs.take(lock, holder(), sleep=sleep)
    assert naps == []
    lock.close(RUN)
    runs.take(lock, holder(), sleep=sleep)
    assert naps


def test_files_are_private(tmp_path: Path) -> None:
    RunLock(tmp_path).take(holder())
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "run.lock": 0o600,
        "run.open": 0o600,
    }
