"""Which services a cloud has: switched on by the pillar, by themselves, or by a role that one of the hosts has."""

from pathlib import Path
from typing import Any

import pytest

from . import fixtures

ROLED: dict[str, Any] = {**fixtures.CACHE, "enabled": "compute"}


@pytest.mark.parametrize(
    "roles, chosen, expected",
    [
        (["control", "compute"], {}, True),
        (["control"], {}, False),
        (["control"], {"services": {"cache": {"enabled": True}}}, True),
        (["control", "compute"], {"services": {"cache": {"enabled": False}}}, False),
    ],
)
def test_a_service_may_be_on_where_a_host_has_a_role(
    tmp_path: Path, roles: list[str], chosen: dict[str, Any], expected: bool
) -> None:
    services = fixtures.services_of(tmp_path / "services", ROLED)
    tree = {"cloud": "test", "hosts": {"ctl1": {"address": "10.0.0.11", "roles": roles}}, **chosen}
    made = fixtures.compiled(tmp_path, services, tree)
    assert not made.problems
    assert bool(made.slices["ctl1"]["containers"]) is expected


def test_an_unknown_role_is_named(tmp_path: Path) -> None:
    services = fixtures.services_of(tmp_path / "services", {**ROLED, "enabled": "computing"})
    assert fixtures.keys(services.problems) == ["enabled"]
