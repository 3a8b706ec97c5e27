"""Ask many minions one question, and name those that are silent soon.

Salt's own clients wait ``gather_job_timeout`` (a minute, as states that restart networks need it) for a minion that is
down. Here one job goes out; whoever has not answered after a few seconds is pinged, and who does not answer the ping
either is silent. So the usual case costs one job and the bad case some ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

PATIENCE = 5.0  # seconds until minions that have not answered are pinged, and for their answer to the ping
LIMIT = 600.0  # seconds in all
PING, FIND = "test.ping", "saltutil.find_job"


class Bus(Protocol):
    """What is used of Salt's event client."""

    def subscribe(self, tag: str) -> Any: ...
    def unsubscribe(self, tag: str) -> Any: ...
    def get_event(self, wait: float, tag: str, full: bool) -> dict[str, Any] | None: ...


class Client(Protocol):
    """What is used of Salt's LocalClient."""

    event: Any

    def run_job(self, tgt: Any, fun: str, **kwargs: Any) -> dict[str, Any]: ...
    def gather_minions(self, tgt: Any, expr_form: str) -> list[str]: ...


@dataclass
class Answers:
    """Returns per minion, full events; minions that are silent; minions that the master does not know; with
    ``tracked``, those that answer and know nothing of the job any more."""

    returns: dict[str, Any] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    jid: str = ""


class Asker:
    """Publishes jobs and gathers their returns.

    client
        A LocalClient, open.
    new_jid
        Makes a job id.
    """

    def __init__(
        self, client: Client, new_jid: Callable[[], str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.client, self.new_jid, self.clock = client, new_jid, clock

    def ask(
        self,
        hosts: Iterable[str],
        fun: str,
        arg: Iterable[Any] = (),
        kwarg: dict[str, Any] | None = None,
        *,
        patience: float = PATIENCE,
        limit: float = LIMIT,
        tracked: bool = False,
    ) -> Answers:
        """Run ``fun`` on ``hosts``.

        patience
            Seconds after which minions that have not answered are pinged.
        limit
            Seconds after which those that answer pings but not the question count as silent.
        tracked
            Ask for the job in place of a ping: a minion on which its process is gone (killed) would not be waited for
            until the limit.
        """
        wanted = sorted(set(hosts))
        # Publishing to ids without an accepted key would print a line of Salt's to stdout.
        known = set(self.client.gather_minions(wanted, "list")) if wanted else set()
        answers = Answers(unknown=[host for host in wanted if host not in known])
        if known:
            self._gather(answers, known, fun, list(arg), kwarg, patience, limit, tracked)
        answers.silent = sorted(set(answers.silent) | set(answers.unknown))
        return answers

    def _gather(
        self,
        answers: Answers,
        hosts: set[str],
        fun: str,
        arg: list[Any],
        kwarg: dict[str, Any] | None,
        patience: float,
        limit: float,
        tracked: bool,
    ) -> None:
        end = self.clock() + limit
        with _Job(self, hosts, fun, arg, kwarg) as job:
            answers.jid = job.jid
            job.wait(patience)
            idle: set[str] = set()
            while job.waiting and fun not in (PING, FIND):
                question, about = (FIND, [job.jid]) if tracked else (PING, [])
                alive = self.ask(job.waiting, question, about, patience=patience).returns
                job.wait(0.05)  # who answered meanwhile
                # twice: the first time the job may just be beginning, or its return be on its way
                knows_nothing = {host for host in job.waiting if tracked and alive.get(host) == {}}
                answers.lost += sorted(knows_nothing & idle)
                job.waiting -= knows_nothing & idle
                idle = knows_nothing
                answers.silent += sorted(job.waiting - set(alive))
                job.waiting &= set(alive)
                if self.clock() >= end:
                    break
                # whether a return is on its way shows soon
                pause = patience if idle else 3 * patience
                job.wait(min(pause, max(0.0, end - self.clock())))
            answers.silent += sorted(job.waiting)
            answers.returns, answers.failed = job.returns, job.failed


class _Job:
    def __init__(self, asker: Asker, hosts: set[str], fun: str, arg: list[Any], kwarg: dict[str, Any] | None) -> None:
        self.client, self.clock = asker.client, asker.clock
        self.jid, self.waiting = asker.new_jid(), set(hosts)
        self.returns: dict[str, Any] = {}
        self.failed: set[str] = set()
        self.tag = f"salt/job/{self.jid}/ret/"
        self.publication = (sorted(hosts), fun, arg, kwarg)

    def __enter__(self) -> _Job:
        hosts, fun, arg, kwarg = self.publication
        self.client.event.subscribe(self.tag)  # before publishing: an early return would be lost
        self.client.run_job(hosts, fun, arg=arg, kwarg=kwarg, tgt_type="list", jid=self.jid, listen=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.event.unsubscribe(self.tag)

    def wait(self, seconds: float) -> None:
        """Until all have answered or the time is over."""
        end = self.clock() + seconds
        while self.waiting and (left := end - self.clock()) > 0:
            event = self.client.event.get_event(wait=left, tag=self.tag, full=True)
            data = (event or {}).get("data") or {}
            host = data.get("id")
            if host in self.waiting:
                self.waiting.discard(host)
                self.returns[host] = data.get("return")
                if data.get("success") is False or data.get("retcode"):
                    self.failed.add(host)
