"""The second part of ``openstack.status``: agents, hypervisors with their acceleration, instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from saltern.terminal.marks import FAILED, OK, SKIPPED, count, cut, names, tint

SERVICES = ("neutron", "nova")  # a model with one of these has something to show here
MOST = 10  # instances; a cloud may have thousands
EMULATED = "emulated"


def asked_of(plan: Mapping[str, Any]) -> str | None:
    """The host that can tell; None where the model has nothing of the kind."""
    there = {container["service"] for container in plan["containers"].values()}
    return plan.get("toolbox_host") if there & set(SERVICES) else None


def assemble(answer: Any, hosts: Mapping[str, Any], *, silent: bool = False) -> dict[str, Any]:
    """What ``openstack_cloud.overview`` told, as data.

    answer
        The toolbox host's answer; a text is an error.
    hosts
        ``openstack_container.status`` by host, for how each host's instances run.
    silent
        No answer came in time.
    """
    if silent or not isinstance(answer, Mapping):
        text = "the toolbox host does not answer in time" if silent else str(answer or "no answer")
        answer = {"errors": [text]}
    found = {part: list(answer.get(part) or []) for part in ("agents", "services", "hypervisors", "instances")}
    for hypervisor in found["hypervisors"]:
        hypervisor["acceleration"] = _acceleration(hosts.get(hypervisor["host"]))
    return {**found, "errors": [str(text) for text in answer.get("errors") or []]}


def _acceleration(answer: Any) -> dict[str, Any] | None:
    """``{"value": "kvm" or "qemu", "reason", "cpu"}`` as the host's libvirt container found it; None before it did."""
    facts = answer.get("facts") if isinstance(answer, Mapping) else None
    found = ((facts or {}).get("libvirt") or {}).get("acceleration") or {}
    return {key: found.get(key, "") for key in ("value", "reason", "cpu")} if found else None


def good(data: Mapping[str, Any] | None) -> bool:
    """Whether every agent and service that is enabled is alive, and all could be asked."""
    return data is None or not (data["errors"] or [*_dead(data)])


def lines(data: Mapping[str, Any] | None, *, width: int, colour: bool) -> Iterator[str]:
    """For a person."""
    if data is None:
        return
    mark = tint(FAILED, colour=colour)
    yield from (cut(f"{mark} The cloud does not tell: {text}", width) for text in data["errors"])
    yield from _agents(data, mark)
    yield from (cut(line, width) for line in _hypervisors(data))
    yield from (cut(line, width) for line in _instances(data, colour))


def _agents(data: Mapping[str, Any], mark: str) -> Iterator[str]:
    reports = [*data["agents"], *data["services"]]
    if reports:
        alive = sum(1 for report in reports if _alive(report))
        off = [f"{r['binary']} on {r['host']}" for r in reports if not r["enabled"]]
        yield f"Agents      {alive} of {count(len(reports), 'agent')} and compute services report" + (
            f"; disabled: {names(off)}" if off else ""
        )
    yield from (f"{mark} {report['binary']} on {report['host']} does not report" for report in _dead(data))


def _dead(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (report for report in [*data["agents"], *data["services"]] if report["enabled"] and not _alive(report))


def _alive(report: Mapping[str, Any]) -> bool:
    return bool(report.get("alive", report.get("up")))


def _hypervisors(data: Mapping[str, Any]) -> Iterator[str]:
    title = "Hypervisors "
    for entry in data["hypervisors"]:
        size = f"{entry['vcpus_used']} of {entry['vcpus']} vCPU, {_gib(entry['memory_mb_used'], entry['memory_mb'])}"
        runs, why = _runs(entry["acceleration"])
        yield f"{title}{entry['host']}  {size}, {count(entry['running'], 'instance')}, {runs}"
        title = " " * len(title)
        if why:
            yield f"{title}{' ' * len(entry['host'])}  {why}"
    found = _processors(data["hypervisors"])
    if len(found) > 1:
        yield "            their processors differ, running instances may not move from one to another:"
        yield from (f"            {processor} on {names(hosts)}" for processor, hosts in sorted(found.items()))


def _processors(hypervisors: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Hosts by the processor that their instances see. An emulated one is the same everywhere."""
    found: dict[str, list[str]] = {}
    for entry in hypervisors:
        acceleration = entry["acceleration"] or {}
        if acceleration.get("value") == "kvm" and acceleration.get("cpu"):
            found.setdefault(acceleration["cpu"], []).append(entry["host"])
    return found


def _runs(acceleration: Mapping[str, Any] | None) -> tuple[str, str]:
    """How instances run, and why not faster."""
    if not acceleration:
        return "acceleration not known", ""
    return ("KVM", "") if acceleration["value"] == "kvm" else (EMULATED, f"no KVM: {acceleration['reason']}")


def _gib(used: int, size: int) -> str:
    return f"{used / 1024:.1f} of {size / 1024:.1f} GiB"


def _instances(data: Mapping[str, Any], colour: bool) -> Iterator[str]:
    title = "Instances   "
    found = sorted(data["instances"], key=lambda entry: entry["status"] != "ERROR")  # what needs somebody comes first
    first = max([len(entry["name"]) for entry in found[:MOST]] + [0])
    for entry in found[:MOST]:
        where = f" on {entry['host']}" if entry["host"] else ""
        text = f"{entry['name']:<{first}}  {entry['status']}{where}  {_addresses(entry['addresses'])}"
        yield f"{title}{tint(_mark(entry['status']), colour=colour)} {text}".rstrip()
        title = " " * len(title)
    if len(found) > MOST:
        yield f"{title}  and {len(found) - MOST} more: openstack server list --all-projects"


def _mark(status: str) -> str:
    return {"ACTIVE": OK, "ERROR": FAILED}.get(status, SKIPPED)


def _addresses(found: Iterable[str]) -> str:
    return ", ".join(found)
