"""The first things in a new cloud (``openstack:first_cloud``): every name and size has a default.

What the toolbox gets is complete, so that it decides nothing (docs/interfaces.md, section 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from saltern.model.cloud import Cloud
from saltern.model.problems import Problems, known
from saltern.model.units import seconds

BASE = ("openstack", "first_cloud")
NEEDS = ("glance", "neutron", "nova", "placement")
FLAVORS = {"tiny": {"vcpus": 1, "ram": 128, "disk": 1}, "small": {"vcpus": 1, "ram": 512, "disk": 5}}
DEFAULTS: dict[str, Any] = {
    "instance": "first",
    "flavor": "tiny",
    "flavors": {},
    "image": "tiny",
    "network": "first",
    "cidr": "10.9.0.0/24",
    "dns": [],
    "router": "first",
    "security_group": "first",
    "key_pair": "first",
    "wait": "5m",
}
# What an instance may be asked from anywhere: does it live, and may I come in.
INGRESS = [{"protocol": "icmp", "port": None}, {"protocol": "tcp", "port": 22}]


def chosen(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The operator's choices with every default in place.

    tree
        What stands below ``openstack:first_cloud``.
    """
    made = {**DEFAULTS, **tree}
    return {**made, "flavors": {**FLAVORS, **made["flavors"]}}


def wanted(cloud: Cloud) -> dict[str, Any] | None:
    """What the toolbox is asked for; None where the model has no services that could give it."""
    if not all(name in cloud.services for name in NEEDS):
        return None
    have = chosen(cloud.first_cloud)
    external = cloud.networks.as_dict()["external"]
    agents = ["neutron-openvswitch-agent", "neutron-dhcp-agent", *(["neutron-l3-agent"] if external else [])]
    return {
        "flavors": [{"name": name, **size} for name, size in have["flavors"].items()],
        "image": {"name": have["image"]},
        "external": external,
        "network": {"name": have["network"], "cidr": have["cidr"], "dns": list(have["dns"])},
        "router": have["router"],
        "security_group": have["security_group"],
        "ingress": INGRESS,
        "key_pair": have["key_pair"],
        "instance": {"name": have["instance"], "flavor": have["flavor"]},
        "agents": agents,
        "wait": seconds(have["wait"]),
    }


def check_first_cloud(cloud: Cloud, problems: Problems) -> None:
    """Add every fault of the operator's choices."""
    have = chosen(cloud.first_cloud)
    known((*BASE, "flavor"), have["flavor"], have["flavors"], problems)
    external = cloud.networks.external
    if external and external.cidr.overlaps(IPv4Network(have["cidr"])):
        expected = f"a network apart from the external one ({external.cidr}): one router leads to both"
        problems.add((*BASE, "cidr"), expected, have["cidr"])
