"""What the toolbox is asked to make first in a new cloud, and which choices of the operator's are wrong."""

from dataclasses import replace
from typing import Any

import pytest

from saltern.model import first_cloud
from saltern.model.cloud import resolve
from saltern.model.problems import Problems
from saltern.model.schema import check
from saltern.model.schema_pillar import FIRST_CLOUD
from saltern.model.sources import Sources

NETWORKS = {
    "provider": {"physnet1": {"bridge": "br-ex"}},
    "external": {"provider": "physnet1", "cidr": "172.29.0.0/24", "floating": ["172.29.0.100", "172.29.0.150"]},
}


def resolved(first: dict[str, Any] | None = None, **openstack: Any) -> Any:
    tree = {"hosts": {"aio": {"address": "10.0.0.11"}}, "first_cloud": first or {}, **openstack}
    made = resolve(tree, {}, Sources("pillar"))
    return replace(made, services=dict.fromkeys(first_cloud.NEEDS))


def test_every_name_and_size_has_a_default() -> None:
    want = first_cloud.wanted(resolved(networks=NETWORKS))
    assert want is not None
    assert want["instance"] == {"name": "first", "flavor": "tiny"}
    assert {"name": "tiny", "vcpus": 1, "ram": 128, "disk": 1} in want["flavors"]
    assert (want["network"]["cidr"], want["wait"]) == ("10.9.0.0/24", 300)
    assert (want["external"]["name"], want["external"]["gateway"]) == ("public", "172.29.0.1")
    assert "neutron-l3-agent" in want["agents"]


def test_the_operators_choices_win() -> None:
    chosen = {"instance": "hello", "flavors": {"big": {"vcpus": 4, "ram": 4096, "disk": 20}}, "flavor": "big"}
    want = first_cloud.wanted(resolved(chosen))
    assert want is not None
    assert want["instance"] == {"name": "hello", "flavor": "big"}
    assert [flavor["name"] for flavor in want["flavors"]] == ["tiny", "small", "big"]
    assert want["external"] is None and "neutron-l3-agent" not in want["agents"]


def test_a_cloud_without_compute_wants_nothing() -> None:
    assert first_cloud.wanted(replace(resolved(), services={"glance": None})) is None


@pytest.mark.parametrize(
    ("chosen", "key"),
    [
        ({"cidr": "172.29.0.128/25"}, "openstack:first_cloud:cidr"),
        ({"flavor": "tyni"}, "openstack:first_cloud:flavor"),
    ],
)
def test_choices_that_cannot_work(chosen: dict[str, Any], key: str) -> None:
    problems = Problems(Sources("pillar"))
    first_cloud.check_first_cloud(resolved(chosen, networks=NETWORKS), problems)
    assert [problem.key for problem in problems.items] == [key]


@pytest.mark.parametrize(
    "chosen", [{"cidr": "10.9.0.1/24"}, {"cidr": "fd00::/64"}, {"instance": "a b"}, {"flavors": {"x": {"ram": 1}}}]
)
def test_choices_of_the_wrong_kind(chosen: dict[str, Any]) -> None:
    problems = Problems(Sources("pillar"))
    check(chosen, FIRST_CLOUD, problems, first_cloud.BASE)
    assert problems.items
