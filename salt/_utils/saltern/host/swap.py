"""Replace a container so that a failure, of the new one or of ourselves, leaves a working one behind.

    create <name>--next → stop the old one, its restart policy off, rename it to <name>--former → rename the new one,
    start it → wait until it is healthy → commit the desired document → remove the old one

Old and new never run at the same time, so data that takes one writer is safe. Not healthy in time: the new one is
removed and the old one is back (unless the model says ``rollback: false`` and the image is another: a new version may
have written data that the old one cannot read). Killed in between: :func:`resume` finishes or goes back.
All functions are called under the container's lock.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from saltern.contract.errors import NotHealthy, SalternError
from saltern.contract.names import FORMER, LABEL_RESTART, NEXT
from saltern.host import committed, files, health, journal, mounts
from saltern.host.context import Host
from saltern.host.engine import NotThere
from saltern.host.journal import Entry
from saltern.host.spec import STOP_TIMEOUT, Body, Spec, restart_policy

BACK, NONE, SICK = "back and healthy", "none", "not healthy"
Inspected = dict[str, Any]


@dataclass(frozen=True)
class Cast:
    """Who is on stage: the old container and the new one, by id, with the names that they have now."""

    old: Inspected | None
    new: Inspected | None


def replace(host: Host, spec: Spec, made: Body, old: Inspected, *, image: str = "") -> float:
    """Swap ``old`` for a container made from ``made``; returns the gap in seconds between stop and healthy.

    spec
        The new container's.
    old
        The container in place, inspected.
    image
        Reference of the new image, for messages.

    Raises NotHealthy (with its record) when the new one does not get healthy, and what the engine raises; in both
    cases the old one is back, or a later :func:`resume` brings it.
    """
    mounts.prepare(host.store.locks, spec)
    entry = _entry(host, spec, made, old, image)
    journal.begin(host.store, entry)
    started = host.clock()
    try:
        host.engine.remove(spec["name"] + NEXT, force=True)
        host.engine.create(spec["name"] + NEXT, made)
        started = host.clock()
        _put_aside(host, spec, entry)
        host.engine.rename(spec["name"] + NEXT, spec["name"])
        host.engine.start(spec["name"])
        state = health.await_healthy(host, spec["name"], spec)
    except SalternError as error:
        raise _with_way_back(host, spec, entry, error) from error
    gap = host.clock() - started
    if not state.ok:
        raise _not_healthy(host, spec, entry, state)
    _commit(host, entry)
    _finish(host, entry)
    return gap


def resume(host: Host, name: str) -> str:
    """Finish or take back what an interrupted swap left; returns what was done, empty when there was nothing.

    Raises what the engine raises: the journal stays, and the next call tries again.
    """
    entry = journal.open_swap(host.store, name)
    if entry is None:
        said = _tidy(host, name)
        journal.end(host.store, name)
        return said
    cast = _cast(host, entry)
    if journal.committed(host.store, entry):
        _finish(host, entry)
        return "finished an interrupted swap"
    if cast.new is not None and _name(cast.new) == name:
        good = health.healthy(cast.new, entry.document["spec"], host.probe).ok
        if good or not _may_go_back(entry, cast):
            _commit(host, entry, proven=good)
            _finish(host, entry)
            return "finished an interrupted swap"
    _way_back(host, entry)
    return "took an interrupted swap back"


def leftovers(names: list[str]) -> set[str]:
    """Containers with a ``--next`` or ``--former`` among these names."""
    return {n.removesuffix(NEXT).removesuffix(FORMER) for n in names if n.endswith((NEXT, FORMER))}


def _entry(host: Host, spec: Spec, made: Body, old: Inspected, image: str) -> Entry:
    policy = (old["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    document = committed.document(spec, made, model=host.model, now=host.now())
    running = bool(old["State"].get("Running"))
    return Entry(spec["name"], old["Id"], policy, running, document, image, host.now())


def _put_aside(host: Host, spec: Spec, entry: Entry) -> None:
    former = (host.store.desired.get(spec["name"]) or {}).get("spec") or spec
    host.engine.stop(entry.former_id, int(former.get("stop_timeout") or STOP_TIMEOUT))
    host.engine.restart_policy(entry.former_id, "no")
    host.engine.remove(spec["name"] + FORMER, force=True)
    host.engine.rename(entry.former_id, spec["name"] + FORMER)


def _commit(host: Host, entry: Entry, *, proven: bool = True) -> None:
    host.store.desired.put(entry.container, entry.document if proven else {**entry.document, "proven": False})


def _finish(host: Host, entry: Entry) -> None:
    """After the commit: the old container and its configuration go, the journal last."""
    host.engine.remove(entry.former_id, force=True)
    host.engine.remove(entry.container + NEXT, force=True)
    _prune(host, entry.container)
    journal.end(host.store, entry.container)


def _prune(host: Host, name: str) -> None:
    keep = (host.store.desired.get(name) or {}).get("config")
    if keep:
        with contextlib.suppress(OSError):  # a directory too many is no reason to fail
            files.prune(host.store.config, name, [keep])


def _not_healthy(host: Host, spec: Spec, entry: Entry, state: health.Health) -> NotHealthy:
    record = health.failure(host, spec["name"], spec, state, former=NONE, image=entry.image)
    if not _may_go_back(entry, _cast(host, entry)):
        _commit(host, entry, proven=False)
        _finish(host, entry)
        message = f"{state.why}; the former container is not started again, as this version may have written data"
    else:
        record["former"] = _way_back(host, entry)
        message = f"{state.why}; the former container is {record['former']}"
    record["message"] = host.mask(message)
    return NotHealthy(record["message"], record, where=spec["name"], hint="Mend the cause, then run it again")


def _with_way_back(host: Host, spec: Spec, entry: Entry, error: SalternError) -> SalternError:
    """The engine refused a step: go back if it lets us."""
    cast = _quietly(host, entry)
    subject = _name(cast.new) if cast and cast.new else spec["name"] + NEXT
    record = health.failure(host, subject, spec, health.Health(False, str(error)), former=SICK, image=entry.image)
    try:
        record["former"] = _way_back(host, entry)
    except SalternError:
        return error  # no engine: the journal stays, and resume() goes back later
    message = host.mask(f"{error.message}; the former container is {record['former']}")
    return NotHealthy(message, {**record, "message": message}, where=error.where or spec["name"], hint=error.hint)


def _may_go_back(entry: Entry, cast: Cast) -> bool:
    """Not without an old container, and not when another version has run that may have written data."""
    if cast.old is None:
        return False
    if entry.document["spec"].get("rollback", True) or cast.old.get("Image") == entry.document["image_id"]:
        return True
    return cast.new is None or health.epoch((cast.new.get("State") or {}).get("StartedAt")) is None


def _way_back(host: Host, entry: Entry) -> str:
    """Remove the new container, bring the old one back; may be repeated from any point. Returns what became of it."""
    cast = _cast(host, entry)
    if cast.new is not None:
        host.engine.remove(cast.new["Id"], force=True)
    if cast.old is None:
        journal.end(host.store, entry.container)
        return NONE
    if _name(cast.old) != entry.container:
        host.engine.rename(entry.former_id, entry.container)
    host.engine.restart_policy(entry.former_id, entry.policy)
    outcome = _started_again(host, entry, cast.old) if entry.running else NONE
    _prune(host, entry.container)
    journal.end(host.store, entry.container)
    return outcome


def _started_again(host: Host, entry: Entry, old: Inspected) -> str:
    spec = (host.store.desired.get(entry.container) or {}).get("spec")
    # What was never committed has no probe that we know of: running has to do.
    spec = spec or {"restart": "none", "start_timeout": 10}
    if old["State"].get("Running"):
        return BACK if health.healthy(old, spec, host.probe).ok else SICK  # it was not touched yet
    mounts.prepare(host.store.locks, {"name": entry.container, **spec})
    host.engine.start(entry.former_id)
    return BACK if health.await_healthy(host, entry.former_id, spec).ok else SICK


def _cast(host: Host, entry: Entry) -> Cast:
    found = [host.engine.inspect(entry.container + suffix) for suffix in ("", NEXT, FORMER)]
    old = host.engine.inspect(entry.former_id)
    new = [c for c in found if c is not None and c["Id"] != entry.former_id]
    return Cast(old, new[0] if new else None)


def _quietly(host: Host, entry: Entry) -> Cast | None:
    try:
        return _cast(host, entry)
    except SalternError:
        return None


def _tidy(host: Host, name: str) -> str:
    """Leftovers without a journal (somebody removed the state directory)."""
    spare, former = host.engine.inspect(name + NEXT), host.engine.inspect(name + FORMER)
    if spare is None and former is None:
        return ""
    if spare is not None:
        host.engine.remove(spare["Id"], force=True)
    if former is None:
        return "removed what an interrupted swap left"
    if host.engine.inspect(name) is not None:
        host.engine.remove(former["Id"], force=True)
        return "removed what an interrupted swap left"
    host.engine.rename(former["Id"], name)
    restart = (former["Config"].get("Labels") or {}).get(LABEL_RESTART, "none")
    host.engine.restart_policy(former["Id"], restart_policy({"restart": restart}))
    mounts.prepare(host.store.locks, (host.store.desired.get(name) or {}).get("spec") or {})
    with contextlib.suppress(NotThere):
        host.engine.start(former["Id"])
    return "took an interrupted swap back"


def _name(inspected: Inspected) -> str:
    return str(inspected["Name"]).lstrip("/")
