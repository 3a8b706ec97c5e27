"""One cloud on two hosts of a rig for the whole session; every test leaves it deployed, with the base model."""

import logging
import time
from collections.abc import Iterator

import pytest
from rig import twohosts
from rig.cloud import SaltCloud
from rig.openstackapi import OpenStack
from rig.rig import Rig

for noisy in ("salt", "saltfactories", "asyncio", "git"):  # else a failure drowns in what Salt says to itself
    logging.getLogger(noisy).setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def cloud() -> Iterator[SaltCloud]:
    """Master, minions, the first deploy. ``cloud.notes`` has its seconds."""
    with Rig(twohosts.NAMES) as rig, SaltCloud(rig) as cloud:
        twohosts.write(cloud)
        cloud.start_master()
        cloud.verb("secrets_generate")
        cloud.start()
        begun = time.monotonic()
        cloud.deploy()
        cloud.notes["first deploy"] = time.monotonic() - begun
        yield cloud


@pytest.fixture
def deployed(cloud: SaltCloud) -> Iterator[SaltCloud]:
    """The cloud as the base model says, before and after the test."""
    _to_base(cloud)
    yield cloud
    _to_base(cloud)


def _to_base(cloud: SaltCloud) -> None:
    if cloud.notes.get("clean") == cloud.events.mark():
        return  # nothing happened since
    twohosts.remove_plain(cloud)
    twohosts.write(cloud)
    cloud.deploy()
    cloud.notes["clean"] = cloud.events.mark()


@pytest.fixture
def openstack(deployed: SaltCloud) -> OpenStack:
    """The administrator, through HAProxy."""
    return OpenStack(deployed.rig["ctl1"].address, deployed.secrets()["keystone_admin_password"])
