"""Carry out the steps of a run: lock, compare, act where something differs, end. The master's side, without Salt.

:class:`Stepper` gets what it needs of Salt as functions, so that a test can hand it others. Each method returns what
``openstack_step.<method>`` returns as a state, less its name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.plan import compared, compiled, outcome, runs, session
from saltern.plan.ask import Answers
from saltern.plan.journal import Line
from saltern.plan.lock import Holder, RunLock
from saltern.plan.runs import Run
from saltern.plan.session import Session

log = logging.getLogger(__name__)

SLS = {"wave": "converge", "remove": "converge", "prepare": "prepare", "register": "register"}
DONE = {
    "deploy": "Deployed",
    "apply": "Deployed",
    "reconfigure": "Reconfigured",
    "stop": "Stopped",
    "destroy": "Destroyed",
}

Result = dict[str, Any]


class Looker(Protocol):
    """What a comparison needs of Salt."""

    def ask(self, sls: str, hosts: Sequence[str], step: Mapping[str, Any]) -> Answers:
        """Run an SLS in test mode, with the step as pillar, by one job whose silent minions are found soon."""


class Salt(Looker, Protocol):
    """What the steps need of Salt."""

    def call(self, sls: str, hosts: Sequence[str], step: Mapping[str, Any]) -> dict[str, Any]:
        """``salt.state``: run an SLS with ``pillar={"saltern_step": step}``, return its state return."""

    def fire(self, tag: str, data: Mapping[str, Any]) -> None: ...

    def switch(self, root: Path, model: str) -> None:
        """Make a compiled model the current one."""

    def refresh(self, hosts: Sequence[str]) -> None:
        """Have minions fetch their pillar anew, without waiting for them."""

    def digest(self) -> str:
        """Digest of the model as the pillar says now, empty when it has errors."""


@dataclass(frozen=True)
class Order:
    """What a run is asked for.

    model
        Refuse any other compiled model (``apply``); empty: none is refused.
    found
        Refuse when hosts differ from what the plan showed; a fingerprint, empty: none is refused.
    confirm, volumes
        Destroying: the cloud's name; whether the data in its volumes goes too.
    """

    verb: str
    mode: str
    model: str = ""
    found: str = ""
    jid: str = ""
    user: str = ""
    confirm: str = ""
    volumes: bool = False


def look(salt: Looker, plan: Mapping[str, Any], step: Mapping[str, Any], clock: Callable[[], float]) -> dict[str, Any]:
    """Ask every host of a plan once what differs; gives the comparison's document. Changes nothing."""
    begun, hosts = clock(), list(plan["hosts"])
    answers = salt.ask("openstack.host.compare", hosts, step)
    found = compared.document(answers.returns, hosts, model=plan["digest"], mode=step["mode"], seconds=clock() - begun)
    return {**found, "unknown": answers.unknown}


def asked(plan: Mapping[str, Any], mode: str, clock: Callable[[], float], **fields: Any) -> dict[str, Any]:
    """What a step tells its hosts (``pillar["saltern_step"]``); without a run nothing may be changed."""
    step = {"run": "", "model": plan["digest"], "verb": mode, "mode": mode, "containers": None, "service": None}
    return {**step, "now": clock(), **fields}


