"""``openstack:networks``: what templates, hosts and the plan get of it, and what an operator is told of faults."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import API, API_FILES, CACHE, DATABASE, ROLES, TOOLBOX

SWITCH: dict[str, Any] = {
    "name": "switch",
    "provides": {"network": {"container": "switch"}},
    "containers": {
        "switch": {"image": "switch", "runs_on": ["network", "control"], "user": "root", "process": "switchd"}
    },
}
FILES = {
    **API_FILES,
    "api.conf.j2": """[a]
mtu = {{ networks.tunnel.mtu }}
range = {{ networks.tunnel.range }}
local = {{ host.tunnel_address }}
others = {{ hosts.values() | map(attribute="tunnel_address") | join(",") }}
bridges = {% for p in host.provider %}{{ p.name }}:{{ p.bridge }}:{{ p.interface }} {% endfor %}

vlans = {% for name, p in networks.provider.items() %}{% for v in p.vlans %}{{ name }}:{{ v }} {% endfor %}{% endfor %}

external = {{ networks.external.cidr if networks.external else "none" }}
""",
}
HOSTS: dict[str, Any] = {
    "ctl1": {"address": "10.0.0.11", "roles": ROLES, "interface": "eth0"},
    "net1": {
        "address": "10.0.0.21",
        "roles": ["network"],
        "interface": "eth0",
        "tunnel_address": "10.1.0.21",
        "provider_interfaces": {"physnet1": "eth2"},
    },
    "net2": {"address": "10.0.0.22", "roles": ["network"]},
    "sto1": {"address": "10.0.0.31", "roles": ["storage"]},
}
NETWORKS: dict[str, Any] = {
    "tunnel": {"range": "5:500", "mtu": 9000},
    "provider": {
        "physnet1": {"bridge": "br-ex", "interface": "eth1", "mtu": 9000, "vlans": ["100:199", "300"]},
        "physnet2": {"bridge": "br-two", "roles": ["control"]},
    },
    "external": {
        "provider": "physnet1",
        "cidr": "172.29.0.0/24",
        "floating": ["172.29.0.100", "172.29.0.150"],
        "host_address": "172.29.0.9/24",
    },
}


def compiled(root: Path, networks: Any = None, switch: Any = SWITCH, hosts: Any = None) -> Any:
    services = fixtures.services_of(root / "s", CACHE, DATABASE, TOOLBOX, API, switch, files=FILES)
    tree = fixtures.pillar(hosts=copy.deepcopy(hosts or HOSTS))
    if networks is not None:
        tree["networks"] = copy.deepcopy(networks)
    return fixtures.compiled(root / "p", services, tree)


def lines(made: Any) -> dict[str, str]:
    assert not made.problems, made.problems
    (spec,) = [spec for spec in made.slices["ctl1"]["containers"] if spec["name"] == "api"]
    text = next(f["content"] for f in spec["files"] if f["name"] == "api.conf")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def test_all_of_it_is_optional(tmp_path: Path) -> None:
    """Tunnels over the hosts' addresses, and nothing that leads out of the cloud."""
    hosts = {name: {k: v for k, v in h.items() if k in ("address", "roles")} for name, h in HOSTS.items()}
    made = compiled(tmp_path, hosts=hosts)
    assert lines(made) == {
        "mtu": "1500",
        "range": "1:65535",
        "local": "10.0.0.11",
        "others": "10.0.0.11,10.0.0.21,10.0.0.22,10.0.0.31",
        "bridges": "",
        "vlans": "",
        "external": "none",
    }
    assert made.slices["net1"]["network"] == {
        "container": "switch",
        "datapath": "auto",
        "tunnel_address": "10.0.0.21",
        "mtu": 1500,
        "peers": ["10.0.0.11", "10.0.0.22"],
        "bridges": [],
    }
    assert made.slices["sto1"]["network"] is None, "no switch runs there"
    assert made.plan["networks"]["external"] is None


