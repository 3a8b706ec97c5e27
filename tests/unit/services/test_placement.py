"""Placement: what its host, the toolbox and the load balancer get, once it is switched on."""

from typing import Any

import pytest

from saltern.model import ini
from unit.services import cloud


@pytest.fixture(scope="module")
def made() -> Any:
    return cloud.compiled(cloud.AIO, services={"placement": {"enabled": True}})


def test_it_is_off_where_no_host_is_a_hypervisor() -> None:
    plan = cloud.compiled(cloud.THREE).plan
    assert plan and "placement_api" not in plan["containers"] and "placement" not in plan["endpoints"]


def test_its_endpoint_database_and_user(made: Any) -> None:
    assert made.plan["endpoints"]["placement"] == "http://10.0.0.11:8778"
    entry = made.slices["aio"]["batch"]["services"]["placement"]
    assert [d["name"] for d in entry["databases"]] == ["placement"]
    assert [(u["name"], u["project"], u["roles"]) for u in entry["identity"]["users"]] == [
        ("placement", "service", ["service"])
    ]
    assert [job["name"] for job in entry["jobs"]] == ["db_sync"]


def test_it_is_asked_for_its_versions_which_need_no_token(made: Any) -> None:
    spec = cloud.spec(made, "aio", "placement_api")
    assert spec["liveness"]["http"] == "http://10.0.0.11:18778/"
    assert "listen placement\n    bind 10.0.0.11:8778\n" in cloud.file(
        cloud.spec(made, "aio", "haproxy"), "haproxy.cfg"
    )


def test_its_configuration_is_merged_with_the_operators() -> None:
    settings = {"services": {"placement": {"placement.conf": {"placement": {"randomize_allocation_candidates": True}}}}}
    made = cloud.compiled(cloud.AIO, services={"placement": {"enabled": True}}, config=settings)
    conf = ini.parse(cloud.file(cloud.spec(made, "aio", "placement_api"), "placement.conf"))
    assert conf["placement"] == {"randomize_allocation_candidates": ["True"]}
    database = (
        "mysql+pymysql://placement:secret-of-placement_database_password@10.0.0.11:3306/placement?charset=utf8mb4"
    )
    assert conf["placement_database"]["connection"] == [database]
