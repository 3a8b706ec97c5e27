"""The first cloud, asked for on the master: one state run on the toolbox host, its outcome in lines for a person.

It is no run: containers stay as they are, so it takes no lock; the toolbox host refuses while a run is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saltern.contract.errors import SalternError
from saltern.plan.ask import Answers
from saltern.plan.stepper import asked

SLS = "openstack.host.first_cloud"

Result = dict[str, Any]
# Runs an SLS on one host with a step as pillar, in test mode or not: (sls, host, step, test).
Ask = Callable[[str, str, Mapping[str, Any], bool], Answers]


def act(ask: Ask, plan: Mapping[str, Any], clock: Callable[[], float], *, remove: bool, test: bool) -> Result:
    """Make or remove it. Whoever calls has seen to it that no run is open (`saltern.plan.lock.RunLock.refuse`).

    ask
        Not ``salt.state``: that tells nothing of states without changes.
    plan
        The compiled plan whose toolbox host does it.
    clock
        Seconds since the epoch.

    Returns the fields of a state, and ``told``: each comment with whether it is a good one.

    Raises SalternError where no host has the toolbox.
    """
    host = plan.get("toolbox_host")
    if not host:
        raise SalternError("no host has the toolbox", hint="One host needs the role control (openstack:hosts)")
    answers = ask(SLS, host, {**asked(plan, "first_cloud", clock), "remove": remove}, test)
    states = _states(answers.returns.get(host))
    changes = {key: value for state in states for key, value in (state.get("changes") or {}).items()}
    told = [(state.get("result") is not False, str(state["comment"])) for state in states if _told(state)]
    if not states:
        told = [(False, _error(answers.returns.get(host), host))]
    good = all(fine for fine, _ in told)
    if good and not changes:
        told.insert(0, (True, "Nothing to do"))
    comment = "\n".join(text for _, text in told)
    result = False if not good else None if test and changes else True
    return {"result": result, "changes": changes, "comment": comment, "told": told}


def begins(plan: Mapping[str, Any], *, remove: bool, test: bool) -> str:
    """What is said before: it may take a minute or two until there is more to say."""
    what = "What would be made or removed is compared" if test else "It is removed" if remove else "It is made"
    rest = "" if remove or test else ": flavors, images, networks, an instance, and its answer"
    return f"◐ {what} on {plan.get('toolbox_host')}{rest}"


def lines(done: Mapping[str, Any]) -> list[str]:
    """What is shown while the orchestration runs: one line a change, then how it ended."""
    width = max([len(key) for key in done["changes"]] + [0]) + 3
    mark = "○" if done["result"] is None else "●"
    shown = [f"{mark} {key:<{width}}{_past(value, done['result'])}" for key, value in done["changes"].items()]
    return shown + [
        f"{'●' if good else '✗'} {line}" for good, text in done["told"] for line in text.splitlines() if line
    ]


def _past(what: str, result: bool | None) -> str:
    word, _, rest = what.partition(" ")
    done = {"create": "created", "update": "updated", "delete": "removed"}.get(word, word)
    return f"{'would be ' if result is None else ''}{done} {rest}".rstrip()


def _states(answer: Any) -> list[Mapping[str, Any]]:
    """The host's states in the order in which they ran; none where it answered with something else."""
    found = list(answer.values()) if isinstance(answer, Mapping) else []
    if not all(isinstance(state, Mapping) for state in found):
        return []
    return sorted(found, key=lambda state: state.get("__run_num__", 0))


def _told(state: Mapping[str, Any]) -> bool:
    """States that did not run only repeat that another failed."""
    return bool(state.get("__state_ran__", True)) and state.get("comment") not in ("", None, "Nothing to do")


def _error(answer: Any, host: str) -> str:
    if answer in (None, False, {}):
        return f"{host} does not answer"
    return "; ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