def test_templates_see_what_was_chosen(tmp_path: Path) -> None:
    assert lines(compiled(tmp_path, NETWORKS)) == {
        "mtu": "9000",
        "range": "5:500",
        "local": "10.0.0.11",
        "others": "10.0.0.11,10.1.0.21,10.0.0.22,10.0.0.31",
        "bridges": "physnet2:br-two:None",
        "vlans": "physnet1:100:199 physnet1:300:300",
        "external": "172.29.0.0/24",
    }


def test_a_host_gets_its_bridges_and_only_the_first_the_address(tmp_path: Path) -> None:
    made = compiled(tmp_path, NETWORKS)
    bridge = {"name": "br-ex", "provider": "physnet1", "interface": "eth2", "addresses": ["172.29.0.9/24"], "mtu": 9000}
    net1, net2 = (made.slices[host]["network"] for host in ("net1", "net2"))
    assert (net1["tunnel_address"], net1["mtu"], net1["bridges"]) == ("10.1.0.21", 9000, [bridge])
    assert net2["bridges"] == [{**bridge, "interface": "eth1", "addresses": []}]
    assert made.slices["net1"]["prechecks"]["addresses"] == ["10.0.0.21", "10.1.0.21"]
    assert made.slices["net2"]["prechecks"]["addresses"] == ["10.0.0.22"]


def test_the_plan_has_the_external_network_with_its_defaults(tmp_path: Path) -> None:
    assert compiled(tmp_path, NETWORKS).plan["networks"]["external"] == {
        "name": "public",
        "provider": "physnet1",
        "vlan": None,
        "cidr": "172.29.0.0/24",
        "gateway": "172.29.0.1",
        "floating": ["172.29.0.100", "172.29.0.150"],
        "host_address": "172.29.0.9/24",
    }


