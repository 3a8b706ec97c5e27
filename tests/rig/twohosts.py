"""The cloud that the integration tests share: MariaDB on one host, everything else on the other."""

from __future__ import annotations

import shutil
from typing import Any

import yaml

from rig.cloud import SaltCloud

NAMES = ("ctl1", "db1")
CLOUD = "rig"
PLAIN = "plain"


def model(cloud: SaltCloud, **extra: Any) -> dict[str, Any]:
    """The operator's tree; ``extra`` adds keys below ``openstack:``."""
    one, two = cloud.rig.hosts
    return {
        "openstack": {
            "cloud": CLOUD,
            "release": "2025.2",
            "hosts": {
                one.name: {"address": one.address, "roles": ["control", "loadbalancer"], "interface": "eth0"},
                two.name: {"address": two.address, "roles": ["database"], "interface": "eth0"},
            },
            **extra,
        }
    }


def write(cloud: SaltCloud, **extra: Any) -> None:
    """Make ``model(**extra)`` the operator's tree."""
    cloud.write_pillar("init.sls", model(cloud, **extra))


def add_plain(cloud: SaltCloud, count: int, *, role: str = "control", frontend: bool = False) -> None:
    """A service folder with ``count`` containers that do nothing; with ``frontend`` the first one is load balanced."""
    containers = {f"{PLAIN}_{number}": _container(role) for number in range(count)}
    service: dict[str, Any] = {"name": PLAIN, "title": "Nothing at all", "containers": containers}
    if frontend:
        # The cache's own program: it listens, and says nothing to a bare connection.
        containers[f"{PLAIN}_0"] |= {
            "process": "memcached -l {{ host.address }} -p 17001 -U 0",
            "liveness": {"tcp": "listen", "every": "5s", "timeout": "3s", "failures": 3},
        }
        service["frontend"] = {"port": 17000, "listen": 17001, "mode": "tcp", "container": f"{PLAIN}_0"}
    folder = cloud.checkout / "states/openstack/services" / PLAIN
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(yaml.safe_dump(service, sort_keys=False), encoding="utf-8")


def remove_plain(cloud: SaltCloud) -> None:
    shutil.rmtree(cloud.checkout / "states/openstack/services" / PLAIN, ignore_errors=True)


def _container(role: str) -> dict[str, Any]:
    return {
        "image": "memcached",
        "runs_on": role,
        "user": "memcached",
        "process": "sleep infinity",
        "limits": {"memory": "32M", "pids": 16},
        "writable": ["/tmp"],
    }
