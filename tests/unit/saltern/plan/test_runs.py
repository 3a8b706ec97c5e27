"""Runs on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.plan import planned, runs
from saltern.plan.runs import Run


def make(root: Path, run_id: str, *lines: dict[str, object], **document: object) -> Run:
    run = Run(root, run_id)
    run.create({"run": run_id, "verb": "deploy", "model": "1" * 16, "started": 100.0, **document})
    for line in lines:
        run.journal.append(line)
    return run


def ended(seconds: float, result: str = "changed", step: str = "start keystone") -> dict[str, object]:
    return {"at": 110.0, "event": "step_end", "step": step, "result": result, "seconds": seconds}


def test_an_id_sorts_by_time() -> None:
    first, second = runs.new_id(1_700_000_000, b"\xff\xff"), runs.new_id(1_700_000_001, b"\0\0")
    assert runs.RUN_ID.fullmatch(first)
    assert first < second


@pytest.mark.parametrize("run_id", ["../../etc", "", "20261124", "20261124-100000-abcd/x"])
def test_no_id_is_no_path(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(SalternError):
        Run(tmp_path, run_id)


def test_find(tmp_path: Path) -> None:
    with pytest.raises(SalternError, match="no run yet"):
        runs.find(tmp_path)
    make(tmp_path, "20261124-100000-aaaa")
    make(tmp_path, "20261124-110000-bbbb")
    assert runs.find(tmp_path).id == "20261124-110000-bbbb"
    assert runs.find(tmp_path, "20261124-10").id == "20261124-100000-aaaa"
    with pytest.raises(SalternError, match="2 runs begin with"):
        runs.find(tmp_path, "2026")
    with pytest.raises(SalternError, match="there is no run"):
        runs.find(tmp_path, "2025")


def test_states_of_runs(tmp_path: Path) -> None:
    make(tmp_path, "20261124-100000-aaaa", {"at": 160.0, "event": "end", "result": "ok", "summary": "Deployed"})
    make(tmp_path, "20261124-110000-bbbb", ended(1.0))
    newest, oldest = runs.summaries(tmp_path)
    assert (newest["state"], newest["seconds"]) == ("died", 10.0)
    assert (oldest["state"], oldest["summary"]) == ("ok", "Deployed")


def test_estimates_are_medians_of_what_changed(tmp_path: Path) -> None:
    for number, seconds in enumerate((4.0, 6.0, 100.0)):
        make(tmp_path, f"20261124-10000{number}-aaaa", ended(seconds), ended(0.0, "skipped"))
    assert runs.estimates(tmp_path) == {"start keystone": 6.0}


def test_old_runs_go(tmp_path: Path) -> None:
    for number in range(4):
        make(tmp_path, f"20261124-10000{number}-aaaa", ended(1.0))
    runs.prune(tmp_path, keep=2)
    assert len(runs.all_ids(tmp_path)) == 2


def test_files_of_a_run_are_private(tmp_path: Path) -> None:
    run = make(tmp_path, "20261124-100000-aaaa", ended(1.0))
    run.save_compare({"hosts": {}})
    assert run.compare() == {"hosts": {}}
    assert {path.stat().st_mode & 0o777 for path in run.directory.iterdir()} == {0o600}
    assert run.directory.stat().st_mode & 0o777 == 0o700


def test_plans_are_remembered_by_model(tmp_path: Path) -> None:
    planned.save(tmp_path, {"model": "4f1c9a0b1c2d3e4f", "fingerprint": "abc"}, 1.0)
    assert planned.find(tmp_path, "4f1c")["fingerprint"] == "abc"
    for wrong in ("", "77", "../x"):
        with pytest.raises(SalternError, match=r"openstack\.plan"):
            planned.find(tmp_path, wrong)
