"""Whether a host accelerates guests, and on which processor, before anything is started on it.

What its containers want is in their ``host:``: ``acceleration`` (auto, kvm, qemu) and ``processors`` (same: running
guests move among their hosts, so all have to have one processor; mixed). That ``/dev/kvm`` is there proves little:
where a guest was tried, the fact ``acceleration`` of their service knows better (`saltern.host.facts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from saltern.contract.names import HOST_ROOT
from saltern.host import facts
from saltern.host.prechecks import Check

DEVICE = Path("/dev/kvm")
CPUINFO = Path("/proc/cpuinfo")
EMULATED = "software emulation"


def check(
    specs: Iterable[Mapping[str, Any]], *, root: Path = HOST_ROOT, device: Path = DEVICE, cpuinfo: Path = CPUINFO
) -> tuple[list[Check], dict[str, str]]:
    """What containers want of acceleration, and what only a comparison with other hosts can judge.

    Returns the checks, and readings: ``emulated`` (why guests are slow here), ``processor`` and the ``service`` whose
    hosts must have the same.
    """
    checks: list[Check] = []
    readings: dict[str, str] = {}
    for spec in specs:
        needs = spec.get("host") or {}
        wanted = needs.get("acceleration")
        if wanted is None:
            continue
        why = _emulated(wanted, spec["service"], root, device)
        good = not (why and wanted == "kvm")
        expected = "KVM" if wanted == "kvm" else EMULATED if wanted == "qemu" else f"KVM or {EMULATED}"
        found = f"{EMULATED}: {why}" if why else "KVM"
        checks.append(
            Check("acceleration", good, found, f"{expected}, for {spec['name']}", "" if good else _hint(cpuinfo))
        )
        if why:
            readings["emulated"] = why
        elif needs.get("processors") == "same":
            readings["service"] = spec["service"]
            readings["processor"] = processor(cpuinfo.read_text(encoding="utf-8", errors="replace"))
    return checks, readings


def _emulated(wanted: str, service: str, root: Path, device: Path) -> str:
    """Why guests are emulated on this host, empty where they are not."""
    if wanted == "qemu":
        return "the pillar says so"
    if not device.exists():
        return f"the host has no {device}"
    fact = facts.read(service, "acceleration", root) or {}
    return str(fact.get("reason", "")) if wanted == "auto" and fact.get("value") == "qemu" else ""


def _hint(cpuinfo: Path) -> str:
    flags = cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    if not {"vmx", "svm"} & set(flags):
        return "Switch virtualisation on in the firmware (or in the outer hypervisor), or set acceleration: auto"
    return (
        "Run modprobe kvm_intel or kvm_amd, and name it in /etc/modules-load.d/saltern.conf; or set acceleration: auto"
    )


def processor(cpuinfo: str) -> str:
    """Name and numbers of a host's first processor, from the text of ``/proc/cpuinfo``.

    >>> processor("model name : Xeon 6\\ncpu family : 6\\nmodel : 207\\nstepping : 2\\n\\nprocessor : 1\\n")
    'Xeon 6 (6-207-2)'
    """
    first = cpuinfo.partition("\n\n")[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = "-".join(fields.get(key, "?") for key in ("cpu family", "model", "stepping"))
    return f"{fields.get('model name', 'unknown')} ({numbers})"
