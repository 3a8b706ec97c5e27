"""Verbs about runs, without Salt's daemons: answers, exit codes, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import salt.exceptions

from saltern import terminal
from saltern.plan.ask import Answers
from saltern.plan.runs import Run
from saltern_front import front
from unit.adapters import load

from ..saltern.plan.planmaker import MODEL, container_state, make_plan, toolbox_state

PROBLEM = {"file": "init.sls", "line": 9, "key": "openstack:vip", "expected": "address", "found": "x", "hint": ""}
NOTHING = {"ctl1": {**container_state({}), **toolbox_state({})}, "ctl2": container_state({})}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "compiled" / MODEL
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(make_plan()))
    (tmp_path / "compiled" / "current").symlink_to(MODEL)
    return tmp_path


@pytest.fixture
def module(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    dunders: dict[str, Any] = {"opts": {"saltern_state_dir": str(root), "user": "root"}, "salt": {}}
    loaded = load("runners", "openstack", **dunders)
    loaded.healing = load("runners", "openstack_healing", **dunders)
    loaded.plan_module = mock.Mock(return_value={"digest": MODEL, "errors": [], "plan": make_plan()})
    loaded.asked = mock.Mock(return_value=Answers(returns=NOTHING))
    monkeypatch.setattr(front.Front, "plan_module", loaded.plan_module)
    monkeypatch.setattr(front.Front, "ask", loaded.asked)
    return loaded


def read(answer: dict[str, Any]) -> tuple[int, str]:
    """Exit code, and what a person sees."""
    assert set(answer) == {"data", "outputter"}, "Salt's shape of an answer with an outputter"
    json.dumps(answer)
    return answer["data"]["retcode"], terminal.render(answer["data"])


@pytest.mark.parametrize("verb", ["plan", "apply", "deploy", "validate"])
def test_a_wrong_model_is_2_and_shows_where(module: Any, root: Path, verb: str) -> None:
    module.plan_module.return_value = {"digest": "", "errors": [PROBLEM], "plan": None}
    (root / "plans").mkdir()
    (root / "plans" / f"{MODEL}.json").write_text(json.dumps({"model": MODEL, "fingerprint": "x"}))
    code, text = read(getattr(module, verb)(*([MODEL] if verb == "apply" else [])))
    assert code == 2
    assert "init.sls:9" in text


@pytest.mark.parametrize(
    "call", [("plan",), ("status",), ("logs", "keystone"), ("heal_reset",)], ids=lambda call: str(call[0])
)
def test_a_master_that_is_away_is_5_and_a_sentence(module: Any, call: tuple[str, ...]) -> None:
    module.asked.side_effect = salt.exceptions.SaltClientError("The salt master could not be contacted.")
    verb, *arguments = call
    where = module.healing if verb.startswith("heal_") else module
    with mock.patch.object(module.healing, "_say"):
        code, text = read(getattr(where, verb)(*arguments))
    assert code == 5
    assert "salt-master does not answer" in text


@pytest.mark.parametrize(("check", "differs", "code"), [(False, True, 0), (True, True, 3), (True, False, 0)])
def test_plan_tells_by_its_exit_code_only_when_asked(module: Any, check: bool, differs: bool, code: int) -> None:
    change = {"keystone": {"action": "create", "reasons": [], "files": []}} if differs else {}
    module.asked.return_value = Answers(returns={**NOTHING, "ctl2": container_state(change)})
    found, text = read(module.plan(check=check))
    assert found == code
    assert ("keystone on ctl2" in text) is differs


def test_plan_names_silent_hosts(module: Any) -> None:
    module.asked.return_value = Answers(returns={"ctl1": NOTHING["ctl1"]}, silent=["ctl2"])
    code, text = read(module.plan())
    assert code == 5
    assert "no answer from ctl2" in text


def test_apply_of_what_nobody_has_seen_is_refused(module: Any) -> None:
    assert read(module.apply("7be210"))[0] == 4
    assert read(module.apply())[0] == 4


def test_deploy_beside_an_open_run_is_refused(module: Any, root: Path) -> None:
    holder = mock.Mock(verb="deploy", run="20261124-100000-abcd", model=MODEL, since=0.0)
    with mock.patch.object(module, "RunLock") as lock:
        lock.return_value.read.return_value = holder
        code, text = read(module.deploy())
    assert code == 4
    assert "deploy run 20261124-100000-abcd is open since" in text
    assert "openstack.abort" in text


def test_deploy_that_does_not_begin_says_why(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"result": False, "comment": "Refused: run.lock: stop run x is open", "__state_ran__": True}
    skipped = {"result": False, "comment": "One or more requisite failed", "__state_ran__": False}
    comments = front.comments({"data": {"m": {"a": state, "b": skipped}}})
    assert comments == ["Refused: run.lock: stop run x is open"]
    monkeypatch.setattr(front.Front, "start", mock.Mock(return_value="1"))
    monkeypatch.setattr(front.Front, "begun", mock.Mock(return_value=(None, comments)))
    code, text = read(module.deploy())
    assert code == 4
    assert "stop run x is open" in text


def test_show_watch_runs(module: Any, root: Path) -> None:
    assert read(module.show())[0] == 1
    assert read(module.watch())[0] == 1
    assert read(module.runs()) == (0, terminal.render({"kind": "runs", "runs": []}))
    run = Run(root, "20261124-100000-abcd")
    run.create({"run": run.id, "verb": "deploy", "model": MODEL, "started": 1.0, "steps": [], "hosts": [], "pid": 1})
    run.journal.append({"at": 2.0, "event": "end", "result": "failed", "summary": "Deploy failed"})
    assert read(module.show())[0] == 0, "showing a failed run is no failure"
    assert read(module.watch())[0] == 1
    assert "Deploy failed" in read(module.runs())[1]
    assert read(module.abort())[0] == 4


def test_status_before_anything_is_deployed(module: Any, root: Path) -> None:
    (root / "compiled" / "current").unlink()
    for call in (module.status, lambda: module.logs("keystone")):
        code, text = read(call())
        assert code == 1
        assert "nothing is deployed yet" in text


@pytest.mark.parametrize("settings", [{}, {"paused": True}, {"dry_run": True}, {"enabled": False}])
def test_status_says_whether_healing_is_on(module: Any, root: Path, settings: dict[str, bool]) -> None:
    (root / "heal").mkdir()
    (root / "heal" / "settings.json").write_text(json.dumps(settings))
    good = {"state": "running", "healthy": True, "desired": "running"}
    answers = {
        host: {"containers": dict.fromkeys(found["containers"], good)} for host, found in make_plan()["hosts"].items()
    }
    module.asked.return_value = Answers(returns=answers)
    code, text = read(module.status())
    assert code == 0
    word = {"paused": "paused", "dry_run": "dry run", "enabled": "off"}.get(next(iter(settings), ""), "on")
    assert f"healing {word}" in text


@pytest.mark.parametrize(
    ("told", "code", "line"),
    [
        (Answers(returns={"ctl1": {"agents": [], "instances": [], "errors": []}}), 0, "Healed in 24 h"),
        (Answers(returns={"ctl1": "the toolbox does not run"}), 1, "does not tell: the toolbox does not run"),
        (Answers(returns={}, silent=["ctl1"]), 1, "does not tell: the toolbox host does not answer in time"),
    ],
)
def test_status_shows_containers_whatever_the_cloud_tells(
    module: Any, monkeypatch: pytest.MonkeyPatch, told: Answers, code: int, line: str
) -> None:
    monkeypatch.setattr(module.instances, "asked_of", lambda _model: "ctl1")
    good = {"state": "running", "healthy": True, "desired": "running"}
    answers = {
        host: {"containers": dict.fromkeys(found["containers"], good)} for host, found in make_plan()["hosts"].items()
    }
    module.asked.side_effect = [Answers(returns=answers), told]
    found, text = read(module.status())
    assert found == code and line in text and "keystone" in text
    assert module.asked.call_args.args == (["ctl1"], "openstack_cloud.overview")


def test_logs_of_a_container_that_is_not_there(module: Any) -> None:
    code, text = read(module.logs("keyston"))
    assert code == 2
    assert "keystone" in text
