"""A compute or network host leaves the cloud: closed, emptied, cleared of containers, forgotten; in this order.

    look (nothing changes) → refuse, or: disable, move routers and networks, move instances → remove containers →
    remove its records in Nova, Neutron and Placement

Whatever ends it between two steps, the same call goes on: each step looks first. Records go last, as a running agent
would only register again; instances are never given up, and while one is there nothing after it happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from saltern.contract.errors import SalternError
from saltern.plan import outcome, runs
from saltern.plan.ask import Answers
from saltern.plan.lock import Holder, RunLock
from saltern.plan.runs import Run
from saltern.plan.stepper import asked

VERB = "host_remove"
ROLES = {"compute", "network", "builder"}  # of the others, what they hold needs another way
CHUNK = 60.0  # seconds that one call moves instances
LIMIT = 900.0  # seconds for one answer
TITLES = {"empty": "Empty {host}", "containers": "Remove the containers of {host}", "forget": "Forget {host}"}

Found = dict[str, Any]


class Ask(Protocol):
    """Ask hosts (``saltern_front.front.Front.ask``)."""

    def __call__(
        self, hosts: Iterable[str], function: str, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Answers: ...  # fmt: skip


class Refusal(SalternError):
    """It must not be done; nothing was changed."""


@dataclass(frozen=True)
class Wish:
    """What the operator asked for.

    move
        Move instances away.
    force
        The host is gone for good: its minion need not answer, and what only it did may stop.
    wait
        Seconds for moving instances.
    """

    host: str
    move: bool = False
    force: bool = False
    wait: float = 1800.0


class Departure:
    """One host's leaving.

    root
        The master's state root.
    plan
        The plan of the model in force.
    clock
        Seconds since the epoch.
    say
        Shows a line while it goes on.
    """

    def __init__(
        self, root: Path, plan: Mapping[str, Any], wish: Wish, ask: Ask, clock: Callable[[], float],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self.root, self.plan, self.wish, self.ask, self.clock, self.say = root, plan, wish, ask, clock, say
        self.host = wish.host
        self.steps: list[dict[str, Any]] = []

    # -- before --------------------------------------------------------------------------------------------------------

    def look(self) -> Found:
        """What the cloud knows of the host and what would change.

        Raises Refusal where it must not be done, SalternError where the cloud cannot be asked.
        """
        self._check_roles()
        found = self._toolbox("host_empty", dry_run=True)
        if found["errors"]:
            raise SalternError("; ".join(found["errors"]), hint="Nothing was changed")
        found["silent"] = bool(self._containers()) and self._silent()
        self._check_instances(found)
        if found["silent"] and not self.wish.force:
            raise Refusal(
                f"{self.host} does not answer, so its containers cannot be removed",
                hint="Start its salt-minion; if the machine is gone for good: force=True",
            )
        return found

    def _check_roles(self) -> None:
        known = self.plan["hosts"].get(self.host)
        if known is None:
            if self.wish.force:
                return
            raise Refusal(
                f"the deployed model has no host {self.host}",
                hint=f"There are: {', '.join(sorted(self.plan['hosts']))}. "
                "To remove the records of one that was taken out before: force=True",
            )
        roles = set(known["roles"])
        if roles - ROLES:
            raise Refusal(
                f"{self.host} also has the roles {', '.join(sorted(roles - ROLES))}",
                hint="Only what compute and network do can be moved away by this verb",
            )
        if not roles & {"compute", "network"}:
            raise Refusal(f"{self.host} has neither role compute nor network", hint="Take it out of openstack:hosts")
        others = [host for name, host in self.plan["hosts"].items() if name != self.host]
        if "network" in roles and not self.wish.force and not any("network" in host["roles"] for host in others):
            raise Refusal(
                f"{self.host} is the only host with the role network: routers and DHCP would stop everywhere",
                hint="Give another host that role and deploy; or force=True",
            )

    def _check_instances(self, found: Found) -> None:
        names = [f"{entry['name']} ({entry['status']})" for entry in found["instances"]]
        if not names:
            return
        what = f"{len(names)} instance{'' if len(names) == 1 else 's'} on {self.host}: {', '.join(names)}"
        if not self.wish.move:
            raise Refusal(what, hint="Move them: move=True (live where that works, else cold); or delete them first")
        if not found["up"]:
            raise Refusal(
                f"the hypervisor of {self.host} is down, so nothing can be moved off it; {what}",
                hint="Bring it back; or evacuate or delete these instances first",
            )
        if not found["elsewhere"]:
            raise Refusal(f"no other hypervisor is up and enabled; {what}", hint="See salt-run openstack.status")

    def _silent(self) -> bool:
        return self.host in self.ask([self.host], "test.ping").silent

    def _containers(self) -> list[str]:
        return list((self.plan["hosts"].get(self.host) or {}).get("containers") or [])

    # -- doing it ------------------------------------------------------------------------------------------------------

    def go(self, found: Found) -> bool:
        """Carry it out under the run lock, as a run that ``openstack.runs`` and ``show`` know; whether all went well.

        found
            What :meth:`look` saw.

        Raises LockHeld while another run is open.
        """
        begun = self.clock()
        run = Run(self.root, runs.new_id(begun))
        lock = RunLock(self.root)
        runs.take(lock, Holder(run.id, os.getpid(), self.plan["digest"], VERB, begun))
        try:
            run.create(self._document(run, begun))
            run.journal.append({"at": begun, "event": "begin", "title": f"{VERB} run {run.id}", "hosts": [self.host]})
            good = (
                self._step(run, "empty", self._empty)
                and (
                    found["silent"]
                    or not self._containers()
                    or self._step(run, "containers", lambda: self._remove(run.id))
                )
                and self._step(run, "forget", self._forget)
            )
            summary = f"{self.host} has left the cloud" if good else f"{self.host} has not left the cloud yet"
            end = {"at": self.clock(), "event": "end", "result": "ok" if good else "failed", "summary": summary}
            run.journal.append({**end, "seconds": self.clock() - begun})
            return good
        finally:
            lock.close(run.id)

    def reopen(self) -> Found:
        """Take the host back: enable what :meth:`go` has disabled."""
        return self._toolbox("host_empty", reopen=True)

    def _step(self, run: Run, name: str, work: Callable[[], tuple[list[str], str]]) -> bool:
        title, begun = TITLES[name].format(host=self.host), self.clock()
        run.journal.append({"at": begun, "event": "step_start", "step": name, "title": title, "hosts": [self.host]})
        self.say(f"◐ {title}")
        try:
            lines, error = work()
        except SalternError as exc:
            lines, error = [], str(exc)
        seconds = round(self.clock() - begun, 3)
        result = "failed" if error else "changed" if lines else "ok"
        made = {"step": name, "title": title, "result": result, "seconds": seconds, "lines": lines, "comment": error}
        self.steps.append(made)
        line = {"at": self.clock(), "event": "step_end", "hosts": [self.host], "summary": "; ".join(lines)}
        run.journal.append({**line, **{key: made[key] for key in made if key != "lines"}})
        return not error

    def _empty(self) -> tuple[list[str], str]:
        end = self.clock() + self.wish.wait
        lines: list[str] = []
        cold: list[str] = []
        while True:
            seconds = max(0.0, min(CHUNK, end - self.clock()))
            found = self._toolbox("host_empty", move=self.wish.move, seconds=seconds, cold=cold)
            if "instances" not in found:  # the cloud stopped answering
                return lines, "\n".join(found["errors"])
            for line in would(found):
                lines.append(line)
                self.say(f"  {line}")
            if found["errors"] and not (self.wish.force and not found["instances"]):
                return lines, "\n".join(found["errors"])
            left = [entry["name"] for entry in found["instances"]]
            if not left:
                return lines, ""
            if not self.wish.move or self.clock() >= end:
                return lines, f"still on {self.host} after {self.wish.wait:.0f} s: {', '.join(left)}"
            cold = found["cold"]

    def _remove(self, run: str) -> tuple[list[str], str]:
        step = asked(self.plan, "destroy", self.clock, run=run, verb=VERB, volumes=False)
        kwargs = {"queue": True, "pillar": {"saltern_step": step}}
        answers = self.ask([self.host], "state.sls", ["openstack.host.destroy"], kwargs, limit=LIMIT, tracked=True)
        if self.host not in answers.returns:
            return [], f"{self.host} did not answer"
        ret = {"result": self.host not in answers.failed, "changes": {"ret": answers.returns}}
        done = outcome.from_state(ret, [self.host])
        names = sorted(done.detail.get(self.host, {}))
        lines = [f"{len(names)} containers removed; data in their volumes stays"] if names else []
        if done.result != "failed":
            return lines, ""
        failures = [f"{each.get('container')}: {each.get('message', 'failed')}" for each in done.failures]
        return lines, "\n".join([*failures, done.comment]).strip() or "failed without a reason"

    def _forget(self) -> tuple[list[str], str]:
        found = self._toolbox("host_forget")
        return [_told(change) for change in found["changes"]], "\n".join(found["errors"])

    def _toolbox(self, function: str, **kwargs: Any) -> Found:
        where = self.plan.get("toolbox_host")
        if not where:
            raise SalternError("no host has the toolbox", hint="One host needs the role control (openstack:hosts)")
        answers = self.ask([where], f"openstack_cloud.{function}", [self.host], kwargs, limit=LIMIT)
        found = answers.returns.get(where)
        if where in answers.failed or not isinstance(found, Mapping) or "errors" not in found:
            said = str(found) if where in answers.returns else f"{where} does not answer"
            raise SalternError(said, hint="See salt-run openstack.status")
        return dict(found)

    def _document(self, run: Run, begun: float) -> dict[str, Any]:
        steps = [
            {"id": name, "title": title.format(host=self.host), "kind": VERB, "hosts": [self.host]}
            for name, title in TITLES.items()
        ]
        return {
            "run": run.id,
            "verb": VERB,
            "mode": VERB,
            "model": self.plan["digest"],
            "cloud": self.plan["cloud"],
            "started": begun,
            "pid": os.getpid(),
            "jid": "",
            "user": "",
            "hosts": [self.host],
            "steps": steps,
        }


def would(found: Mapping[str, Any]) -> list[str]:
    """Changes of a look, in words."""
    return [_told(change) for change in found["changes"]]


def _told(change: Mapping[str, Any]) -> str:
    """``router first: moved``, ``agent neutron-l3-agent: removed``."""
    what = "removed" if change["what"] == "delete" else change.get("field") or change["what"]
    return f"{change['kind']} {change['name']}: {what}"