class Stepper:
    """The steps of one run.

    root
        The master's state root.
    clock
        Seconds since the epoch.
    """

    def __init__(self, root: Path, salt: Salt, clock: Callable[[], float]) -> None:
        self.root, self.salt, self.clock = root, salt, clock

    # -- begin ---------------------------------------------------------------------------------------------------------

    def begin(self, plan: Mapping[str, Any], order: Order, *, test: bool) -> Result:
        """Take the lock, write ``run.json``, switch the current model. Raises LockHeld, SalternError."""
        _check_order(plan, order, test=test)
        made = Session(plan, order.verb, order.mode, self.clock(), expected=order.found, volumes=order.volumes)
        if test:
            session.begin(made)
            return _result(None, f"would run {order.verb} of model {plan['digest'][:6]}; nothing is locked or written")
        run = Run(self.root, runs.new_id(made.began))
        holder = Holder(run.id, os.getpid(), plan["digest"], order.verb, made.began)
        runs.take(RunLock(self.root), holder)
        steps = session.steps(plan, order.mode)
        run.create(_document(run, made, order, steps))
        self.salt.switch(self.root, plan["digest"])
        if compiled.told(self.root) != plan["digest"]:
            # Jobs that are no states see the pillar that the minion holds: also the secrets that it has to mask.
            self.salt.refresh(list(plan["hosts"]))
            compiled.tell(self.root, plan["digest"])
        made.run = run
        session.begin(made)
        self._note(made, "begin", title=f"{order.verb} run {run.id}", hosts=list(plan["hosts"]))
        self._fire(made, "begin", {"verb": order.verb, "model": plan["digest"], "hosts": list(plan["hosts"])})
        runs.prune(self.root)
        return _result(True, f"run {run.id}, model {plan['digest'][:6]}, {len(plan['hosts'])} hosts")

    # -- compare -------------------------------------------------------------------------------------------------------

    def compare(self) -> Result:
        """Ask every host once what differs; fails when one is silent, refuses or fails a precheck."""
        made = session.current()
        step = made.step("compare")
        self._start(made, step, step["hosts"])
        found = look(self.salt, made.plan, self._pillar(made, step), self.clock)
        made.found = found
        if made.run:
            made.run.save_compare(found)
        done = outcome.Outcome(summary=_differ(found))
        done.comment = compared.problem(found) or self._surprise(made, found)
        done.result = "failed" if done.comment else "ok"
        return self._end(made, step, step["hosts"], done, found["seconds"])

    @staticmethod
    def _surprise(made: Session, found: Mapping[str, Any]) -> str:
        if not made.expected or compared.fingerprint(dict(found)) == made.expected:
            return ""
        return "the hosts are not as the plan showed them any more; look again: salt-run openstack.plan"

    def precheck(self, plan: Mapping[str, Any], master: Sequence[str] = ()) -> Result:
        """Ask every host for everything that can be checked before a run.

        master
            What is wrong with the master itself, sentences.
        """
        hosts, step = list(plan["hosts"]), asked(plan, "deploy", self.clock)
        answers = self.salt.ask("openstack.host.precheck", hosts, step)
        found = compared.document(answers.returns, hosts, model=plan["digest"], mode="deploy", seconds=0.0)
        wrong = "\n".join(filter(None, (*master, compared.problem(found))))
        good = f"{_many(len(hosts), 'host')} checked, nothing is wrong"
        return _result(not wrong, "\n".join(filter(None, (wrong or good, compared.remarks(found)))))

    # -- the plan's steps ----------------------------------------------------------------------------------------------

    def act(self, step_id: str) -> Result:
        """Carry out a step where the comparison found something to do."""
        made = session.current()
        step = made.step(step_id)
        hosts = self._due(made, step)
        if not hosts:
            if made.run:
                self._note(made, "step_end", step=step, result="skipped", seconds=0.0, summary="nothing to do")
            return _result(True, "nothing to do")
        if made.test:
            return _result(None, f"would change {', '.join(hosts)}", _changes(made.compared(), step, hosts))
        self._start(made, step, hosts)
        begun = self.clock()
        done = self._run(made, step, hosts)
        return self._end(made, step, hosts, done, self.clock() - begun)

    def _due(self, made: Session, step: Mapping[str, Any]) -> list[str]:
        if made.mode != "deploy" and step["kind"] in ("prepare", "register"):
            return []
        return compared.due_hosts(step, made.compared(), made.plan)

    def _run(self, made: Session, step: Mapping[str, Any], hosts: Sequence[str]) -> outcome.Outcome:
        groups = [[host] for host in hosts] if step.get("serial") else [list(hosts)]
        done = outcome.Outcome()
        sls = f"openstack.host.{made.mode if made.mode in ('stop', 'destroy') else SLS[step['kind']]}"
        for number, group in enumerate(groups):
            ret = self.salt.call(sls, group, self._pillar(made, step))
            done.add(outcome.from_state(ret, group))
            if done.result == "failed":
                done.untouched = [host for rest in groups[number + 1 :] for host in rest]
                break
        return done

    # -- finish --------------------------------------------------------------------------------------------------------

    def finish(self) -> Result:
        """Say how it went, note a pillar edited meanwhile, close the run. Comes after all steps, failed or not."""
        made = session.current()
        if made.run is None:
            return _result(None, "a test: nothing was changed")
        ended = {line["step"]: line for line in made.run.journal.read() if line.get("event") == "step_end"}
        failed = [line for line in ended.values() if line.get("result") == "failed"]
        seconds = self.clock() - made.began
        summary = _summary(made, list(ended.values()), seconds)
        now = self.salt.digest()
        moved = bool(now) and now != made.plan["digest"]
        comment = f"The pillar was edited meanwhile (model {now[:6]}); run deploy again." if moved else ""
        result = "failed" if failed else "ok"
        missing = [step["id"] for step in session.steps(made.plan, made.mode) if step["id"] not in ended]
        if missing and not failed:
            result, summary = "failed", f"{made.verb.capitalize()} failed: steps that never ended: {', '.join(missing)}"
        self._note(made, "end", result=result, seconds=seconds, summary=summary, comment=comment)
        RunLock(self.root).close(made.run.id)
        self._fire(made, "end", {"result": result, "summary": summary})
        return _result(result == "ok", "\n".join(filter(None, (summary, comment))))

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _pillar(self, made: Session, step: Mapping[str, Any]) -> dict[str, Any]:
        containers = list(step.get("containers", [])) or None
        fields = {"run": made.run_id, "verb": made.verb, "containers": containers, "service": step.get("service")}
        if made.mode == "destroy":
            fields["volumes"] = made.volumes
        return asked(made.plan, made.mode, self.clock, **fields)

    def _start(self, made: Session, step: Mapping[str, Any], hosts: Sequence[str]) -> None:
        if made.run:
            line = self._note(made, "step_start", step=step, hosts=list(hosts))
            self._fire(made, "step/start", line)

    def _end(
        self, made: Session, step: Mapping[str, Any], hosts: Sequence[str], done: outcome.Outcome, seconds: float
    ) -> Result:
        if made.run:
            line = self._note(
                made,
                "step_end",
                step=step,
                hosts=list(hosts),
                result=done.result,
                seconds=round(seconds, 3),
                summary=done.summary,
                detail=done.detail,
                failures=done.failures,
                untouched=done.untouched,
                comment=done.comment,
            )
            self._fire(made, "step/end", {key: value for key, value in line.items() if key != "detail"})
        ok = done.result != "failed"
        comment = "\n".join(filter(None, (done.summary, *map(_failure, done.failures), done.comment)))
        return _result(ok, comment, done.detail)

    def _note(self, made: Session, event: str, step: Mapping[str, Any] | None = None, **fields: Any) -> Line:
        line: Line = {"at": self.clock(), "event": event}
        if step:
            line |= {"step": step["id"], "title": step["title"]}
        line |= fields
        if made.run:
            made.run.journal.append(line)
        return line

    def _fire(self, made: Session, what: str, data: Mapping[str, Any]) -> None:
        fields = {key: value for key, value in data.items() if key != "at"}
        payload = events.stamped(made.plan.get("cloud", ""), self.clock(), run=made.run_id, **fields)
        try:
            self.salt.fire(events.run_tag(made.run_id, what), payload)
        except Exception as exc:  # the journal is the truth; an event lost is a viewer woken later
            log.warning("event %s of run %s was not fired: %s", what, made.run_id, exc)


