"""Do to one container what was decided, under its lock. Every function leaves a state that the next run understands.

The order of writing is what makes that true: configuration before the container that mounts it, the desired document
after the container was seen healthy, and, for a removal, the document before the container (or healing would bring it
back).
"""

from __future__ import annotations

import contextlib
from typing import Any

from saltern.contract.errors import NotHealthy, SalternError
from saltern.contract.names import FORMER, NEXT
from saltern.host import committed, decide, files, health, journal, mounts, reload, swap
from saltern.host import spec as specs
from saltern.host.compare import Task, body_for, look
from saltern.host.context import Host
from saltern.host.decide import Current, Decision
from saltern.host.engine import NotThere, image_ids, require_ours
from saltern.host.spec import STOP_TIMEOUT, Body, Spec, config_source

Result = dict[str, Any]


def perform(host: Host, task: Task, mode: str) -> Result:
    """Look again, then act; returns the task's report as it came out, with ``gap`` where there was one.

    Raises NotHealthy with its record, and what engine and disk raise.
    """
    if task.broken and mode != "destroy":
        swap.resume(host, task.name)
    now = _again(host, task, mode)
    action = now.decision.action
    if action == "remove":
        remove(host, now)
    elif action == "stop":
        stop(host, now)
    elif action != "none":
        return {**now.report(), **_ACTIONS[action](host, now)}
    return now.report()


def create(host: Host, task: Task) -> Result:
    """A container that is not there."""
    spec, made = _wanted(task)
    mounts.prepare(host.store.locks, spec)
    _write(host, spec, made)
    host.engine.create(spec["name"], made)
    host.engine.start(spec["name"])
    _proved(host, spec, made)
    return {}


def replace(host: Host, task: Task) -> Result:
    """A container that differs: a journalled swap."""
    spec, made = _wanted(task)
    old = host.engine.inspect(spec["name"])
    if old is None:
        return create(host, task)
    made = _apart(spec, made, old)
    _write(host, spec, made)
    gap = swap.replace(host, spec, made, old, image=spec["image"])
    reload.record(host, spec)
    return {"gap": round(gap, 2)}


def start(host: Host, task: Task) -> Result:
    """A container that is there as wanted, but does not run or was never seen healthy."""
    spec, made = _wanted(task)
    current = task.current
    assert current is not None
    mounts.prepare(host.store.locks, spec)
    fresh = not current.running
    target = config_source(made)
    if not fresh and target is not None and not reload.loaded(host, spec):
        reload.reload(host, spec, target)  # it runs with the former files
    else:
        _write(host, spec, made)
    if current.status == "paused":
        host.engine.unpause(current.id)
    host.engine.start(current.id)
    _proved(host, spec, made, label=current.label)
    return {}


def reloaded(host: Host, task: Task) -> Result:
    """Only files that the process reads again on a signal differ."""
    spec, made = _wanted(task)
    target = config_source(made)
    assert target is not None
    assert task.current is not None
    reload.reload(host, spec, target)
    _commit(host, spec, made, task.current.label)
    return {}


def equivalent(host: Host, task: Task) -> Result:
    """Nothing to do to the container: bring what the host remembers up to date."""
    spec, made = _wanted(task)
    assert task.current is not None
    _write(host, spec, made)
    _commit(host, spec, made, task.current.label)
    return {}


def stop(host: Host, task: Task) -> None:
    """A planned stop: written down first, so that healing leaves it alone also after this process ended."""
    document = host.store.desired.get(task.name)
    if document is not None:
        host.store.desired.put(task.name, {**document, "state": committed.STOPPED})
    if task.current is not None:
        if task.current.status == "paused":
            host.engine.unpause(task.current.id)  # a frozen process cannot act on its stop signal
        host.engine.stop(task.current.id, _stop_timeout(document))


