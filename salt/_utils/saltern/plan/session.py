"""The run that this process carries out: what its first step learned and every later step needs.

Set in the parent by the first steps (they are not parallel), inherited by the forked steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import SalternError
from saltern.plan.runs import Run

COMPARE = {"id": "compare", "title": "Compare every host with the model", "kind": "compare"}
REMOVE = {"id": "remove", "title": "Remove containers the model no longer knows", "kind": "remove"}
MODES = ("deploy", "reconfigure", "stop", "destroy")


@dataclass
class Session:
    """One run, or a test of one (``run`` is None: no lock, no write, no job but the comparing one)."""

    plan: Mapping[str, Any]
    verb: str
    mode: str
    began: float
    run: Run | None = None
    found: dict[str, Any] | None = None
    expected: str = ""
    volumes: bool = False
    pid: int = field(default_factory=os.getpid)
    screen: int | None = None  # descriptor that ends when the painter of live lines has ended

    @property
    def test(self) -> bool:
        return self.run is None

    @property
    def run_id(self) -> str:
        return self.run.id if self.run else ""

    def compared(self) -> dict[str, Any]:
        """What the comparing step found. Raises SalternError before that step."""
        if self.found is None and self.run is not None:
            self.found = self.run.compare()
        if self.found is None:
            raise SalternError("nothing was compared yet", hint="openstack_step.compare comes before all other steps")
        return self.found

    def step(self, step_id: str) -> dict[str, Any]:
        """The step of the plan. Raises SalternError when there is none."""
        for step in steps(self.plan, self.mode):
            if step["id"] == step_id:
                return step
        raise SalternError(f"the plan of model {self.plan['digest'][:6]} has no step {step_id!r}")


def steps(plan: Mapping[str, Any], mode: str) -> list[dict[str, Any]]:
    """All steps of a run in the order in which a person reads them: the plan's, between compare and the last removal.

    Stopping and destroying take the waves backwards, one after another: what others need goes last. So are the hosts of
    a wave: the member of a cluster that was stopped last knows most, and is the one that a start begins with.
    """
    hosts = list(plan["hosts"])
    compare = {**COMPARE, "hosts": hosts, "containers": [], "requires": [], "serial": 0}
    if mode in ("stop", "destroy"):
        waves = [dict(step) for step in reversed(plan["steps"]) if step["kind"] == "wave"]
        verb = mode.capitalize()
        for wave in waves:
            wave["title"] = wave["title"].replace("Start", verb, 1)
            wave["hosts"] = wave["hosts"][::-1]
        found = [compare, *waves]
    else:
        found = [compare, *(dict(step) for step in plan["steps"])]
    if mode in ("deploy", "destroy"):
        found.append({**REMOVE, "hosts": hosts, "containers": [], "requires": [], "serial": 0})
    return found


_session: Session | None = None


def begin(session: Session) -> Session:
    """Make this the run of the process."""
    global _session
    _session = session
    return session


def current() -> Session:
    """The run of this process or of its parent. Raises SalternError when there is none."""
    if _session is None:
        raise SalternError("no run is open", hint="openstack_step.begin comes before all other steps")
    return _session


def end() -> None:
    """Forget the run."""
    global _session
    _session = None
