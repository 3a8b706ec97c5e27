"""After everything the other tests did, no secret lies where none may be (this file runs last on purpose)."""

from pathlib import Path

import pytest
import secret_scan
from rig import twohosts
from rig.cloud import SaltCloud

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

DEBUG = {"services": {"keystone": {"keystone.conf": {"DEFAULT": {"debug": True}}}}}


def test_no_secret_where_none_may_be(deployed: SaltCloud, tmp_path: Path) -> None:
    twohosts.write(deployed, config=DEBUG)
    deployed.verb("plan")
    deployed.deploy()
    scanner = secret_scan.Scanner(secret_scan.leaves(deployed.secrets()))
    assert scanner.skipped == []
    found = scanner.processes()
    found += scanner.directory(deployed.root)  # the master's job cache, logs, compiled models, runs
    for host in deployed.rig.hosts:
        found += scanner.engine(host.engine_url)
        for name in ("rootfs/srv", "cow/var/up", "cow/etc/up", "cow/root/up", "saltern", "tmp", "docker/containers"):
            found += scanner.directory(host.base / name)
    deployed.events.save(tmp_path / "events.jsonl")
    found += scanner.directory(tmp_path)
    assert [str(finding) for finding in found] == []


def test_a_changed_password_is_masked_in_the_plan(deployed: SaltCloud) -> None:
    """The difference shows that it changed, not what it was or is."""
    name = "keystone_database_password"
    before = (deployed.pillar / "secrets.sls").read_text()
    old = deployed.secrets()[name]
    new = "n" + old[::-1]
    (deployed.pillar / "secrets.sls").write_text(before.replace(old, new))
    try:
        done = deployed.run("openstack.plan", "--out=json")
        text = done.stdout + done.stderr
        assert "keystone.conf" in text and old not in text and new not in text
    finally:
        (deployed.pillar / "secrets.sls").write_text(before)


def test_each_minion_has_only_what_its_containers_need(deployed: SaltCloud) -> None:
    slices = deployed.state / "compiled/current/hosts"
    secrets = deployed.secrets()
    on_database_host = (slices / "db1.json").read_text()
    assert secrets["keystone_admin_password"] not in on_database_host
    assert secrets["keystone_fernet_keys"][0] not in on_database_host
    for path in slices.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert not [
        name
        for name, value in secret_scan.leaves(secrets).items()
        if value in (slices.parent / "plan.json").read_text()
    ]
