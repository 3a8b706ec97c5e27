"""A thousand mutated pillars: each gives precise problems or a valid plan, never a traceback and never a secret."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import yaml

from saltern.model.services import Services, load_services
from saltern.model.sources import Sources
from saltern.model.tree import Tree, plain
from saltern.plan.compile import Compiled, compile_model
from unit.saltern.model import fixtures

CHECKOUT = Path(__file__).resolve().parents[4]
SEED, ROUNDS = 20260101, 1000
VALUES: list[Any] = [
    None, True, False, 0, -1, 5, 3.5, 10**12, "", "x", "10.0.0.11", "::1", "{{ 7*7 }}", "{% raw", "[s]\nx=1", "a\nb",
    "\x00", "ünïcode ☃", "../../etc", [], [None], ["control"], {}, {"a": {"b": {"c": 1}}}, {"": ""}, "keystone",
    "y" * 5000,
]  # fmt: skip
SECRET = "hunter-of-secrets-22"


def base(services: Services) -> dict[str, Any]:
    secrets = {
        name: [SECRET] * spec["count"] if "count" in spec else SECRET
        for service in services.services.values()
        for name, spec in service.secrets.items()
    }
    return {
        "cloud": "saltern",
        "release": "2025.2",
        "region": "RegionOne",
        "vip": "10.0.0.9",
        "debug": False,
        "hosts": {
            f"ctl{n}": {
                "address": f"10.0.0.1{n}",
                "roles": ["control", "database", "messaging", "loadbalancer", "network", "compute", "storage"],
                "interface": "eth0",
                "tunnel_address": f"10.1.0.1{n}",
                "provider_interfaces": {"physnet1": "eth2"},
                "config": {"keystone.conf": {"DEFAULT": {"debug": True}}},
            }
            for n in range(2)
        },
        "networks": {
            "tunnel": {"type": "vxlan", "range": "1:65535", "mtu": 1500},
            "provider": {
                "physnet1": {"bridge": "br-ex", "interface": "eth1", "vlans": ["100:199", "300"], "roles": ["network"]},
                "physnet2": {
                    "bridge": "br-two",
                    "interface": "eth3",
                    "vlans": "100:199",
                    "roles": ["compute", "network"],
                },
            },
            "external": {
                "name": "public",
                "provider": "physnet1",
                "cidr": "172.29.0.0/24",
                "gateway": "172.29.0.1",
                "floating": ["172.29.0.100", "172.29.0.150"],
                "host_address": "172.29.0.2/24",
            },
            "datapath": "auto",
        },
        "services": {
            "keystone": {"enabled": True, "variables": {"workers": 2}, "limits": {"keystone": {"memory": "2G"}}}
        },
        "images": {"registry": None, "namespace": "saltern", "prefix": "", "tag": None, "mirrors": {"apt": None}},
        "config": {
            "global": {"keystone.conf": {"DEFAULT": {"debug": True, "many": ["a", "b"]}}},
            "services": {"keystone": {"keystone.conf": {"token": {"expiration": 5}}}},
            "containers": {"keystone": {"keystone.conf": {"token": {"expiration": 6}}}},
        },
        "heal": {"enabled": True, "patience": 1.0, "sweep": "60s"},
        "secrets": secrets,
    }


def spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every container and key in the tree."""
    found = []
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        found.append((tree, key))
        if isinstance(tree[key], (dict, list)):
            found += spots(tree[key])
    return found


def a_value(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(VALUES))


def mutate(tree: dict[str, Any], chance: random.Random) -> None:
    """One fault as operators make them: a wrong value, a lost, misspelt, doubled or misplaced key."""
    where, key = chance.choice(spots(tree))
    kind = chance.randrange(6)
    if kind <= 1:
        where[key] = a_value(chance)
    elif kind == 2:
        del where[key]
    elif kind == 3 and isinstance(where, dict):
        text = str(key)
        at = chance.randrange(len(text) + 1)
        where[text[:at] + chance.choice("xyz_ /:.\n") + text[at + chance.randrange(2) :]] = where.pop(key)
    elif kind == 4 and isinstance(where, dict):
        other, target = chance.choice(spots(tree))
        other[target] = json.loads(json.dumps(where[key]))
    elif isinstance(where, dict):
        where[chance.choice(["new", "enabled", "address", 5, True])] = a_value(chance)
    else:
        where.append(a_value(chance))


def check(made: Compiled) -> None:
    if made.problems:
        assert made.plan is None
        for problem in made.problems:
            assert problem.file
            assert problem.expected
            assert problem.found
        assert SECRET not in str(made.problems)
    else:
        assert made.plan is not None
        json.dumps([made.plan, made.slices, made.origins], allow_nan=False)
        assert SECRET not in json.dumps([made.plan, made.origins])


def test_a_thousand_mutated_pillars() -> None:
    services = load_services(CHECKOUT / "states/openstack/services")
    chance = random.Random(SEED)
    start = base(services)
    good = 0
    for _ in range(ROUNDS):
        tree = copy.deepcopy(start)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            mutate(tree, chance)
        made = compile_model(Tree(plain(tree), Sources("pillar")), services, "d" * 16, "l" * 16)
        check(made)
        good += not made.problems
    assert ROUNDS * 0.05 < good < ROUNDS * 0.7, "most mutations are faults, some are not"


def test_a_hundred_mutated_texts(tmp_path: Path) -> None:
    services = load_services(CHECKOUT / "states/openstack/services")
    chance = random.Random(SEED)
    text = yaml.safe_dump({"openstack": base(services)}, sort_keys=False)
    for _ in range(100):
        at = chance.randrange(len(text))
        mutated = (
            text[:at]
            + chance.choice(["", ":", "\t", "'", "- ", "&a ", "*a ", "{", "\n", "!!python/name:os ", "%"])
            + text[at + 1 :]
        )
        check(fixtures.compiled(tmp_path / "p", services, mutated))
