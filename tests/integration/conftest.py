"""One cloud on two hosts of a rig for the whole session; every test leaves it deployed, with the base model.

The compute tests have a larger one of their own, with instances.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rig import compute, twohosts
from rig.cloud import SaltCloud
from rig.openstackapi import OpenStack, login
from rig.rig import Rig

for noisy in ("salt", "saltfactories", "asyncio", "git"):  # else a failure drowns in what Salt says to itself
    logging.getLogger(noisy).setLevel(logging.WARNING)


def _first_deploy(cloud: SaltCloud) -> None:
    """Master, secrets, hosts, deploy; its seconds are noted."""
    cloud.start_master()
    cloud.verb("secrets_generate")
    cloud.start()
    begun = time.monotonic()
    cloud.deploy()
    cloud.notes["first deploy"] = time.monotonic() - begun


@pytest.fixture(scope="session")
def cloud() -> Iterator[SaltCloud]:
    """Master, minions, the first deploy. ``cloud.notes`` has its seconds."""
    with Rig(twohosts.NAMES) as rig, SaltCloud(rig) as cloud:
        twohosts.write(cloud)
        _first_deploy(cloud)
        yield cloud


@pytest.fixture
def deployed(cloud: SaltCloud) -> Iterator[SaltCloud]:
    """The cloud as the base model says, before and after the test."""
    _to_base(cloud)
    yield cloud
    _to_base(cloud)


def _to_base(cloud: SaltCloud) -> None:
    if cloud.notes.get("clean") == _picture(cloud):
        return  # a deploy would do nothing
    twohosts.remove_plain(cloud)
    twohosts.write(cloud)
    cloud.deploy()
    cloud.notes["clean"] = _picture(cloud)


def _picture(cloud: SaltCloud) -> dict[str, Any]:
    """Input and outcome: the operator's tree, the service folders, the running containers by id."""
    services = cloud.checkout / "states/openstack/services"
    return {
        "tree": {path.name: path.read_text(encoding="utf-8") for path in sorted(cloud.pillar.glob("*.sls"))},
        "services": sorted(path.name for path in services.iterdir()),
        "containers": {host: {n: c[0] for n, c in names.items()} for host, names in cloud.containers().items()},
    }


@pytest.fixture(scope="module")
def compute_cloud() -> Iterator[SaltCloud]:
    """Two hypervisors, and a third host that waits. It is large, so it lives no longer than its tests."""
    with Rig(compute.NAMES) as rig, SaltCloud(rig) as cloud:
        cloud.write_pillar("init.sls", compute.model(cloud))
        _first_deploy(cloud)
        yield cloud


@pytest.fixture
def openstack(deployed: SaltCloud) -> OpenStack:
    """The administrator, through HAProxy."""
    return login(deployed.rig["ctl1"].address, deployed.secrets()["keystone_admin_password"])
