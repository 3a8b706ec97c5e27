"""Compile clouds of the real service folders, as the master does, for tests that look at what hosts would get."""

import base64
import hashlib
import shutil
from pathlib import Path
from typing import Any

from saltern.model.services import Services, load_services
from saltern.model.sources import Sources
from saltern.model.tree import Tree
from saltern.plan.compile import Compiled, compile_model

CHECKOUT = Path(__file__).resolve().parents[3]
SERVICES = CHECKOUT / "states/openstack/services"
ALL = ["control", "database", "messaging", "loadbalancer", "network", "compute", "storage"]

AIO = {"aio": {"address": "10.0.0.11", "roles": ALL}}
CONTROLLER = ["control", "database", "messaging", "loadbalancer"]
THREE = {f"ctl{n}": {"address": f"10.0.0.1{n}", "roles": CONTROLLER} for n in (1, 2, 3)}
# what comes by itself with a compute host
COMPUTE = ("rabbitmq", "placement", "openvswitch", "neutron", "libvirt", "nova")
# services: of a pillar that switches on every folder there is, also those that are off unless an operator wants them
EVERY = {path.parent.name: {"enabled": True} for path in sorted(SERVICES.glob("*/service.yaml"))}


def only(*names: str) -> dict[str, Any]:
    """``services:`` of a pillar with these of compute's services and no other of them."""
    return {name: {"enabled": name in names} for name in COMPUTE}


def fernet_key(name: str, number: int) -> str:
    """A valid key, always the same one."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{number} of {name}".encode()).digest()).decode()


def secrets_for(services: Services) -> dict[str, Any]:
    """A value for each secret, recognisable by its name."""
    found: dict[str, Any] = {}
    for service in services.services.values():
        for name, kind in service.secrets.items():
            keys = [fernet_key(name, n) for n in range(kind.get("count", 0))]
            found[name] = keys or f"secret-of-{name}"
    return found


def compiled(hosts: dict[str, Any], folder: Path = SERVICES, **openstack: Any) -> Compiled:
    """A compiled cloud; raises AssertionError with the problems when there are any."""
    services = load_services(folder)
    tree = {"cloud": "saltern", "release": "2025.2", "hosts": hosts, "secrets": secrets_for(services), **openstack}
    made = compile_model(Tree(tree, Sources("pillar")), services, "d" * 16, "l" * 16)
    assert not made.problems, made.problems
    return made


def spec(made: Compiled, host: str, container: str) -> dict[str, Any]:
    (found,) = [entry for entry in made.slices[host]["containers"] if entry["name"] == container]
    return found


def file(entry: dict[str, Any], name: str) -> str:
    (found,) = [f["content"] for f in entry["files"] if f["name"] == name]
    return str(found)


def copied(target: Path) -> Path:
    """A copy of the service folders to change."""
    return Path(shutil.copytree(SERVICES, target))