def _check_order(plan: Mapping[str, Any], order: Order, *, test: bool) -> None:
    if order.mode not in session.MODES:
        raise SalternError(f"no such mode: {order.mode}")
    if order.model and not plan["digest"].startswith(order.model):
        raise SalternError(
            f"the model is {plan['digest'][:6]} by now, not {order.model[:6]}: the pillar has changed",
            hint="Look again: salt-run openstack.plan",
        )
    if order.mode == "destroy" and not test and order.confirm != plan["cloud"]:
        raise SalternError(
            f"this removes every container of cloud {plan['cloud']} on {len(plan['hosts'])} hosts",
            hint=f"""If you mean it: salt-run state.orch openstack.destroy pillar='{{"confirm": "{plan["cloud"]}"}}'""",
        )


def _document(run: Run, made: Session, order: Order, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = ("id", "title", "kind", "service", "hosts", "containers", "serial", "requires")
    return {
        "run": run.id,
        "verb": order.verb,
        "mode": order.mode,
        "model": made.plan["digest"],
        "cloud": made.plan["cloud"],
        "started": made.began,
        "pid": os.getpid(),
        "jid": order.jid,
        "user": order.user,
        "hosts": list(made.plan["hosts"]),
        "steps": [{key: step[key] for key in keys if key in step} for step in steps],
    }


def _result(result: bool | None, comment: str, changes: Mapping[str, Any] | None = None) -> Result:
    return {"result": result, "comment": comment, "changes": dict(changes or {})}


def _changes(found: dict[str, Any], step: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, Any]:
    if step["kind"] in ("prepare", "register"):
        return {host: {step["service"]: (found["toolbox"] or {}).get(step["service"], "all of it")} for host in hosts}
    differing = compared.differing(found)
    wanted = step["containers"]
    return {
        host: {name: change for name, change in differing.get(host, {}).items() if not wanted or name in wanted}
        for host in hosts
    }


def _differ(found: Mapping[str, Any]) -> str:
    number = sum(len(changes) for changes in compared.differing(dict(found)).values())
    return f"{number} container{'' if number == 1 else 's'} differ{'s' if number == 1 else ''}" if number else ""


def _failure(failure: Mapping[str, Any]) -> str:
    return f"{failure.get('container')} on {failure.get('host')}: {failure.get('message', 'not healthy')}"


def _summary(made: Session, ended: Sequence[Line], seconds: float) -> str:
    acted = [line for line in ended if line.get("step") != "compare" and line.get("result") != "skipped"]
    failed = [line for line in ended if line.get("result") == "failed"]
    if failed:
        return f"{made.verb.capitalize()} failed after {_seconds(seconds)}: {failed[0].get('title', '')}"
    if not acted:
        found = made.compared()
        containers = sum(len(host["containers"]) for host in made.plan["hosts"].values())
        return (
            f"Nothing to do: {_many(len(made.plan['hosts']), 'host')}, {_many(containers, 'container')}, "
            f"all as the model says (compared in {_seconds(found['seconds'])})."
        )
    counts: dict[str, int] = {}
    for line in acted:
        for word, number in outcome.counts(line.get("detail") or {}).items():
            counts[word] = counts.get(word, 0) + number
    first = {"stop": "stopped", "destroy": "removed"}.get(made.mode, "started")
    others = [word for word in ("replaced", "reloaded", "removed", "stopped") if word != first and counts.get(word)]
    if counts:
        parts = [f"{_many(counts.get(first, 0), 'container')} {first}", *(f"{counts[word]} {word}" for word in others)]
    else:  # databases, users, endpoints, jobs only
        parts = [str(line["summary"]) for line in acted if line.get("summary")] or ["no container touched"]
    done = ", ".join(parts)
    how = DONE.get(made.verb, made.verb.capitalize())
    return f"{how} in {_seconds(seconds)}: {_many(len(acted), 'step')}, {done}, 0 failed."


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _seconds(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60} m {round(seconds) % 60} s"
