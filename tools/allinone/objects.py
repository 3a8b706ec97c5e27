"""What the cloud has in the Docker Engine, found by its labels: containers, volumes, images, networks."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

from allinone import engine
from allinone.console import Stop

CLOUD, IMAGE = "saltern.cloud", "saltern.image"
STOP_SECONDS = 60


def containers(cloud: str) -> list[dict[str, Any]]:
    """The engine's entries of the cloud's containers, running or not."""
    return _list("/containers/json?all=1&", {"label": [f"{CLOUD}={cloud}"]})


def running() -> list[str]:
    """Ids of all running containers, whoever's they are."""
    return [each["Id"] for each in _list("/containers/json?", {})]


def stop(found: list[dict[str, Any]]) -> None:
    """Stop what runs of ``found``; each has its own time to end."""
    for each in found:
        if each["State"] in ("running", "restarting", "paused"):
            engine.ask("POST", f"/containers/{each['Id']}/stop", timeout=STOP_SECONDS * 10)


def volumes(cloud: str, state: Path) -> list[str]:
    """Names of the cloud's volumes: what its containers mount, and what committed specs of lost ones name."""
    names = {
        mount["Name"] for each in containers(cloud) for mount in each.get("Mounts", []) if mount.get("Type") == "volume"
    }
    for path in (state / "desired").glob("*.json"):
        try:
            mounts = json.loads(path.read_text())["spec"].get("mounts") or []
        except (ValueError, KeyError, OSError):
            continue
        names.update(mount["source"] for mount in mounts if mount.get("type") == "volume")
    names.update(each["Name"] for each in _list("/volumes?", {"label": [f"{CLOUD}={cloud}"]}, key="Volumes"))
    return sorted(names)


def remove_containers(cloud: str) -> int:
    """How many were removed."""
    return sum(_delete(f"/containers/{each['Id']}?force=1&v=1") for each in containers(cloud))


def remove_volumes(names: list[str]) -> int:
    """How many were removed."""
    return sum(_delete(f"/volumes/{urllib.parse.quote(name, safe='')}") for name in names)


def images() -> set[str]:
    """Ids of all images with our label."""
    return {each["Id"] for each in _list("/images/json?all=0&", {"label": [IMAGE]})}


def remove_images() -> int:
    """Remove all images with our label that no container of others uses, children before parents; how many went."""
    found = images()
    left = set(found)
    while left:
        gone = {each for each in left if _delete(f"/images/{each}?force=1")}
        if not gone:
            break
        left -= gone
    return len(found - left)


def remove_networks(cloud: str) -> int:
    """How many were removed."""
    return sum(_delete(f"/networks/{each['Id']}") for each in _list("/networks?", {"label": [f"{CLOUD}={cloud}"]}))


def _list(path: str, filters: dict[str, list[str]], key: str = "") -> list[dict[str, Any]]:
    status, body = engine.ask("GET", f"{path}filters={urllib.parse.quote(json.dumps(filters))}")
    if status == 0:
        return []
    if status != 200:
        raise Stop(f"The Docker Engine answered {status}: {body.decode(errors='replace')[:200]}", code=5)
    data = json.loads(body)
    return list((data.get(key) if key else data) or [])


def _delete(path: str) -> bool:
    status, _ = engine.ask("DELETE", path, timeout=120)
    return status in (200, 204, 404)
