"""The states: test mode, results, and all that an operator needs in the comment of a red line."""

from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from unit.adapters import load

CREATED = {"web": {"action": "create", "reasons": [{"field": "container"}], "files": []}}
FAILURE = {"message": "not healthy after 5 s", "probe": "GET http://x → refused", "log": ["line 1", "line 2"]}


class Salt(dict[str, Any]):
    """``__salt__`` that remembers its calls."""

    def __init__(self, **answers: Any) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for name, answer in answers.items():
            self[f"openstack_container.{name}"] = self._function(name, answer)

    def _function(self, name: str, answer: Any) -> Any:
        def function(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return function


def state(salt: Salt, *, test: bool) -> Any:
    return load("states", "openstack_container", salt=salt, opts={"test": test}, pillar={})


@pytest.mark.parametrize("test", [True, False])
def test_converged(test: bool) -> None:
    unchanged = {"action": "none", "reasons": [], "files": []}
    salt = Salt(converge=CREATED, compare={"containers": {**CREATED, "other": unchanged}, "host": "h", "seconds": 0})
    ret = state(salt, test=test).converged("All", containers=["web", "other"], mode="deploy")
    assert ret["result"] is (None if test else True)
    assert ret["changes"] == CREATED
    assert ret["comment"] == ("web: would be started (container)" if test else "web: started (container)")
    assert [call[0] for call in salt.calls] == ["compare" if test else "converge"]


@pytest.mark.parametrize("test", [True, False])
def test_nothing_to_do(test: bool) -> None:
    salt = Salt(converge={}, compare={"containers": {}, "host": "h", "seconds": 0})
    ret = state(salt, test=test).converged("All")
    assert (ret["result"], ret["changes"], ret["comment"]) == (True, {}, "As the model says")


def test_a_failure_is_red_and_says_all() -> None:
    ret = state(Salt(converge={"web": {**CREATED["web"], "failure": FAILURE}}), test=False).converged("All")
    assert ret["result"] is False
    assert ret["comment"].splitlines() == [
        "web: not healthy after 5 s", "  probe: GET http://x → refused", "  log: line 1", "  log: line 2",
    ]  # fmt: skip
    assert ret["changes"]["web"]["failure"] == FAILURE


@pytest.mark.parametrize("test", [True, False])
def test_a_refusal_is_red_without_a_traceback(test: bool) -> None:
    error = CommandExecutionError("run r1 is closed")
    ret = state(Salt(converge=error, compare=error), test=test).converged("All")
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "run r1 is closed")


@pytest.mark.parametrize("test", [True, False])
def test_running_with_arguments_needs_no_model(test: bool) -> None:
    salt = Salt(ensure=CREATED)
    module = state(salt, test=test)
    ret = module.running("web", image="a:1", uid=5, __id__="x", __sls__="y")
    assert ret["result"] is (None if test else True)
    assert salt.calls == [("ensure", ("web", "a:1"), {"arguments": {"uid": 5}, "test": test})]


def test_running_out_of_the_model() -> None:
    salt = Salt(converge={})
    assert state(salt, test=False).running("web")["result"] is True
    assert salt.calls == [("converge", (), {"containers": ["web"], "mode": "deploy", "volumes": False})]


def test_running_with_arguments_and_no_image_is_a_mistake() -> None:
    salt = Salt(converge={}, ensure={})
    assert state(salt, test=False).running("web", uid=5)["result"] is False
    assert salt.calls == []


@pytest.mark.parametrize("test", [True, False])
def test_absent(test: bool) -> None:
    salt = Salt(remove={"web": {"action": "remove", "reasons": [], "files": []}})
    ret = state(salt, test=test).absent("web", volumes=True)
    assert ret["result"] is (None if test else True)
    assert salt.calls == [("remove", ("web",), {"volumes": True, "test": test})]
