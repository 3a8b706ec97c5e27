"""The recovery engine as one object: takes in events, decides, writes down why, gives orders. Knows nothing of Salt.

It owns no thread: its engine feeds it events (`event`), wakes it (`tick`), and lends it two hands, `send` for orders
and `fire` for events. Whatever it is fed, it does not raise: one bad event must not stop the healing of all others.
"""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.plan import compiled
from saltern.recovery import files, incoming, openrun
from saltern.recovery import sweep as sweeps
from saltern.recovery.decide import Decision
from saltern.recovery.drivers import Drivers, Order, Scene
from saltern.recovery.evidence import Evidence, Settings, settings_from
from saltern.recovery.history import History
from saltern.recovery.incoming import Message
from saltern.recovery.leases import Leases
from saltern.recovery.queue import Queue
from saltern.recovery.single import Single
from saltern.recovery.state import WINDOW, Key, State, fold

log = logging.getLogger(__name__)

UNDER_WAY = 5.0  # seconds until a failure is looked at again whose lease another order has
LATE = 3.0  # seconds that an event from an outbox waits for what came after it
SEEN_MOST = 5000
LATELY = 900.0  # seconds; hosts report every five minutes

Send = Callable[[Order], str]
Fire = Callable[[str, dict[str, Any]], object]


