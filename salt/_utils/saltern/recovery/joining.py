"""Hosts that have just come (``openstack:auto_join``): a queue on disk, worked on when no run is open.

A minion that starts is put into the queue unless it has just reported containers; the engine then has the verb
``openstack.host_join`` decide and act, in a process of its own, as it compiles the model and may take minutes. A host
stays in the queue until that verb has decided, so neither a restart of the master nor an open run loses it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from saltern.plan.ask import Answers
from saltern.plan.lock import RunLock
from saltern.recovery import files
from saltern.recovery.history import History

log = logging.getLogger(__name__)

SETTLE = 10.0  # seconds after a minion's start: several that come together are one run
AGAIN = 60.0  # seconds until a verb that has not decided, and is not at it, is called again
LONGEST = 86400.0  # seconds that a host is waited for
LOOK = 2.0  # seconds between looks at the queue

_START = re.compile(r"salt/minion/([^/]+)/start")
_MINION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")


class Ask(Protocol):
    """Ask hosts (``saltern_front.front.Front.ask``)."""

    def __call__(
        self, hosts: Iterable[str], function: str, args: Iterable[Any] = (), kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Answers: ...  # fmt: skip


class Joiner:
    """The queue's engine side.

    root
        The master's state root.
    lately_ran
        Whether a host has reported containers of the cloud a short time ago: then only its minion was restarted.
    call
        Begins the verb ``openstack.host_join`` for hosts, and returns at once.
    """

    def __init__(
        self, root: Path, lately_ran: Callable[[str, float], bool], call: Callable[[list[str]], object]
    ) -> None:
        self.root, self._lately_ran, self._call = root, lately_ran, call
        self._called: dict[str, tuple[float, float]] = {}  # host → the start that was told, when to tell it again
        self._look_at = 0.0

    def event(self, tag: str, sender: str, now: float) -> None:
        """An event of the bus; one that is no minion's own start is nothing."""
        found = _START.fullmatch(tag)
        if found is None or found[1] != sender or not _MINION.fullmatch(sender) or self._lately_ran(sender, now):
            return
        files.write(_directory(self.root) / f"{sender}.json", {"host": sender, "at": now})

    def tick(self, now: float) -> None:
        """Have those that are due decided on, all by one call, when no run is open."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        waiting = _waiting(self.root, now)
        self._called = {host: called for host, called in self._called.items() if host in waiting}
        due = [host for host, at in waiting.items() if now - at >= SETTLE and self._may_call(host, at, now)]
        if not due or RunLock(self.root).read() is not None:
            return
        with alone(self.root) as free:
            if not free:
                return
        for host in due:
            self._called[host] = (waiting[host], now + AGAIN)
        log.info("Hosts have come and may join: %s", ", ".join(due))
        self._call(due)

    def _may_call(self, host: str, at: float, now: float) -> bool:
        told, again = self._called.get(host, (0.0, 0.0))
        return at > told or now >= again

    def run_ended(self) -> None:
        """A run has ended: what waited for it is called again."""
        self._called.clear()
        self._look_at = 0.0


@contextmanager
def alone(root: Path) -> Iterator[bool]:
    """Whether nobody else is joining hosts; nobody begins as long as this lasts. A dead process holds nothing."""
    descriptor = os.open(
        files.private_directory(root / "heal") / "joining.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        # Not flock: the run that is started from here would inherit it.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)


def sift(plan: Mapping[str, Any], names: Iterable[str], ask: Ask) -> tuple[list[str], dict[str, str]]:
    """Hosts that are to be deployed, and of the others why not.

    plan
        The plan of the model as the pillar says now.
    """
    new, rest = [], {}
    for name in names:
        if name not in plan["hosts"]:
            rest[name] = "it is not in openstack:hosts"
        elif not plan["hosts"][name]["containers"]:
            rest[name] = "the model has no container for it"
        else:
            new.append(name)
    # tracked: a minion that has just come may be restarted once more, and what it was asked then is gone
    answers = ask(new, "openstack_container.list", tracked=True) if new else Answers()
    for name in list(new):
        found = answers.returns.get(name)
        ours = [each for each in _listed(found) if each in plan["hosts"][name]["containers"]]
        if name in answers.silent or name in answers.lost:
            rest[name] = "it does not answer"
        elif ours:
            rest[name] = f"it has containers already ({', '.join(sorted(ours))}): salt-run openstack.deploy"
        if name in rest:
            new.remove(name)
    return new, rest


def decided(root: Path, host: str, what: str, why: str, now: float, *, since: float, run: str = "") -> None:
    """Write down what became of a host that had come, and take it from the queue, unless it has come again meanwhile.

    what
        ``started``, ``nothing``, ``refused`` or ``failed``.
    since
        When the one who decided began to look.
    """
    History(root / "heal" / "history.jsonl").add("join", now, host=host, what=what, why=why, run=run)
    path = _directory(root) / f"{host}.json"
    if _MINION.fullmatch(host) and float((files.read(path) or {}).get("at") or 0.0) <= since:
        path.unlink(missing_ok=True)


def _listed(found: Any) -> list[str]:
    """Names of containers; none where a minion that has none of our modules yet answers with a sentence."""
    return list(found) if isinstance(found, Mapping) else []


def _waiting(root: Path, now: float) -> dict[str, float]:
    """When those in the queue came; one that nobody could decide on for a day is dropped."""
    found = {}
    for path in sorted(_directory(root).glob("*.json")):
        at = float((files.read(path) or {}).get("at") or 0.0)
        if now - at > LONGEST:
            path.unlink(missing_ok=True)
        else:
            found[path.stem] = at
    return found


def _directory(root: Path) -> Path:
    return root / "heal" / "joining"
