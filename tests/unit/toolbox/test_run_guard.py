"""No state acts without a valid model, nor for a run that is not the open one."""

from typing import Any

import pytest

from saltern.contract.errors import InvalidModel, RunClosed, SalternError
from saltern.host import run_guard


def pillar(asked: str | None = None, opened: str | None = None, **model: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"saltern": {"model": "m", "errors": [], **model}}
    if asked is not None:
        made["saltern_step"] = {"run": asked}
    if opened is not None:
        made["saltern_run"] = opened
    return made


@pytest.mark.parametrize(("asked", "opened"), [(None, None), ("r1", "r1")])
def test_the_open_run_may_act(asked: str | None, opened: str | None) -> None:
    assert run_guard.admitted(pillar(asked, opened))["model"] == "m"


@pytest.mark.parametrize(("asked", "opened"), [("r1", None), ("r1", "r2"), (None, "r2")])
def test_any_other_job_is_refused(asked: str | None, opened: str | None) -> None:
    with pytest.raises(RunClosed):
        run_guard.admitted(pillar(asked, opened))


def test_looking_beside_an_open_run_is_fine_but_not_for_a_closed_one() -> None:
    run_guard.admitted(pillar(None, "r2"), test=True)
    with pytest.raises(RunClosed):
        run_guard.admitted(pillar("r1", "r2"), test=True)


def test_without_a_model_nothing_is_done() -> None:
    with pytest.raises(SalternError, match="no model"):
        run_guard.slice_of({})


@pytest.mark.parametrize("error", [{"file": "f", "line": 3, "key": "k", "expected": "e", "found": "x"}, "text"])
def test_a_model_with_errors_is_refused(error: Any) -> None:
    with pytest.raises(InvalidModel, match="1 error"):
        run_guard.slice_of(pillar(errors=[error]))
