"""The toolbox host's share of a run: compare databases, jobs and identity of all services in one batch, then put one
service right at a time: its databases, users and first jobs before it starts (some log in to Keystone as they start),
its endpoints and later jobs after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import ToolboxFailed
from saltern.host import jobs, toolbox
from saltern.host.context import Host

Slice = Mapping[str, Any]
Images = Mapping[str, str]
BEFORE, AFTER = "before_start", "after_start"
ENDPOINTS = ("service", "endpoint")  # kinds of changes: nobody should find a service before it has started


def compare(host: Host, part: Slice, images: Images) -> dict[str, Any]:
    """What differs, by service: one exec, nothing is written.

    host
        This host.
    part
        Its slice.
    images
        Image ids by reference, from one listing of the engine.

    Returns ``{"services": {name: {"database": […], "identity": […], "jobs_due": […]}}, "errors": […]}`` with those
    services only for which something is due. While nobody can tell, everything counts as due.
    """
    batch = part.get("batch")
    if not batch or not batch["services"]:
        return {"services": {}, "errors": []}
    filled = {name: {**entry, "jobs": _recorded_jobs(part, name, images)} for name, entry in batch["services"].items()}
    try:
        answer = toolbox.call(host.engine, {**batch, "action": "compare", "services": filled})
    except ToolboxFailed as error:
        return {"services": {n: r for n, e in filled.items() if (r := _unknown(n, e))}, "errors": [str(error)]}
    due = {name: found for name, found in answer["services"].items() if any(found.values())}
    return {"services": due, "errors": answer["errors"]}


def prepare(host: Host, part: Slice, images: Images, service: str, holder: str) -> dict[str, Any]:
    """Databases of a service, its users in Keystone, then the jobs that go before its start.

    service
        Name.
    holder
        Who takes the lease of a job: ``<host>/<run id>``.

    Returns the changes, ``{}`` when there were none. Raises ToolboxFailed, JobFailed, ImageMissing.
    """
    changes = {**_apply(host, part, service, "database"), **_apply(host, part, service, "users")}
    return {**changes, **_run(host, part, images, service, holder, BEFORE)}


def register(host: Host, part: Slice, images: Images, service: str, holder: str) -> dict[str, Any]:
    """Users, roles, services and endpoints of a service in Keystone, then the jobs that go after its start.

    Parameters, result and errors as :func:`prepare`.
    """
    changes = _apply(host, part, service, "identity")
    return {**changes, **_run(host, part, images, service, holder, AFTER)}


def before_start(due: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is due for a service (:func:`compare`) the part that goes before its start, empty when there is none."""
    users = [change for change in due.get("identity") or [] if change["kind"] not in ENDPOINTS]
    return {key: found for key, found in {**due, "identity": users}.items() if found}


def run_job(
    host: Host, part: Slice, images: Images, service: str, name: str, holder: str, *, force: bool
) -> dict[str, Any]:
    """One job, on demand. Raises ToolboxFailed for a job that the model does not have; else as :func:`prepare`."""
    for job in part.get("jobs") or []:
        if (job["service"], job["name"]) == (service, name):
            order = jobs.Order(job, images.get(job["spec"]["image"]), holder, force)
            return jobs.run(host, _batch(part), order)
    raise ToolboxFailed(f"no job {name} of {service} on this host", hint="Jobs run on the toolbox host only")


def _batch(part: Slice) -> dict[str, Any]:
    batch = part.get("batch")
    if not batch:
        raise ToolboxFailed("this is not the toolbox host", where=str(part.get("host", "")))
    return dict(batch)


def _apply(host: Host, part: Slice, service: str, what: str) -> dict[str, Any]:
    """Put ``database``, ``users`` (of Keystone, without endpoints) or ``identity`` of a service right."""
    batch = _batch(part)
    wanted = batch["services"].get(service) or {}
    identity = wanted.get("identity") or {}
    if not {"database": wanted.get("databases"), "users": identity.get("users")}.get(what, any(identity.values())):
        return {}
    kind = "database" if what == "database" else "identity"
    request = toolbox.part_of(batch, "apply", service, part=kind)
    if what == "users":
        request["services"] = {service: {**wanted, "identity": {**identity, "services": []}}}
    changes = toolbox.change(host.engine, request)["services"][service][kind]
    return {kind: changes} if changes else {}


def _run(host: Host, part: Slice, images: Images, service: str, holder: str, when: str) -> dict[str, Any]:
    due = [job for job in part.get("jobs") or [] if job["service"] == service and job["when"] == when]
    orders = [jobs.Order(job, images.get(job["spec"]["image"]), holder) for job in due]
    done = [jobs.run(host, _batch(part), order) for order in orders]
    ran = [{"name": entry["name"], "seconds": entry["seconds"]} for entry in done if entry["result"] == "ran"]
    return {"jobs": ran} if ran else {}


def _recorded_jobs(part: Slice, service: str, images: Images) -> list[dict[str, Any]]:
    """A service's jobs as the record knows them; an absent image makes its job due, and the run names it."""
    return [
        {"name": job["name"], "input": job["input"], "image_id": images.get(job["spec"]["image"], "")}
        for job in part.get("jobs") or []
        if job["service"] == service
    ]


def _unknown(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    def change(kind: str) -> list[dict[str, Any]]:
        return [{"kind": kind, "name": name, "what": "unknown", "field": None}]

    found = {
        "database": change("database") if entry.get("databases") else [],
        "identity": change("identity") if any((entry.get("identity") or {}).values()) else [],
        "jobs_due": [job["name"] for job in entry["jobs"]],
    }
    return found if any(found.values()) else {}
