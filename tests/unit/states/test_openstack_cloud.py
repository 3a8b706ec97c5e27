"""The states of the first cloud: check, test mode, act, report; and how the master tells of them."""

from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.plan import first_cloud
from saltern.plan.ask import Answers
from unit.adapters import load

INSTANCE = {
    "id": "1", "name": "first", "fixed": "10.9.0.5", "floating": "172.29.0.100", "host": "cmp1", "status": "ACTIVE",
}  # fmt: skip
CHANGE = {"kind": "flavor", "name": "tiny", "what": "create", "field": None}
MENDED = {"kind": "instance", "name": "first", "what": "update", "field": "it was SHUTOFF"}
REACHED = {"ping": 0.0012, "ping_after": 3.0, "banner": "SSH-2.0-guest", "banner_after": 4.5}


def states(test: bool = False, **answers: Any) -> Any:
    def answer(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append((name, args, kwargs))
            if isinstance(answers[name], Exception):
                raise answers[name]
            return answers[name]

        return call

    calls: list[Any] = []
    salt = {f"openstack_cloud.{name}": answer(name) for name in answers}
    made = load("states", "openstack_cloud", salt=salt, opts={"test": test})
    made.calls = calls
    return made


def found(*changes: Any, instance: Any = INSTANCE, **more: Any) -> dict[str, Any]:
    return {"changes": list(changes), "instance": instance, "notes": [], "errors": [], **more}


@pytest.mark.parametrize(("test", "result"), [(True, None), (False, True)])
def test_present_tells_what_changes(test: bool, result: bool | None) -> None:
    module = states(test, first=found(CHANGE, MENDED))
    ret = module.present("p")
    assert ret["result"] is result
    assert ret["changes"] == {"flavor tiny": "create", "instance first": "update (it was SHUTOFF)"}
    assert ret["comment"] == "instance first ACTIVE on cmp1: 10.9.0.5, 172.29.0.100"
    assert module.calls == [("first", (), {"remove": False, "dry_run": test})]


@pytest.mark.parametrize("test", [True, False])
def test_nothing_to_do(test: bool) -> None:
    ret = states(test, first=found(instance=None)).absent("a")
    assert (ret["result"], ret["changes"], ret["comment"]) == (True, {}, "Nothing to do")


def test_errors_are_red_and_what_was_done_is_told() -> None:
    ret = states(first=found(CHANGE, instance=None, errors=["instance first is ERROR: no"])).present("p")
    assert ret["result"] is False and ret["changes"] == {"flavor tiny": "create"}
    assert ret["comment"] == "instance first is ERROR: no"
    ret = states(first=CommandExecutionError("the toolbox does not run")).present("p")
    assert (ret["result"], ret["comment"]) == (False, "the toolbox does not run")


def test_the_instance_answers() -> None:
    module = states(first=found(), answers=REACHED)
    ret = module.answers("a", seconds=60)
    assert ret["result"] is True
    expected = '172.29.0.100 answers a ping (1.2 ms, after 3.0 s) and greets "SSH-2.0-guest" (after 4.5 s)'
    assert ret["comment"] == expected
    assert module.calls[-1] == ("answers", ("172.29.0.100", 60, "first"), {})


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ({**REACHED, "ping": None, "banner": None}, "172.29.0.100 answers no ping within 120 s"),
        ({**REACHED, "banner": None}, "but port 22 says nothing within 120 s"),
        ({**REACHED, "banner": "SSH-2.0-saltern-guest_guest"}, "it does not know its name after 120 s"),
        (CommandExecutionError("no echo can be sent from here"), "no echo can be sent from here"),
    ],
)
def test_an_instance_that_does_not_answer_is_red(reached: Any, expected: str) -> None:
    ret = states(first=found(), answers=reached).answers("a")
    assert ret["result"] is False and expected in ret["comment"]


def test_in_test_mode_nobody_is_asked() -> None:
    assert states(True, first=found()).answers("a")["result"] is None
    assert states(False, first=found(instance=None)).answers("a")["comment"] == (
        "The instance has no floating address to ask"
    )


# -- on the master -----------------------------------------------------------------------------------------------------


class Salt:
    """Answers the one state run."""

    def __init__(self, *states: Any) -> None:
        self.answer: Any = {f"s_|-{n}_|-{n}_|-f": {"__run_num__": n, **state} for n, state in enumerate(states)}
        self.calls: list[Any] = []

    def __call__(self, sls: str, host: str, step: Any, test: bool) -> Answers:
        self.calls.append((sls, host, step, test))
        return Answers(returns={} if self.answer is None else {host: self.answer})


PLAN = {"digest": "d" * 16, "toolbox_host": "ctl1"}


def act(salt: Any, **more: Any) -> Any:
    return first_cloud.act(salt, PLAN, lambda: 1.0, **{"remove": False, "test": False, **more})


def test_the_toolbox_host_is_asked_outside_of_any_run() -> None:
    salt = Salt({"changes": {"flavor tiny": "create"}, "comment": "made"}, {"changes": {}, "comment": "answers"})
    done = act(salt, remove=True)
    ((sls, host, step, test),) = salt.calls
    assert (sls, host, test) == ("openstack.host.first_cloud", "ctl1", False)
    assert (step["run"], step["model"], step["remove"]) == ("", "d" * 16, True)
    assert (done["result"], done["changes"], done["comment"]) == (True, {"flavor tiny": "create"}, "made\nanswers")
    assert first_cloud.lines(done) == ["● flavor tiny   created", "● made", "● answers"]


def test_a_second_time_there_is_nothing_to_do() -> None:
    done = act(Salt({"changes": {}, "comment": "instance first ACTIVE"}))
    assert (done["result"], done["comment"]) == (True, "Nothing to do\ninstance first ACTIVE")


def test_in_test_mode_it_says_what_would_be() -> None:
    done = act(Salt({"changes": {"image tiny": "update (kernel_id)"}, "comment": ""}), test=True)
    assert done["result"] is None
    assert first_cloud.lines(done) == ["○ image tiny   would be updated (kernel_id)"]


def test_a_failure_is_told_once() -> None:
    salt = Salt(
        {"changes": {}, "comment": "the key is there", "result": True},
        {"changes": {}, "comment": "instance first is ERROR: no", "result": False},
        {"changes": {}, "comment": "One or more requisite failed", "__state_ran__": False},
    )
    done = act(salt)
    assert (done["result"], done["comment"]) == (False, "the key is there\ninstance first is ERROR: no")
    assert first_cloud.lines(done) == ["● the key is there", "✗ instance first is ERROR: no"]


@pytest.mark.parametrize(
    ("answer", "expected"), [(None, "ctl1 does not answer"), (["no sls", "at all"], "no sls; at all")]
)
def test_a_host_without_an_answer_of_states(answer: Any, expected: str) -> None:
    salt = Salt()
    salt.answer = answer
    done = act(salt)
    assert (done["result"], done["comment"]) == (False, expected)


def test_a_cloud_without_a_toolbox() -> None:
    with pytest.raises(SalternError, match="no host has the toolbox"):
        first_cloud.act(Salt(), {"digest": "d", "toolbox_host": None}, lambda: 1.0, remove=False, test=False)
