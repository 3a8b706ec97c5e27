"""Aborting: closed first, then its process, then its jobs and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.plan import abort, runs
from saltern.plan import lock as locks
from saltern.plan.lock import Holder, RunLock
from saltern.plan.runs import Run

RUN = "20261124-100000-abcd"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    Run(tmp_path, RUN).create({"run": RUN, "verb": "deploy", "hosts": ["ctl1", "ctl2"], "started": 1.0})
    yield tmp_path
    locks.release()


def job(jid: str, run: str) -> dict[str, Any]:
    return {"jid": jid, "fun": "state.sls", "arg": ["x", {"__kwarg__": True, "pillar": {"saltern_step": {"run": run}}}]}


def test_nothing_to_abort(root: Path) -> None:
    with pytest.raises(SalternError, match="nothing to abort"):
        abort.abort(root, lambda hosts, function, args: {})


def test_only_its_own_jobs_end_and_only_after_it_is_closed(root: Path) -> None:
    lock, asked, killed = RunLock(root), [], []
    lock.take(Holder(RUN, 1, "1" * 16, "deploy", 1.0))

    def ask(hosts: list[str], function: str, args: list[Any]) -> Mapping[str, Any]:
        assert lock.read() is None, "closed before any job is touched"
        asked.append((tuple(hosts), function, *args))
        running = {
            "ctl1": [job("1", RUN), job("2", "other"), {"jid": "3", "fun": "test.sleep"}],
            "ctl2": "not available",
        }
        return running if function == "saltutil.running" else {}

    def kill(pid: int, number: int) -> None:
        killed.append(number)
        raise ProcessLookupError

    ended = abort.abort(root, ask, kill=kill, clock=lambda: 9.0)
    assert ended == {"run": RUN, "verb": "deploy", "ended": {"ctl1": ["1"]}}
    assert asked == [(("ctl1", "ctl2"), "saltutil.running"), (("ctl1",), "saltutil.term_job", "1")]
    assert len(killed) == 1
    assert runs.summaries(root)[0]["state"] == "aborted"


def test_another_run_than_the_open_one_is_refused(root: Path) -> None:
    RunLock(root).take(Holder(RUN, 1, "1" * 16, "deploy", 1.0))
    with pytest.raises(SalternError, match="the open run is"):
        abort.abort(root, lambda hosts, function, args: {}, run="2025")
    assert RunLock(root).read() is not None