@pytest.mark.parametrize(
    ("where", "value", "key", "words"),
    [
        # shapes
        ("tunnel:type", "vlxan", "tunnel:type", 'did you mean "vxlan"?'),
        ("tunnel:range", 3660, "tunnel:range", "in quotes"),
        ("tunnel:mtu", 575, "tunnel:mtu", "576"),
        ("datapath", "kernel", "datapath", "netdev"),
        ("provider:physnet1:bridge", "br-of-sixteen-ch", "provider:physnet1:bridge", "15 characters"),
        ("provider:physnet1:bridge", "br ex", "provider:physnet1:bridge", "15 characters"),
        ("provider:physnet1:interface", "a-name-of-sixteen", "provider:physnet1:interface", "a network interface"),
        ("provider:physnet1:vlans", "100-199", "provider:physnet1:vlans", "100:199"),
        ("provider:physnet1:vlans", 620, "provider:physnet1:vlans", "in quotes"),
        ("provider:physnet2:roles:0", "contrl", "provider:physnet2:roles:0", 'did you mean "control"?'),
        ("provider:phys:net", {"bridge": "x"}, "provider:phys:net", "a physical network's name"),
        ("external:floating", ["172.29.0.100"], "external:floating", "the last"),
        ("external:cidr", "172.29.0.5/24", "external:cidr", "lowest address"),
        ("external:cidr", "fd00::/64", "external:cidr", "IPv6 is not supported"),
        ("external:gateway", "fd00::1", "external:gateway", "IPv6 are not supported"),
        ("external:host_address", "172.29.0.9", "external:host_address", "with its prefix"),
        ("external:vlan", 4095, "external:vlan", "1 to 4094"),
        # what they say together
        ("tunnel:range", "500:5", "tunnel:range", "the lower number first"),
        ("tunnel:range", "0:5", "tunnel:range", "between 1 and 16777215"),
        ("tunnel:range", "1:16777216", "tunnel:range", "between 1 and 16777215"),
        ("provider:physnet1:vlans", "199:100", "provider:physnet1:vlans", "the lower number first"),
        ("provider:physnet1:vlans", ["1:4095"], "provider:physnet1:vlans", "between 1 and 4094"),
        ("provider:physnet1:bridge", "br-int", "provider:physnet1:bridge", "Neutron's"),
        ("provider:physnet1:interface", "br-ex", "provider:physnet1:interface", "the bridge itself"),
        (
            "provider:physnet2:roles",
            ["storage"],
            "provider:physnet2:roles",
            "run switch, which makes the bridge; not on sto1",
        ),
        ("external:provider", "physnet11", "external:provider", 'did you mean "physnet1"?'),
        ("external:provider", "physnet2", "external:provider", "not on net1, net2; add network to"),
        ("external:floating", ["172.29.0.150", "172.29.0.100"], "external:floating", "the lower address first"),
        ("external:floating", ["172.29.0.100", "172.29.1.4"], "external:floating", "addresses of 172.29.0.0/24"),
        ("external:floating", ["172.29.0.100", "172.29.0.255"], "external:floating", "that a host can have"),
        ("external:gateway", "172.29.0.120", "external:floating", "without the gateway 172.29.0.120"),
        ("external:gateway", "172.29.1.1", "external:gateway", "an address of 172.29.0.0/24"),
        ("external:host_address", "172.29.0.120/24", "external:host_address", "outside of the floating ones"),
        ("external:host_address", "172.29.1.1/24", "external:host_address", "172.29.0.0/24"),
        ("external:host_address", "172.29.0.9/16", "external:host_address", "<address>/24"),
        ("external:vlan", 100, "external:host_address", "as the network is a VLAN"),
        ("provider:physnet1:interface", None, "external:host_address", "no interface on net2"),
    ],
)
def test_one_fault_gives_one_problem_with_its_line(
    tmp_path: Path, where: str, value: Any, key: str, words: str
) -> None:
    networks = copy.deepcopy(NETWORKS)
    path: list[Any] = ["provider", "phys:net"] if where == "provider:phys:net" else where.split(":")
    inner: Any = networks
    for step in path[:-1]:
        inner = inner[step]
    last = path[-1]
    if isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = value
    said(compiled(tmp_path, networks).problems, f"openstack:networks:{key}", words)


def said(problems: Any, key: str, words: str) -> None:
    (problem,) = problems
    assert problem.key == key
    assert words in f"{problem.expected}; {problem.found}; {problem.hint}"
    assert problem.file == "openstack/init.sls" and problem.line


def test_a_vlan_of_the_external_network_needs_vlans_of_the_physical_one(tmp_path: Path) -> None:
    networks = copy.deepcopy(NETWORKS)
    del networks["provider"]["physnet1"]["vlans"], networks["external"]["host_address"]
    networks["external"]["vlan"] = 100
    said(compiled(tmp_path, networks).problems, "openstack:networks:provider:physnet1:vlans", "external:vlan is set")


@pytest.mark.parametrize(
    ("cidr", "who"),
    [
        ("10.1.0.0/24", "the tunnel_address of host net1 is 10.1.0.21"),
        ("10.0.0.11/32", "the address of host ctl1 is 10.0.0.11"),
    ],
)
def test_the_external_network_is_apart_from_what_hosts_need(tmp_path: Path, cidr: str, who: str) -> None:
    networks = {
        **NETWORKS,
        "external": {"provider": "physnet1", "cidr": cidr, "floating": ["10.1.0.100", "10.1.0.150"]},
    }
    found = [p for p in compiled(tmp_path, networks).problems if p.key == "openstack:networks:external:cidr"]
    assert [who in p.found for p in found] == [True]


