"""Bring a host's containers to what the model says: list once, decide all, act in a small thread pool.

A run in which nothing differs costs two reads of the engine, whatever the number of containers. What somebody else did
between the list and the act is seen: each act begins, under the container's lock, with a fresh look.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from saltern.contract.errors import NotHealthy, SalternError
from saltern.contract.names import LABEL_CLOUD
from saltern.host import act
from saltern.host.compare import Task, plan
from saltern.host.context import Host
from saltern.host.lock import ContainerLock
from saltern.host.spec import Spec

log = logging.getLogger(__name__)
Changes = dict[str, dict[str, Any]]


def converge(
    host: Host,
    wanted: list[Spec],
    *,
    mode: str = "deploy",
    names: Iterable[str] | None = None,
    volumes: bool = False,
) -> Changes:
    """Do what `saltern.host.compare.compare` shows, several containers at a time.

    wanted
        The specs of the host's slice.
    mode
        ``deploy``; ``reconfigure`` (the image stays as it runs, nothing new is created); ``start``; ``stop``;
        ``destroy``.
    names
        Only these containers; None = all, and in ``deploy`` those of our cloud that the model does not know go.
    volumes
        With ``destroy``: remove the containers' named volumes and the data in them too.

    Returns changes by container, without those that are as wanted; one that failed has ``failure``. Raises
    ImageMissing and SalternError before anything is changed.
    """
    chosen = None if names is None else list(names)
    tasks = [task for task in plan(host, wanted, mode=mode, names=chosen) if task.decision.action != "none"]
    doomed = _volumes(host, wanted, tasks, chosen) if mode == "destroy" and volumes else {}
    with ThreadPoolExecutor(max_workers=max(1, host.workers), thread_name_prefix="converge") as pool:
        results = pool.map(lambda task: _do(host, task, mode), tasks)
        done = {task.name: result for task, result in zip(tasks, results, strict=True)}
    _remove_volumes(host, doomed, done)
    return {name: host.mask_tree(result) for name, result in done.items() if result["action"] != "none"}


def failed(changes: Changes) -> list[str]:
    """Containers of a run's changes that failed."""
    return [name for name, change in changes.items() if "failure" in change]


def _do(host: Host, task: Task, mode: str) -> dict[str, Any]:
    """One container, under its lock; an error becomes its ``failure``, so that the others go on."""
    begin = host.clock()
    result = task.report()
    try:
        with ContainerLock(host.store.locks, task.name, task.decision.action, timeout=host.lock_timeout):
            result = act.perform(host, task, mode)
    except NotHealthy as error:
        result["failure"] = error.failure
    except (SalternError, OSError) as error:
        result["failure"] = act.plain_failure(host, task, error)
    except Exception as error:
        # A fault of ours in one container must not lose what was done to the others.
        log.exception("Converging %s ended in an error", task.name)
        result["failure"] = act.plain_failure(host, task, error)
    return {**result, "seconds": round(host.clock() - begin, 2)}


def _volumes(host: Host, wanted: list[Spec], tasks: list[Task], names: list[str] | None) -> dict[str, set[str]]:
    """Volumes to remove, and which containers' results tell of them."""
    found: dict[str, set[str]] = {}
    known = {spec["name"]: spec for spec in wanted}
    for task in tasks:
        spec = (host.store.desired.get(task.name) or {}).get("spec") or known.get(task.name) or {}
        for mount in spec.get("mounts") or []:
            if mount.get("type", "volume") == "volume":
                found.setdefault(mount["source"], set()).add(task.name)
    if names is None:
        ours = [v["Name"] for v in host.engine.volumes(host.cloud) if (v.get("Labels") or {}).get(LABEL_CLOUD)]
        found.update({name: found.get(name, set()) for name in ours})
    return found


def _remove_volumes(host: Host, doomed: dict[str, set[str]], done: Changes) -> None:
    for volume, owners in sorted(doomed.items()):
        told = [done[name] for name in owners if name in done]
        if any("failure" in result for result in told):
            continue
        try:
            host.engine.remove_volume(volume)
        except SalternError as error:
            for result in told:
                result["failure"] = {"message": f"volume {volume} stays: {error}", "log": [], "host": host.name}
            continue
        for result in told:
            result.setdefault("volumes", []).append(volume)
