"""Run a due job: a one-shot container on the toolbox host, under a lease, until its success is recorded.

At least once: a job killed between its end and its record runs again, so every job must bear that. What a killed run
left is looked at first. A container that still works is waited for, not killed: half a schema migration is worse than
a slow one. Its success counts when it did this very job (same image, same files), else ours follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saltern.contract.errors import ImageMissing, JobFailed
from saltern.contract.names import LABEL_JOB, LABEL_SPEC, missing_hint
from saltern.host import files, mounts, spec, toolbox
from saltern.host.context import Host
from saltern.host.lock import ContainerLock

LOG_LINES = 20
LEASE_MARGIN = 60  # seconds beyond the job's own time-out: the lease must not end before the container

Job = dict[str, Any]
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Order:
    """One job to run.

    job
        Job of docs/interfaces.md, section 6.
    image_id
        Id of the image that its reference means on this host, None where it is absent.
    holder
        Who takes the lease: ``<host>/<run id>``.
    force
        Run it although a success is recorded.
    """

    job: Job
    image_id: str | None
    holder: str
    force: bool = False

    @property
    def name(self) -> str:
        return f"{self.job['service']} {self.job['name']}"


def run(host: Host, batch: dict[str, Any], order: Order) -> dict[str, Any]:
    """Run a job unless its success is recorded.

    host
        This host.
    batch
        The slice's batch, for the toolbox.
    order
        What to run.

    Returns ``{"name", "result": "ran" | "done", "seconds"}``. Raises JobFailed (ended with an error, too slow, held by
    another host), ImageMissing, ToolboxFailed, LockHeld.
    """
    wanted, begun = order.job["spec"], host.clock()
    image = _image(order)
    with ContainerLock(host.store.locks, wanted["name"], f"job {order.name}", timeout=host.lock_timeout):
        body = spec.body(wanted, image, files.directory(host.store.config, wanted), job=order.job["name"])
        working = _leftover(host, order, body)
        answer = _ask(host, batch, order, "job_begin")
        if answer["begin"] == "held":
            raise JobFailed(
                f"{answer['holder']} runs it, until {answer['until']} UTC at the latest",
                where=f"job {order.name}",
                hint="Run this again then",
            )
        if answer["begin"] == "run":
            _work(host, batch, order, body, working)
        _clear(host, wanted["name"])
    result = "ran" if answer["begin"] == "run" else "done"
    return {"name": order.job["name"], "result": result, "seconds": round(host.clock() - begun, 1)}


def _image(order: Order) -> str:
    if order.image_id is None:
        reference = order.job["spec"]["image"]
        raise ImageMissing(
            f"image {reference} is not on this host",
            where=f"job {order.name}",
            hint=missing_hint([reference]),
        )
    return order.image_id


def _leftover(host: Host, order: Order, body: dict[str, Any]) -> bool:
    """Whether a container of a killed run still does this very job; any other one is removed once it has ended."""
    name = order.job["spec"]["name"]
    found = host.engine.inspect(name)
    if found is None:
        return False
    labels = (found.get("Config") or {}).get("Labels") or {}
    if LABEL_JOB not in labels:
        raise JobFailed("a container of this name is there and is no job", where=name, hint="Remove or rename it")
    if found["State"]["Running"]:
        if labels.get(LABEL_SPEC) == body["Labels"][LABEL_SPEC]:
            return True
        host.engine.wait(name, float(order.job["timeout"]))
    host.engine.remove(name, force=True)
    return False


def _work(host: Host, batch: dict[str, Any], order: Order, body: dict[str, Any], working: bool) -> None:
    wanted, name = order.job["spec"], order.job["spec"]["name"]
    if not working:
        mounts.prepare(host.store.locks, wanted)
        files.write(host.store.config, wanted, host.secrets)
        host.engine.create(name, body)
        host.engine.start(name)
    # No clean-up on the way out of an exception: whoever comes next finds the container and waits for it.
    code = host.engine.wait(name, float(order.job["timeout"]))
    if code == 0:
        _ask(host, batch, order, "job_end", result="ok")
        return
    log = [host.mask(line) for line in host.engine.logs(name, LOG_LINES)]
    _clear(host, name)
    _ask(host, batch, order, "job_end", result="failed")
    what = f"still ran after {order.job['timeout']} s" if code is None else f"ended with exit code {code}"
    raise JobFailed("\n  ".join([what, "last log:", *(log or ["(it wrote nothing)"])]), where=f"job {order.name}")


def _clear(host: Host, name: str) -> None:
    """Remove the container and its files: they may hold what nothing else on this host needs."""
    host.engine.remove(name, force=True)
    files.prune(host.store.config, name, keep=())


def _ask(host: Host, batch: dict[str, Any], order: Order, action: str, **more: Any) -> dict[str, Any]:
    service, job = order.job["service"], order.job
    seconds = int(float(job["timeout"])) + LEASE_MARGIN
    lease = {"holder": order.holder, "seconds": seconds, "force": order.force}
    request = toolbox.part_of(batch, action, service, lease=lease, **more)
    entry = {"name": job["name"], "input": job["input"], "image_id": order.image_id}
    request["services"] = {service: {"jobs": [entry]}}
    return dict(toolbox.change(host.engine, request)["services"][service]["job"])