@pytest.mark.parametrize(
    ("host", "change", "key", "words"),
    [
        ("net2", {"tunnel_address": "fd00::1"}, "net2:tunnel_address", "IPv6 are not supported"),
        ("net2", {"tunnel_address": "10.1.0.21"}, "net2:tunnel_address", 'host "net1" has this one'),
        ("net2", {"tunnel_address": "10.0.0.11"}, "net2:tunnel_address", 'host "ctl1" has this one'),
        ("net2", {"tunnel_address": "127.0.0.1"}, "net2:tunnel_address", "the other hosts can reach"),
        ("net2", {"address": "fd00::22"}, "net2:tunnel_address", "tunnels over IPv6"),
        ("net2", {"provider_interfaces": {"physnet11": "x"}}, "net2:provider_interfaces:physnet11", '"physnet1"?'),
        ("net2", {"provider_interfaces": {"physnet2": "x"}}, "net2:provider_interfaces:physnet2", "role control"),
        (
            "net1",
            {"provider_interfaces": {"physnet1": "eth0"}},
            "net1:provider_interfaces:physnet1",
            "does not need itself",
        ),
    ],
)
def test_faults_of_a_host(tmp_path: Path, host: str, change: Any, key: str, words: str) -> None:
    hosts = {**HOSTS, host: {**HOSTS[host], **change}}
    said(compiled(tmp_path, NETWORKS, hosts=hosts).problems, f"openstack:hosts:{key}", words)


def test_a_hosts_own_interface_is_no_uplink_and_the_way_out_is_named(tmp_path: Path) -> None:
    hosts = {**HOSTS, "net2": {**HOSTS["net2"], "interface": "eth1"}}
    problems = compiled(tmp_path, NETWORKS, hosts=hosts).problems
    said(problems, "openstack:networks:provider:physnet1:interface", "openstack:networks:external:host_address")
    assert "openstack:hosts:net2:provider_interfaces:physnet1" in problems[0].hint


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"bridge": "br-ex"}, "physnet2:bridge", "on net1 physnet1 has this one"),
        ({"interface": "eth1"}, "physnet2:interface", "on net2 physnet1 has this one"),
    ],
)
def test_two_networks_of_a_host_share_neither_bridge_nor_interface(
    tmp_path: Path, change: Any, key: str, words: str
) -> None:
    networks = copy.deepcopy(NETWORKS)
    networks["provider"]["physnet2"] |= change
    assert not compiled(tmp_path, networks).problems, "they are on different hosts"
    networks["provider"]["physnet2"]["roles"] = ["network"]
    found = compiled(tmp_path / "met", networks).problems
    assert found[0].key == f"openstack:networks:provider:{key}"
    assert words in found[0].expected


def test_a_service_that_provides_the_network_names_one_of_its_containers(tmp_path: Path) -> None:
    switch = yaml.safe_load(yaml.safe_dump(SWITCH))
    switch["provides"]["network"]["container"] = "swich"
    found = [p for p in compiled(tmp_path, switch=switch).problems if p.key == "provides:network:container"]
    assert [p.hint for p in found] == ['did you mean "switch"?']


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_of_the_documentation_compile(tmp_path: Path, number: int) -> None:
    text = (Path(__file__).resolve().parents[4] / "docs/configuration.md").read_text(encoding="utf-8")
    section = text.split("### `networks`")[1].split("\n### ")[0]
    blocks = [yaml.safe_load(block) for block in blocks_of(section)]
    assert len(blocks) == 3
    hosts = blocks[number].get("hosts") or {"one": {"address": "10.0.0.11", "roles": [*ROLES, "network"]}}
    made = compiled(tmp_path, blocks[number]["networks"], hosts=hosts)
    assert not made.problems, made.problems
    assert made.plan["networks"]["external"]["name"] == "public"


def blocks_of(text: str) -> list[str]:
    """Indented blocks: lines that begin with four spaces, with nothing but empty lines between."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("    ") or not line:
            blocks[-1].append(line[4:])
        else:
            blocks.append([])
    return [found for block in blocks if (found := "\n".join(block)).strip()]