def remove(host: Host, task: Task) -> None:
    """The desired document first, then the container and all that belongs to it on this host; volumes stay."""
    document = host.store.desired.get(task.name)
    host.store.desired.drop(task.name)
    if task.current is not None:
        with contextlib.suppress(NotThere):
            host.engine.stop(task.current.id, _stop_timeout(document))
        host.engine.remove(task.current.id, force=True)
    for suffix in (NEXT, FORMER):
        host.engine.remove(task.name + suffix, force=True)
    journal.end(host.store, task.name)
    host.store.records.drop(task.name)
    host.store.holds.drop(task.name)
    files.prune(host.store.config, task.name, [])


def plain_failure(host: Host, task: Task, error: Exception) -> dict[str, Any]:
    """The failure record of what is no failed health check (engine away, disk full, lock held)."""
    return {
        "container": task.name,
        "host": host.name,
        "image": task.spec["image"] if task.spec else "",
        "exit_code": None,
        "restarts": 0,
        "probe": "",
        "log": health.log_tail(host, task.name) if task.current else [],
        "former": swap.NONE,
        "message": host.mask(str(error)),
    }


_ACTIONS = {"create": create, "replace": replace, "start": start, "reload": reloaded, "equivalent": equivalent}


def _again(host: Host, task: Task, mode: str) -> Task:
    """The task as it looks now: somebody (healing, a person) may have acted since the host was listed."""
    inspected = host.engine.inspect(task.name)
    require_ours(inspected, host.cloud)
    current = Current.inspected(inspected) if inspected else None
    document = host.store.desired.get(task.name)
    if mode == "stop":
        return Task(task.name, task.spec, None, current, decide.stopped(document, current))
    if task.spec is None:
        return Task(task.name, None, None, current, decide.absent(document, current, traces=True))
    if mode == "reconfigure":
        if inspected is None:
            return Task(task.name, task.spec, None, None, Decision("none"))
        made = body_for(host, task.spec, inspected["Image"])
    else:
        made = task.made or body_for(host, task.spec, image_ids(host.engine.images())[task.spec["image"]])
    now = look(host, task.spec, made, current, inspected)
    if now.decision.action == "none" and task.broken:
        # The swap was only to be finished; that is what this run did.
        now.decision = Decision("equivalent", task.decision.reasons)
    return now


def _proved(host: Host, spec: Spec, made: Body, *, label: str | None = None) -> None:
    """Wait until it is healthy, then commit it. Raises NotHealthy."""
    state = health.await_healthy(host, spec["name"], spec)
    if not state.ok:
        record = health.failure(host, spec["name"], spec, state, former=swap.NONE, image=spec["image"])
        hint = "Mend the cause, then run it again"
        raise NotHealthy(record["message"], record, where=spec["name"], hint=hint)
    _commit(host, spec, made, label)


def _commit(host: Host, spec: Spec, made: Body, label: str | None) -> None:
    document = committed.document(spec, made, model=host.model, now=host.now(), label=label)
    host.store.desired.put(spec["name"], document)
    reload.record(host, spec)
    if document["config"]:
        with contextlib.suppress(OSError):  # a directory too many is no reason to fail
            files.prune(host.store.config, spec["name"], [document["config"]])


def _apart(spec: Spec, made: Body, old: dict[str, Any]) -> Body:
    """The body with a configuration directory of its own, where the old container's would have to be changed.

    The old one may have to come back, and must then find the files that it knows.
    """
    target = config_source(made)
    if target is None or target != config_source(old) or files.intact(target, spec):
        return made
    return specs.body(spec, made["Image"], files.directory_beside(target, spec))


def _write(host: Host, spec: Spec, made: Body) -> None:
    files.write(host.store.config, spec, host.secrets, target=config_source(made))


def _wanted(task: Task) -> tuple[Spec, Body]:
    if task.spec is None or task.made is None:
        raise SalternError(f"nothing is wanted to {task.decision.action}", where=task.name)
    return task.spec, task.made


def _stop_timeout(document: dict[str, Any] | None) -> int:
    return int(((document or {}).get("spec") or {}).get("stop_timeout") or STOP_TIMEOUT)