class Recoverer:
    """Decides about failures for one cloud.

    root
        The master's state root.
    send
        Gives an order to a minion; returns the id of the job.
    fire
        Fires an event on the master's bus.
    """

    def __init__(self, root: Path, send: Send, fire: Fire, now: float, drivers: Drivers | None = None) -> None:
        self.root, self._send, self._fire = root, send, fire
        heal = root / "heal"
        self.queue, self.leases = Queue(heal / "queue"), Leases(heal / "leases")
        self.history, self.settings_path, self.reports = (
            History(heal / "history.jsonl"),
            heal / "settings.json",
            root / "reports",
        )
        self.drivers = drivers or Drivers(Single())
        self._plan: tuple[str, dict[str, Any]] = ("", {})
        self._again: dict[Key, tuple[float, dict[str, Any], str]] = {}
        self._jobs: OrderedDict[str, Order] = OrderedDict()
        self._seen: OrderedDict[tuple[str, Any], None] = OrderedDict()
        self.state = self._rebuilt(now)
        self._sweep_at = now + self.settings().sweep

    # inputs

    def event(self, tag: str, data: Any, sender: str, now: float) -> None:
        """A health event from the bus.

        data
            The event's own data.
        sender
            Id of the minion that sent it, as the master has verified it; one that speaks of another host is ignored.
        """
        message = incoming.accept(tag, data, sender)
        if message is None or self._again_the_same(tag, message.data):
            return
        try:
            self._event(message, now)
        except Exception:
            log.exception("The event %s could not be used", tag)

    def returned(self, job: str, result: Any, now: float) -> None:
        """A minion's answer to an order."""
        order = self._jobs.pop(job, None)
        if order is None:
            return
        answer = result if isinstance(result, Mapping) else {"result": "failed", "why": str(result)[:500]}
        outcome = {key: answer.get(key) for key in ("result", "why", "seconds")}
        if order.function != "heal":
            return
        said = {"host": order.host, "container": order.container, "event": order.kwargs.get("event")}
        said |= {"by": f"order {order.id}", **outcome}
        about = {"host": order.host, "container": order.container, "event": said["event"]}
        self._write("event", now, **about, what="healed", data=said)
        self.leases.release(f"{order.host}/{order.container}", order.id)
        tag = events.health_tag(order.host, order.container, "healed")
        self._fire(tag, events.stamped(str(self.plan().get("cloud") or ""), now, **said))

    def run_ended(self, now: float) -> None:
        """A run has ended: what waited for it is looked at again."""
        self._look_again(now, "open run")

    def resumed(self, now: float) -> None:
        """An operator has ended a pause or a dry run: what waited for that is looked at again."""
        self._look_again(now, "paused")
        self._look_again(now, "dry run")

    def reset(self, host: str, container: str, now: float) -> None:
        """An operator has cleared a back-off and budget; empty names mean all."""
        self.state.apply({"at": now, "kind": "reset", "host": host, "container": container})
        self._look_again(now, "budget")

    def tick(self, now: float) -> None:
        """Whatever is due: the queue (the reactor's way), holds that end, the sweep."""
        try:
            self._drain(now)
            for key, (due, event, _) in list(self._again.items()):
                if now >= due:
                    del self._again[key]
                    self._handle(event, now)
            if now >= self._sweep_at:
                self._sweep_at = now + self.settings().sweep
                self._sweep(now)
        except Exception:
            log.exception("Saltern's recovery engine could not do one thing and goes on")

    # what there is

    def plan(self) -> dict[str, Any]:
        """The current model's plan, empty when nothing was ever deployed."""
        digest = compiled.current(self.root)
        if digest != self._plan[0]:
            try:
                self._plan = (digest, compiled.plan(self.root, digest) if digest else {})
            except SalternError as error:
                log.warning("Healing goes on with the former plan: %s", error)
        return self._plan[1]

    def lately_ran(self, host: str, now: float) -> bool:
        """Whether a host has reported containers a short time ago."""
        report = self.state.reports.get(host) or {}
        return bool(report.get("containers")) and now - float(report.get("at") or 0.0) < LATELY

    def settings(self) -> Settings:
        """The model's heal settings under what operators have said since."""
        return settings_from(self.plan().get("heal"), files.read(self.settings_path))

    # events

    def _event(self, message: Message, now: float) -> None:
        host, container = message.host, message.container
        if message.kind == "failed":
            self._reported(message.data, "bus", now)
            return
        line = {"host": host, "container": container, "what": message.kind, "data": message.data}
        if message.kind == "snapshot":
            self.state.apply({"kind": "event", "at": now, **line})
            files.write(self.reports / f"{host}.json", self.state.reports[host])
        else:
            self._write("event", now, **line, event=message.data.get("event"))
        if message.kind == "healthy":
            self.leases.drop(f"{host}/{container}")
            self._again.pop((host, container), None)
            self._look_again(now, "needs")

    def _again_the_same(self, tag: str, data: Mapping[str, Any]) -> bool:
        """Events may come twice when the connection to a host broke."""
        key = (tag, data.get("at"))
        if key in self._seen:
            return True
        self._seen[key] = None
        while len(self._seen) > SEEN_MOST:
            self._seen.popitem(last=False)
        return False

    def _reported(self, event: dict[str, Any], via: str, now: float) -> None:
        """A failure: into the queue first, so that it is not lost with this process."""
        self.queue.put({**event, "via": via})
        self._drain(now)

    def _drain(self, now: float) -> None:
        for event in self.queue.waiting():
            try:
                self._work(event, now)
            except Exception:
                log.exception("The failure %s could not be worked on", event.get("event"))
            finally:
                self.queue.done(str(event.get("event")))

    def _work(self, event: dict[str, Any], now: float) -> None:
        via = event.pop("via", "")
        host, container = str(event.get("host")), str(event.get("container"))
        line = {"host": host, "container": container, "event": event.get("event")}
        self._write("event", now, **line, what="failed", via=via, data=event)
        self.leases.drop(f"{host}/{container}")  # its host says that whatever was ordered before is over
        self._handle(event, now)

    def _handle(self, event: dict[str, Any], now: float) -> None:
        key = (str(event.get("host")), str(event.get("container")))
        if event.pop("late", False):
            self._again[key] = (now + LATE, event, "late")
            return
        driver = self.drivers.of(self.plan(), key[1])
        scene = Scene(self.state, self.plan(), self.settings(), openrun.covering(self.root, *key), now)
        evidence = driver.gather(event, scene)
        decision, order = driver.decide(evidence), uuid.uuid4().hex[:8]
        if decision.kind == "heal" and self.leases.take(driver.lease(evidence), order, now) is None:
            decision = Decision("hold", "order under way", "a former order is still at work", now + UNDER_WAY)
        self._decided(evidence, decision, order, driver.name, now)
        for each in driver.act(decision, evidence, order):
            self._order(each, now)
        if decision.kind == "hold" and decision.until is not None:
            self._again[key] = (decision.until, event, decision.rule)

    def _decided(self, evidence: Evidence, decision: Decision, order: str, driver: str, now: float) -> None:
        host, container = str(evidence.event["host"]), str(evidence.event["container"])
        said = {"event": evidence.event.get("event"), "order": order, "decision": decision.kind, "rule": decision.rule}
        said |= {"why": decision.why, "until": decision.until}
        about = {"host": host, "container": container}
        self._write("decision", now, **about, **said, driver=driver, evidence=evidence.as_dict())
        cloud = str(evidence.event.get("cloud") or self.plan().get("cloud") or "")
        self._fire(events.heal_tag(host, container), events.stamped(cloud, now, **about, **said))

    def _order(self, order: Order, now: float) -> None:
        about = {"host": order.host, "container": order.container, "order": order.id, "function": order.function}
        try:
            job = self._send(order)
        except Exception as error:
            log.warning("The order %s for %s on %s was not sent: %s", order.id, order.container, order.host, error)
            self._write("order", now, **about, error=f"{type(error).__name__}: {error}")
            return
        self._jobs[job] = order
        while len(self._jobs) > SEEN_MOST:
            self._jobs.popitem(last=False)
        self._write("order", now, **about, job=job)

    def _look_again(self, now: float, rule: str) -> None:
        for key, (_, event, why) in list(self._again.items()):
            if why == rule:
                self._again[key] = (now, event, why)

    # the sweep

    def _sweep(self, now: float) -> None:
        self.leases.prune(now)
        found = sweeps.sweep(self.plan(), self.state, self.settings(), now)
        silent = {finding.host for finding in found if finding.kind == "silent"}
        for finding in found:
            if finding.kind == "unhealthy":
                self._reported(self._made_up(finding, now), "sweep", now)
            elif not self._said(finding):
                self._report(finding, now)
        self.state.silent = silent

    def _made_up(self, finding: sweeps.Finding, now: float) -> dict[str, Any]:
        """A failure that no event told of; the minion looks again before it does anything."""
        entry = (self.plan().get("containers") or {}).get(finding.container) or {}
        event = events.event_id("sweep", finding.container, int(now * 1000))
        about = {"event": event, "host": finding.host, "container": finding.container, "reason": "unhealthy"}
        return events.stamped(str(self.plan().get("cloud")), now, **about, restart=entry.get("restart"), attempts=0)

    def _said(self, finding: sweeps.Finding) -> bool:
        if finding.kind == "silent":
            return finding.host in self.state.silent
        return (
            self.state.decisions.get((finding.host, finding.container), {}).get("rule") == f"{finding.kind} container"
        )

    def _report(self, finding: sweeps.Finding, now: float) -> None:
        rule = "silent host" if finding.kind == "silent" else f"{finding.kind} container"
        about = {"host": finding.host, "container": finding.container or "-"}
        said = {"decision": "report", "rule": rule, "why": finding.why, "event": None, "order": None, "until": None}
        self._write("decision", now, **about, **said)
        cloud = str(self.plan().get("cloud") or "")
        self._fire(events.heal_tag(**about), events.stamped(cloud, now, **about, **said))

    # memory

    def _write(self, kind: str, at: float, **data: Any) -> None:
        try:
            line = self.history.add(kind, at, **data)
        except OSError as error:  # a full disk: healing goes on, its memory does not
            log.error("The history of healing cannot be written: %s", error)
            line = {"at": at, "kind": kind, **data}
        self.state.apply(line)

    def _rebuilt(self, now: float) -> State:
        """What a former engine knew: the reports, then the last hour's lines over them."""
        lines = self.history.read(now - WINDOW)
        state = fold(lines)
        reports = {path.stem: files.read(path) for path in sorted(self.reports.glob("*.json"))}
        state.reports = {host: report for host, report in reports.items() if report is not None}
        for line in lines:
            if line.get("kind") == "event" and line.get("container"):
                tag = f"{events.HEALTH}/{line.get('host')}/{line['container']}/{line.get('what')}"
                self._seen[(tag, (line.get("data") or {}).get("at"))] = None
        for key, failure in state.failures.items():
            last = state.decisions.get(key, {})
            if last.get("decision") == "hold" and last.get("event") == failure.get("event"):
                self._again[key] = (float(last["until"] or now), failure, str(last["rule"]))
        return state
