"""How a host's containers are: for ``list``, ``status`` and the snapshot that goes to the master."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from saltern.contract.names import FORMER, LABEL_CONTAINER, LABEL_JOB, LABEL_SERVICE, LABEL_SPEC, NEXT
from saltern.host import facts, health
from saltern.host.context import Host
from saltern.host.decide import Current

MEMINFO = Path("/proc/meminfo")


def containers(host: Host) -> dict[str, dict[str, Any]]:
    """Every container of our cloud as the engine shows it: ``{name: {"state", "health", "image", "spec", …}}``."""
    return {name: _row(inspected) for name, inspected in _inspected(host).items()}


def status(host: Host) -> dict[str, Any]:
    """As :func:`containers`, with what was committed and whether it is healthy; the host's memory, disk and facts."""
    there, documents = _inspected(host), host.store.desired.all()
    backoff = (host.store.health.get("backoff") or {}).get("containers") or {}
    rows = {}
    for name in sorted({*there, *documents}):
        document = documents.get(name)
        row = _row(there[name]) if name in there else dict(_ABSENT)
        row["desired"] = document.get("state") if document else None
        row["backoff"] = backoff.get(name) or {}
        row["healthy"] = _healthy(host, there.get(name), document)
        rows[name] = row
    found = host.mask_tree(facts.every(host.store.root))
    return {
        "host": host.name,
        "containers": rows,
        "memory": memory(),
        "disk": disk(host.store.root),
        "facts": found,
    }


def snapshot(host: Host, *, boot_id: str, seq: int) -> dict[str, Any]:
    """What the health engine reports: the same few fields for every committed container."""
    rows = status(host)["containers"]
    short = {
        name: {"state": row["state"], "healthy": row["healthy"], "restarts": row["restarts"], "spec": row["spec"]}
        for name, row in rows.items()
    }
    return {"boot_id": boot_id, "seq": seq, "containers": short}


def memory(path: Path = MEMINFO) -> dict[str, int]:
    """Memory of the host in bytes: ``{"total", "available"}``; empty where the kernel does not tell."""
    try:
        fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return {key: int(fields[f"Mem{key.title()}"].split()[0]) * 1024 for key in ("total", "available")}
    except (OSError, KeyError, ValueError):
        return {}


def disk(path: Path) -> dict[str, Any]:
    """Disk below a path in bytes: ``{"path", "total", "free"}``; the nearest parent that exists counts."""
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return {"path": str(path), "total": usage.total, "free": usage.free}


_ABSENT: dict[str, Any] = {
    "state": "missing", "health": None, "image": None, "spec": None, "restarts": 0, "started": None, "service": None,
}  # fmt: skip


def _inspected(host: Host) -> dict[str, dict[str, Any]]:
    names = sorted(Current.listed(item).name for item in host.engine.containers(host.cloud, [LABEL_CONTAINER]))
    found = ((name, host.engine.inspect(name)) for name in names if not name.endswith((NEXT, FORMER)))
    return {n: i for n, i in found if i is not None and LABEL_JOB not in (i["Config"].get("Labels") or {})}


def _row(inspected: dict[str, Any]) -> dict[str, Any]:
    state, labels = inspected["State"], inspected["Config"].get("Labels") or {}
    return {
        "state": state.get("Status"),
        "health": (state.get("Health") or {}).get("Status"),
        "image": inspected["Image"],
        "spec": labels.get(LABEL_SPEC),
        "restarts": inspected.get("RestartCount", 0),
        "started": health.epoch(state.get("StartedAt")),
        "service": labels.get(LABEL_SERVICE),
    }


def _healthy(host: Host, inspected: dict[str, Any] | None, document: dict[str, Any] | None) -> bool | None:
    """None where nothing is wanted of it: not committed, or stopped as planned."""
    if document is None or document.get("state") != "running":
        return None
    return health.healthy(inspected, document["spec"], host.probe).ok
