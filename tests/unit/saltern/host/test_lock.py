"""One holder at a time, who says what it does, and whose death frees the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saltern.contract.errors import LockHeld
from saltern.host import lock
from saltern.host.lock import ContainerLock, held

LIBRARY = Path(lock.__file__).parents[2]


def test_one_at_a_time_and_the_holder_is_named(tmp_path: Path) -> None:
    with ContainerLock(tmp_path, "web", "replace", now=lambda: 5.0) as first:
        holder = held(tmp_path, "web")
        assert holder == {"pid": os.getpid(), "boot_id": lock.boot_id(), "heartbeat": 5.0, "reason": "replace"}
        with pytest.raises(LockHeld, match=rf"web: process {os.getpid()} \(replace\) works on it"):
            ContainerLock(tmp_path, "web", "heal").acquire()
        first.beat("waiting until it is healthy")
        assert (held(tmp_path, "web") or {})["reason"] == "waiting until it is healthy"
        with ContainerLock(tmp_path, "other", "heal"):
            pass
    assert held(tmp_path, "web") is None
    with ContainerLock(tmp_path, "web", "heal"):
        assert held(tmp_path, "web") is not None


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert held(tmp_path / "locks", "web") is None
    assert list(tmp_path.iterdir()) == []


def test_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds
        if time[0] > 3:
            first.release()

    first = ContainerLock(tmp_path, "web", "stop")
    first.acquire()
    with pytest.raises(LockHeld):
        ContainerLock(tmp_path, "web", "heal", timeout=2, clock=lambda: time[0], sleep=sleep).acquire()
    with ContainerLock(tmp_path, "web", "heal", timeout=2, clock=lambda: time[0], sleep=sleep):
        assert (held(tmp_path, "web") or {})["reason"] == "heal"


def test_dies_with_its_holder(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from saltern.host.lock import ContainerLock\n"
        f"ContainerLock(pathlib.Path({str(tmp_path)!r}), 'web', 'stop').acquire(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    assert (held(tmp_path, "web") or {})["pid"] == child.pid
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert held(tmp_path, "web") is None
