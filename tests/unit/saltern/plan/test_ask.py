"""One job, and minions that are silent found soon; with a pretended client and clock."""

from __future__ import annotations

from typing import Any

from saltern.plan.ask import Asker


class FakeMaster:
    """Minions answer after so many seconds; None = never. Time passes by waiting only."""

    def __init__(self, **delays: float | None) -> None:
        self.delays, self.now = delays, 0.0
        self.jobs: list[tuple[str, list[str]]] = []
        self.pending: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self.event = self
        self.deaf: set[str] = set()
        self.killed: set[str] = set()  # alive, but the job's process is gone

    def gather_minions(self, tgt: Any, expr_form: str) -> list[str]:
        return [host for host in tgt if host in self.delays]

    def run_job(self, tgt: Any, fun: str, **kwargs: Any) -> dict[str, Any]:
        self.jobs.append((fun, list(tgt)))
        queue = self.pending.setdefault(f"salt/job/{kwargs['jid']}/ret/", [])
        for host in tgt:
            delay = self.delays[host]
            if fun in ("test.ping", "saltutil.find_job") and host not in self.deaf:
                delay = 0.1 if delay is not None or host in self.killed else None
            if delay is not None:
                answer = {"jid": "0"} if host not in self.killed else {}
                value = answer if fun == "saltutil.find_job" else fun
                queue.append((self.now + delay, {"id": host, "return": value, "success": True, "retcode": 0}))
        return {}

    def subscribe(self, tag: str) -> None:
        self.pending.setdefault(tag, [])

    def unsubscribe(self, tag: str) -> None:
        del self.pending[tag]

    def get_event(self, wait: float, tag: str, full: bool) -> dict[str, Any] | None:
        queue = sorted(self.pending[tag], key=lambda item: item[0])
        if queue and queue[0][0] <= self.now + wait:
            self.now = max(self.now, queue[0][0])
            self.pending[tag].remove(queue[0])
            return {"tag": tag, "data": queue[0][1]}
        self.now += wait
        return None


def ask(master: FakeMaster, *hosts: str) -> Any:
    ids = iter(range(100))
    return Asker(master, lambda: str(next(ids)), clock=lambda: master.now).ask(hosts, "state.sls")


def test_the_usual_case_is_one_job() -> None:
    master = FakeMaster(ctl1=0.5, ctl2=1.0)
    answers = ask(master, "ctl1", "ctl2")
    assert answers.returns == {"ctl1": "state.sls", "ctl2": "state.sls"}
    assert master.jobs == [("state.sls", ["ctl1", "ctl2"])]
    assert master.now < 1.1
    assert master.pending == {}


def test_a_slow_minion_is_pinged_and_waited_for() -> None:
    master = FakeMaster(ctl1=0.5, ctl2=60.0)
    answers = ask(master, "ctl1", "ctl2")
    assert answers.silent == []
    assert "ctl2" in answers.returns


def test_a_silent_minion_is_named_soon() -> None:
    master = FakeMaster(ctl1=0.5, ctl2=None)
    answers = ask(master, "ctl1", "ctl2")
    assert answers.silent == ["ctl2"]
    assert list(answers.returns) == ["ctl1"]
    assert master.now < 15


def test_an_unknown_minion_costs_nothing() -> None:
    master = FakeMaster(ctl1=0.1)
    answers = ask(master, "ctl1", "ctl9")
    assert (answers.silent, answers.unknown) == (["ctl9"], ["ctl9"])
    assert master.now < 1
    assert ask(FakeMaster(), "ctl9").silent == ["ctl9"]


def test_a_job_that_was_killed_is_not_waited_for() -> None:
    master = FakeMaster(b1=None, b2=300.0)
    master.killed = {"b1"}
    ids = iter(range(1000))
    asker = Asker(master, lambda: str(next(ids)), clock=lambda: master.now)
    answers = asker.ask(["b1", "b2"], "openstack_image.build", limit=7200, tracked=True)
    assert answers.lost == ["b1"]
    assert answers.silent == []
    assert set(answers.returns) == {"b2"}
    assert ("test.ping", ["b1"]) not in master.jobs
