"""States of the set-up: check, test mode, act, report."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import salt.utils.event
from salt.exceptions import CommandExecutionError

FILE = Path(__file__).resolve().parents[3] / "salt/_states/openstack_setup.py"
WRITTEN = {
    "path": "/etc/salt/x.d/openstack.conf", "changed": True, "diff": ["+a: 1"], "hidden": [], "restart": "",
    "docker_py": "7.2.0", "install": "salt-pip install docker",
}  # fmt: skip


@pytest.fixture
def state() -> ModuleType:
    spec = importlib.util.spec_from_file_location("openstack_setup_state", FILE)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.__dict__.update({"__opts__": {"test": False, "sock_dir": "/none"}, "__salt__": {}})
    return loaded


def given(state: ModuleType, kind: str, test: bool, answer: dict[str, Any]) -> mock.Mock:
    state.__dict__["__opts__"]["test"] = test
    function = mock.Mock(return_value=answer)
    state.__dict__["__salt__"][f"openstack_setup.{kind}"] = function
    return function


@pytest.mark.parametrize("kind", ["master", "minion"])
@pytest.mark.parametrize(
    ("test", "changed", "result"), [(True, True, None), (True, False, True), (False, True, True), (False, False, True)]
)
def test_configured(state: ModuleType, kind: str, test: bool, changed: bool, result: bool | None) -> None:
    function = given(state, kind, test, {**WRITTEN, "changed": changed})
    answer = getattr(state, f"{kind}_configured")("x")
    function.assert_called_once_with(test=test)
    assert answer["result"] is result
    assert answer["changes"] == ({"diff": "+a: 1"} if changed else {})


@pytest.mark.parametrize("kind", ["master", "minion"])
def test_a_key_that_another_file_hides_is_a_fault(state: ModuleType, kind: str) -> None:
    given(state, kind, False, {**WRITTEN, "hidden": ["ext_pillar"]})
    answer = getattr(state, f"{kind}_configured")("x")
    assert answer["result"] is False and "hides ext_pillar" in answer["comment"]


def test_a_minion_without_docker_py_is_told_how_to_get_it(state: ModuleType) -> None:
    given(state, "minion", False, {**WRITTEN, "docker_py": ""})
    answer = state.minion_configured("x")
    assert answer["result"] is False and "salt-pip install docker" in answer["comment"]


def test_an_error_of_the_module_is_a_red_line(state: ModuleType) -> None:
    given(state, "master", False, {}).side_effect = CommandExecutionError("no checkout")
    assert state.master_configured("x")["comment"] == "no checkout"
    assert state.master_current("x")["result"] is False


def test_the_master_is_told_to_restart_and_the_run_goes_well(state: ModuleType) -> None:
    given(state, "master", False, {**WRITTEN, "restart": "Run: systemctl restart salt-master"})
    answer = state.master_current("x")
    assert answer["result"] is True and "systemctl restart salt-master" in answer["comment"]


class Minions:
    """Answers ``saltutil.cmd`` as minions do; those in ``back`` fire a start event after their restart."""

    def __init__(self, outdated: set[str], silent: set[str], back: set[str]) -> None:
        self.outdated, self.silent, self.back = outdated, silent, back
        self.restarted: list[str] = []

    def cmd(self, minions: list[str], function: str, **_: Any) -> dict[str, Any]:
        if function == "openstack_setup.minion_restart":
            self.restarted += minions
            return {each: {"ret": "process", "retcode": 0} for each in minions}
        return {
            each: {"ret": {**WRITTEN, "restart": "old" if each in self.outdated else ""}, "retcode": 0}
            for each in minions
            if each not in self.silent
        }

    def bus(self, *_: Any, **__: Any) -> mock.MagicMock:
        events = [{"tag": f"salt/minion/{each}/start"} for each in sorted(self.back)]
        bus = mock.MagicMock(spec=salt.utils.event.SaltEvent)
        bus.__enter__.return_value = bus
        bus.get_event.side_effect = lambda **_: events.pop(0) if self.restarted and events else None
        return bus


def restarted(state: ModuleType, minions: Minions, *, test: bool = False) -> dict[str, Any]:
    state.__dict__["__opts__"]["test"] = test
    state.__dict__["__salt__"]["saltutil.cmd"] = minions.cmd
    with mock.patch.object(salt.utils.event, "get_master_event", minions.bus):
        answer: dict[str, Any] = state.minions_restarted("x", ["a", "b"], timeout=0.2)
    return answer


def test_only_outdated_minions_restart(state: ModuleType) -> None:
    minions = Minions({"b"}, set(), {"b"})
    answer = restarted(state, minions)
    assert answer["result"] is True and minions.restarted == ["b"] and list(answer["changes"]) == ["b"]


def test_current_minions_are_left_alone(state: ModuleType) -> None:
    minions = Minions(set(), set(), set())
    assert restarted(state, minions)["changes"] == {} and minions.restarted == []


def test_in_test_mode_none_restarts(state: ModuleType) -> None:
    minions = Minions({"a"}, set(), set())
    assert restarted(state, minions, test=True)["result"] is None and minions.restarted == []


def test_a_silent_minion_is_named_and_none_restarts(state: ModuleType) -> None:
    minions = Minions({"a"}, {"b"}, {"a"})
    answer = restarted(state, minions)
    assert answer["result"] is False and "No answer from b" in answer["comment"] and minions.restarted == []


def test_one_that_does_not_come_back_is_named(state: ModuleType) -> None:
    answer = restarted(state, Minions({"a", "b"}, set(), {"a"}))
    assert answer["result"] is False and "not back after 0.2 s: b" in answer["comment"]
