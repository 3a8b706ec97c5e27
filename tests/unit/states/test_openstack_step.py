"""The wrapper states: thin, never a traceback, on the master only. Whole runs: tests/functional/orchestration."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from saltern.plan import lock as locks
from saltern.plan import runs, session
from saltern.plan.ask import Answers

from ..saltern.plan.planmaker import MODEL, container_state, make_plan, toolbox_state

SOURCE = Path(__file__).resolve().parents[3] / "salt" / "_states" / "openstack_step.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "compiled" / MODEL
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(json.dumps(make_plan()))
    return tmp_path


@pytest.fixture
def states() -> dict[str, Any]:
    return {"salt.state": mock.Mock(return_value={"result": True, "changes": {}, "comment": ""})}


@pytest.fixture
def module(root: Path, states: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("openstack_step_under_test", SOURCE)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    compiled = mock.Mock(return_value={"digest": MODEL, "errors": [], "plan": make_plan()})
    dunders = {
        "__opts__": {"__role": "master", "saltern_state_dir": str(root), "test": False, "user": "root"},
        "__states__": states,
        "__salt__": {"openstack_plan.compile": compiled, "openstack_plan.changes": mock.Mock(return_value=[])},
        "__orchestration_jid__": "20261124100000000000",
    }
    for name, value in dunders.items():
        setattr(loaded, name, value)
    loaded._Salt.fire = mock.Mock()  # type: ignore[attr-defined]
    loaded._Salt.refresh = mock.Mock()  # type: ignore[attr-defined]
    yield loaded
    locks.release()
    session.end()


def answer(module: ModuleType, returns: dict[str, Any]) -> mock.Mock:
    ask = mock.Mock(return_value=Answers(returns=returns))
    module._Salt.ask = ask  # type: ignore[attr-defined]
    return ask


NEW = {"action": "create", "reasons": [], "files": []}
FIRST = {
    "ctl1": {**container_state({"mariadb": NEW}), **toolbox_state({}, False)},
    "ctl2": container_state({"keystone": NEW}),
}


def test_only_on_a_master(module: ModuleType) -> None:
    assert module.__virtual__() == "openstack_step"
    module.__opts__["__role"] = "minion"
    assert module.__virtual__()[0] is False


def test_a_run(module: ModuleType, root: Path, states: dict[str, Any]) -> None:
    ask = answer(module, FIRST)
    assert module.begin("Begin the run", "deploy", MODEL, live_lines=False)["result"] is True
    assert module.compare("Compare")["result"] is True
    ask.assert_called_once()
    assert module.wave("start mariadb") == {"name": "start mariadb", "result": True, "comment": "", "changes": {}}
    (call,) = states["salt.state"].call_args_list
    run = runs.find(root)
    assert call.kwargs["tgt"] == ["ctl1"]
    assert call.kwargs["tgt_type"] == "list"
    assert call.kwargs["queue"] is call.kwargs["expect_minions"] is True
    assert call.kwargs["sls"] == "openstack.host.converge"
    assert call.kwargs["pillar"]["saltern_step"]["run"] == run.id
    assert run.document()["jid"] == "20261124100000000000"
    assert (root / "compiled" / "current").readlink().name == MODEL


@pytest.mark.parametrize("test", [True, False])
def test_mode_test_changes_nothing(module: ModuleType, root: Path, states: dict[str, Any], test: bool) -> None:
    module.__opts__["test"] = test
    answer(module, FIRST)
    begun = module.begin("Begin the run", "deploy", MODEL, live_lines=False)
    module.compare("Compare")
    wave = module.wave("start mariadb")
    assert begun["result"] is (None if test else True)
    assert wave["result"] is (None if test else True)
    assert states["salt.state"].called is not test
    assert (root / "runs").exists() is not test
    assert (root / "run.lock").exists() is not test


def test_test_mode_ends_with_the_plan(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    module.__opts__["test"] = True
    answer(module, FIRST)
    module.begin("Begin the run", "deploy", MODEL)
    module.compare("Compare")
    assert module.finish("Finish")["result"] is None
    assert "mariadb on ctl1" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["f" * 16, "../../../etc", ""])
def test_a_model_that_is_not_there(module: ModuleType, model: str) -> None:
    result = module.begin("Begin the run", "deploy", model)
    assert result["result"] is False
    assert "model" in result["comment"]


def test_a_refusal_is_a_red_line(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    module.begin("Begin the run", "deploy", MODEL, live_lines=False)
    second = module.begin("Begin the run", "deploy", MODEL, live_lines=False)
    assert second["result"] is False
    assert second["comment"].startswith("Refused: run.lock: deploy run ")
    assert "salt-run openstack.watch" in capsys.readouterr().err


def test_a_step_without_a_run_is_a_red_line(module: ModuleType) -> None:
    for step in (module.wave, module.prepare, module.register, module.remove, module.finish, module.compare):
        assert step("start mariadb")["result"] is False


def test_errors_of_the_model_are_shown_with_their_place(module: ModuleType) -> None:
    problem = {"file": "init.sls", "line": 9, "key": "openstack:vip", "expected": "address", "found": "x", "hint": ""}
    result = module.refused("The model has errors", [problem])
    assert result["result"] is False
    assert "init.sls:9" in result["comment"]


def test_a_forked_step_dies_with_its_parent_and_the_parent_itself_does_not(module: ModuleType) -> None:
    answer(module, FIRST)
    module.begin("Begin the run", "deploy", MODEL, live_lines=False)
    with mock.patch.object(module.ctypes, "CDLL") as library:
        module._die_with_parent()
        library.assert_not_called()
        session.current().pid = 1
        with mock.patch.object(module.os, "getppid", return_value=1):
            module._die_with_parent()
    library.return_value.prctl.assert_called_once_with(1, module.signal.SIGTERM)


def test_the_first_cloud_is_told_line_by_line(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"1": {"__run_num__": 0, "result": True, "changes": {"flavor tiny": "create"}, "comment": "first ACTIVE"}}
    ask = mock.Mock(return_value=Answers(returns={"ctl1": told}))
    monkeypatch.setattr(module._Salt, "ask", ask)
    ret = module.first_cloud("f", MODEL)
    assert ret["result"] is True and ret["changes"] == {"flavor tiny": "create"}
    first, rest = capsys.readouterr().err.split("\n", 1)
    assert first == "◐ It is made on ctl1: flavors, images, networks, an instance, and its answer"
    assert rest == "● flavor tiny   created\n● first ACTIVE\n"
    sls, hosts, _step = ask.call_args.args
    assert (sls, hosts, ask.call_args.kwargs["test"]) == ("openstack.host.first_cloud", ["ctl1"], False)
    assert module.first_cloud("f", "0" * 16)["result"] is False


def test_the_first_cloud_is_refused_at_once_while_a_run_is_open(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = mock.Mock()
    monkeypatch.setattr(module._Salt, "ask", ask)
    module.begin("b", "deploy", MODEL)
    ret = module.first_cloud("f", MODEL)
    assert ret["result"] is False and "is open" in ret["comment"]
    ask.assert_not_called()
