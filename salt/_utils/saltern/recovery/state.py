"""What the recovery engine knows: a fold over the journal's lines, so that it can be rebuilt and replayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

HEALED = ("healed",)
WINDOW = 3600.0

Key = tuple[str, str]


@dataclass
class State:
    """Reports of all hosts, recent heals, open failures.

    reports
        Host → its last snapshot, corrected by the events since: ``{"at", "boot_id", "seq", "containers"}``.
    heals
        (host, container) → times of recent heals.
    failures
        (host, container) → data of the failure that is open.
    decisions
        (host, container) → the last decision on it.
    silent
        Hosts that were reported silent.
    """

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    heals: dict[Key, list[float]] = field(default_factory=dict)
    failures: dict[Key, dict[str, Any]] = field(default_factory=dict)
    decisions: dict[Key, dict[str, Any]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take in one line of the journal."""
        kind, key = line.get("kind"), (str(line.get("host", "")), str(line.get("container", "")))
        at = float(line.get("at") or 0)
        if kind == "event":
            self._event(str(line.get("what")), key, line.get("data") or {}, at)
        elif kind == "decision":
            self.decisions[key] = {k: line.get(k) for k in ("at", "event", "order", "decision", "rule", "until")}
            if line.get("rule") == "silent host":
                self.silent.add(key[0])
        elif kind == "reset":
            self._reset(key)

    def healthy(self, host: str, container: str) -> bool | None:
        """What is known of a container: None when its host never said anything about it."""
        known = (self.reports.get(host, {}).get("containers") or {}).get(container)
        return known.get("healthy") if known else None

    def recent_heals(self, key: Key, since: float) -> list[float]:
        return [at for at in self.heals.get(key, []) if at >= since]

    def is_open(self, event: Mapping[str, Any]) -> bool:
        """Whether this failure is the container's open one."""
        key = (str(event.get("host")), str(event.get("container")))
        return self.failures.get(key, {}).get("event") == event.get("event")

    def _event(self, what: str, key: Key, data: Mapping[str, Any], at: float) -> None:
        host, container = key
        if what == "snapshot":
            self._snapshot(host, data, at)
            return
        report = self.reports.setdefault(host, {"at": at, "containers": {}})
        known = report["containers"].setdefault(container, {"state": None, "restarts": 0, "spec": data.get("spec")})
        if what == "failed":
            known["healthy"], self.failures[key] = False, dict(data)
        elif what == "healthy":
            known["healthy"] = True
            self.failures.pop(key, None)
        elif what == "crashloop":
            known["crashloop"] = True
        elif what == "healed":
            self._healed(key, str(data.get("result")), at)

    def _snapshot(self, host: str, data: Mapping[str, Any], at: float) -> None:
        former = self.reports.get(host) or {}
        same_boot = former.get("boot_id") == data.get("boot_id")
        if same_boot and int(former.get("seq") or 0) > int(data.get("seq") or 0) and at - former.get("at", 0) < 60:
            return  # overtaken by a younger one
        self.reports[host] = {**data, "at": at}
        self.silent.discard(host)
        for container, known in (data.get("containers") or {}).items():
            if known.get("healthy"):
                self.failures.pop((host, container), None)

    def _healed(self, key: Key, result: str, at: float) -> None:
        if result in HEALED:
            times = [t for t in self.heals.get(key, []) if t >= at - WINDOW]
            self.heals[key] = [*times, at]

    def _reset(self, key: Key) -> None:
        for known in [k for k in self.heals if key[0] in ("", k[0]) and key[1] in ("", k[1])]:
            del self.heals[known]


def fold(lines: Iterable[Mapping[str, Any]]) -> State:
    """The state after these lines."""
    state = State()
    for line in lines:
        state.apply(line)
    return state
