"""What a step did: from the return of ``salt.state`` to result, sentence, changes per host, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WORDS = {
    "create": "started",
    "start": "started",
    "replace": "replaced",
    "reload": "reloaded",
    "remove": "removed",
    "stop": "stopped",
}
# Changes that are of no container, by their kind.
HOSTS_OWN = {"sysctl": "host setting", "network": "network change"}
ORDER = ("started", "replaced", "reloaded", "stopped", "removed")


@dataclass
class Outcome:
    """Result of a step.

    detail
        Changes per host.
    failures
        Failure records of containers (docs/interfaces.md, section 5), each with its host.
    comment
        Errors that are no container's failure.
    """

    result: str = "ok"
    summary: str = ""
    detail: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    comment: str = ""
    untouched: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in the outcome of further hosts of the same step."""
        self.detail.update(other.detail)
        self.failures += other.failures
        self.comment = "\n".join(filter(None, (self.comment, other.comment)))
        if other.result == "failed" or self.result == "failed":
            self.result = "failed"
        elif other.result == "changed":
            self.result = "changed"
        self.summary = summary(self.detail, self.failures)


def from_state(ret: Mapping[str, Any], hosts: Sequence[str]) -> Outcome:
    """Outcome of one ``salt.state`` on ``hosts``."""
    outcome = Outcome()
    returns = (ret.get("changes") or {}).get("ret") or {}
    errors = []
    for host in hosts:
        changes, failures, error = _host(host, returns.get(host, {}))
        if changes:
            outcome.detail[host] = changes
        outcome.failures += failures
        if error:
            errors.append(f"{host}: {error}")
    if ret.get("result") is False:
        outcome.result = "failed"
        if not errors and not outcome.failures:
            errors.append(str(ret.get("comment", "failed without a reason")))
    elif outcome.detail:
        outcome.result = "changed"
    outcome.comment = "\n".join(errors)
    outcome.summary = summary(outcome.detail, outcome.failures)
    return outcome


def _host(host: str, answer: Any) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    if not isinstance(answer, Mapping):
        text = "; ".join(map(str, answer)) if isinstance(answer, (list, tuple)) else str(answer)
        return {}, [], "no answer" if answer in (False, None) else text
    changes: dict[str, Any] = {}
    failures: list[dict[str, Any]] = []
    errors = []
    for state in answer.values():
        if not isinstance(state, Mapping):
            errors.append(str(state))
            continue
        found = state.get("changes") or {}
        changes.update(found)
        failed = [
            {"host": host, "container": name, **change["failure"]}
            for name, change in found.items()
            if isinstance(change, Mapping) and isinstance(change.get("failure"), Mapping)
        ]
        failures += failed
        if state.get("result") is False and not failed:
            errors.append(str(state.get("comment", "")).strip() or "failed without a reason")
    return changes, failures, "; ".join(errors)


def counts(detail: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    """How many containers were started, replaced, reloaded, stopped, removed; failed ones apart."""
    found: Counter[str] = Counter()
    for changes in detail.values():
        for change in changes.values():
            if not isinstance(change, Mapping) or "action" not in change:
                continue
            word = WORDS.get(str(change["action"]))
            if change.get("failure"):
                found["failed"] += 1
            elif word:
                found[word] += 1
    return found


def summary(detail: Mapping[str, Mapping[str, Any]], failures: Sequence[Any] = ()) -> str:
    """``2 started, 1 replaced``; for work in the toolbox ``1 database, 1 job``."""
    found = counts(detail)
    parts = [f"{found[word]} {word}" for word in ORDER if found[word]]
    for kind, noun in HOSTS_OWN.items():
        if number := sum(_is(kind, change) for changes in detail.values() for change in changes.values()):
            parts.append(f"{number} {noun}{'' if number == 1 else 's'}")
    if failures:
        parts.append(f"{len(failures)} failed")
    if not parts:
        parts += _toolbox(detail)
    return ", ".join(parts)


def _is(kind: str, change: Any) -> bool:
    """Whether it is a change of a host itself (``openstack_host.prepared``, ``openstack_network.present``)."""
    return isinstance(change, Mapping) and change.get("kind") == kind


def _toolbox(detail: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """``{host: {"database": [{"kind": "user", …}], "jobs": [{"name": …}]}}`` as ``1 user, 1 job``."""
    kinds: Counter[str] = Counter()
    for changes in detail.values():
        for part, items in changes.items():
            for item in items if isinstance(items, (list, tuple)) else []:
                kind = item.get("kind") if isinstance(item, Mapping) else None
                kinds[str(kind or part.removesuffix("s"))] += 1
    return [f"{number} {kind if number == 1 else kind + 's'}" for kind, number in kinds.items()]
