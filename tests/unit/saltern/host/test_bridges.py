"""What is different and what is refused, from readings; made for real in tests/functional/test_openvswitch.py."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from saltern.host import bridges, facts, netchecks
from saltern.host.bridges import Bridge, Now, Port
from saltern.host.links import Link, Links
from saltern.host.ovsdb import NoDatabase, Ovsdb
from unit.adapters import load

ETH0 = Link("eth0", addresses=("10.0.0.11/24", "fd00::1/64"))
ETH1, ETH2 = Link("eth1"), Link("eth2", addresses=("10.1.0.11/24",))
LINKS = {link.name: link for link in (Link("lo", addresses=("127.0.0.1/8",)), ETH0, ETH1, ETH2)}


def answers(default: str = "eth0") -> Callable[[Sequence[str]], str]:
    def run(arguments: Sequence[str]) -> str:
        if "route" in arguments:
            return json.dumps([{"dst": "default", "gateway": "10.0.0.1", "dev": default}]) if "-4" in arguments else ""
        return "[]"

    return run


def model(*wanted: dict[str, Any], datapath: str = "netdev") -> dict[str, Any]:
    plain = {"name": "br-ex", "provider": "physnet1", "interface": None, "addresses": [], "mtu": 1500}
    network = {
        "container": "openvswitch_vswitchd",
        "datapath": datapath,
        "tunnel_address": "10.1.0.11",
        "mtu": 1500,
        "bridges": [{**plain, **entry} for entry in wanted],
    }
    return {"address": "10.0.0.11", "network": network}


def bridge(*addresses: str, ours: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> Bridge:
    ports = {name: Port(name, name in ours) for name in (*ours, *others)}
    return Bridge("u", "netdev", list(addresses), ports, "i", 1500)


def differ(now: Now, *wanted: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    found = bridges._differences(model(*wanted)["network"], "netdev", now)
    return {what: (current, desired) for what, current, desired in found}


def test_only_what_bears_our_mark_is_ever_surplus() -> None:
    there = {"br-ex": bridge("172.29.0.1/24", ours=("eth1",), others=("tap1",)), "br-int": bridge(others=("tap2",))}
    own = Link("br-ex", addresses=("172.29.0.1/24", "172.30.0.1/24"))
    now = Now(there, {**LINKS, "br-ex": own})
    assert differ(now, {"interface": "eth1", "addresses": ["172.29.0.1/24"]}) == {}
    assert differ(now, {}) == {
        "uplink eth1 of br-ex": ("attached", None),
        "address 172.29.0.1/24 of br-ex": ("there", None),
    }
    assert differ(now) == differ(now, {}), "a bridge that the model has lost stays, empty of ours"


def test_an_uplink_moves_from_one_bridge_to_another() -> None:
    now = Now({"br-ex": bridge(ours=("eth1",))}, {**LINKS, "br-ex": Link("br-ex")})
    found = list(differ(now, {}, {"name": "br-two", "interface": "eth1"}))
    assert found == ["uplink eth1 of br-ex", "bridge br-two", "uplink eth1 of br-two"]


@pytest.mark.parametrize(
    "interface,default,words",
    [
        ("eth0", "eth9", "it has the host's address 10.0.0.11"),
        ("eth2", "eth0", "it has the address of the tunnels 10.1.0.11"),
        ("eth1", "eth1", "the default route leads out of it"),
        ("eth7", "eth0", "eth7 for br-ex is not there (this host has eth0, eth1, eth2, lo)"),
    ],
)
def test_refusals(interface: str, default: str, words: str) -> None:
    now = Now({}, LINKS)
    (found,) = bridges.refusals(model({"interface": interface}), now, Links(answers(default)))
    assert words in found


def test_the_only_address_of_a_host_is_refused_whatever_the_model_calls_its_own() -> None:
    only = {"lo": LINKS["lo"], "eth5": Link("eth5", addresses=("203.0.113.5/24",))}
    (found,) = bridges.refusals(model({"interface": "eth5"}), Now({}, only), Links(answers()))
    assert "it has the only address of the host" in found


def test_what_another_has_is_refused() -> None:
    def refused(now: Now) -> list[str]:
        return list(bridges.refusals(model({"interface": "eth1"}), now, Links(answers())))

    enslaved = {**LINKS, "eth1": Link("eth1", master="bond0", port_of="bond")}
    assert "eth1 belongs to bond0 already" in refused(Now({}, enslaved))[0]
    assert (
        "a port of the bridge br0, which somebody else made it"
        in refused(Now({"br0": bridge(others=("eth1",))}, LINKS))[0]
    )
    assert refused(Now({"br0": bridge(ours=("eth1",))}, LINKS)) == []
    assert refused(Now({"br-ex": bridge(others=("eth1",))}, LINKS)) == [], "an operator's own: it is where it has to be"


class Nobody(Ovsdb):
    def __enter__(self) -> Ovsdb:
        raise NoDatabase("no answer")


def test_before_open_vswitch_runs_everything_is_still_to_be_made(tmp_path: Path) -> None:
    world = bridges.World(root=tmp_path, links=Links(answers()), database=Nobody)
    found = bridges.compare(model({"interface": "eth1", "addresses": ["172.29.0.1/24"]}, datapath="auto"), world)
    assert {what: change["desired"] for what, change in found.items()} == {
        "datapath": "auto",
        "bridge br-ex": "datapath auto",
        "address 172.29.0.1/24 of br-ex": "there",
        "uplink eth1 of br-ex": "attached",
    }
    assert {tuple(change["containers"]) for change in found.values()} == {("openvswitch_vswitchd",)}
    facts.write("openvswitch", "datapath", "netdev", "x", tmp_path)
    assert "datapath" not in bridges.compare(model({}, datapath="auto"), world)
    assert bridges.compare({"address": "10.0.0.11", "network": None}, world) == {}


@pytest.mark.parametrize("test", [True, False])
def test_the_state(test: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(
        "modules", "openstack_network", opts={}, pillar={"saltern": {"network": None, "errors": [], "model": "m"}}
    )
    salt = {f"openstack_network.{name}": getattr(module, name) for name in ("compare", "present")}
    present = load("states", "openstack_network", salt=salt, opts={"test": test}).present
    assert present("x") == {"name": "x", "result": True, "changes": {}, "comment": "As the model says"}
    change = {"bridge br-ex": {"current": None, "desired": "datapath netdev"}}
    monkeypatch.setattr(module.bridges, "compare", lambda model, world: change)
    monkeypatch.setattr(module.bridges, "present", lambda model, world: change)
    answer = present("x")
    assert answer["result"] is (None if test else True) and answer["changes"] == change
    assert answer["comment"] == "bridge br-ex: None → datapath netdev"
    module.__pillar__ = {}
    assert present("x")["result"] is False


# -- prechecks


def bad(checks: Any) -> dict[str, str]:
    failed = [check for check in checks if not check.ok]
    assert all(check.hint for check in failed)
    return {check.name: check.found for check in failed}


@pytest.mark.parametrize(
    "link,found",
    [
        (Link("eth1"), {}),
        (None, {"uplink eth1": "not there"}),
        (Link("eth1", up=False), {"uplink eth1": "down"}),
        (Link("eth1", master="br0", port_of="bridge"), {"uplink eth1": "a port of the bridge br0"}),
        (Link("eth1", master="bond0", port_of="bond"), {"uplink eth1": "a port of the bond bond0"}),
        (Link("eth1", addresses=("10.0.0.11/24",)), {"uplink eth1": "it has the host's address 10.0.0.11"}),
    ],
)
def test_precheck_of_an_uplink(link: Link | None, found: dict[str, str]) -> None:
    links = {name: each for name, each in {**LINKS, "eth1": link}.items() if each}
    now = Now({}, links)
    assert bad(netchecks.uplinks(model({"interface": "eth1"}), now, Links(answers()))) == found


def test_precheck_of_mtus() -> None:
    links = {**LINKS, "eth1": Link("eth1", mtu=1400), "eth2": Link("eth2", mtu=1450, addresses=("10.1.0.11/24",))}
    assert bad(netchecks.mtus(model({"interface": "eth1"})["network"], links)) == {
        "mtu eth1": "1400",
        "mtu eth2": "1450",
    }
    assert bad(netchecks.mtus(model({"interface": "eth1"})["network"], LINKS)) == {}


def test_precheck_of_names_and_addresses() -> None:
    network = model({"addresses": ["10.0.0.130/25"]})["network"]
    assert bad(netchecks.addresses(network, LINKS)) == {
        "address 10.0.0.130/25 of br-ex": "overlaps 10.0.0.11/24 on eth0",
    }
    free = model({"addresses": ["172.29.0.1/24"]})["network"]
    there = {**LINKS, "br-ex": Link("br-ex", kind="tun", addresses=("172.29.0.1/24",))}
    assert bad(netchecks.addresses(free, there)) == {} == bad(netchecks.bridge_names(free, Now({}, there)))
    linux = {**LINKS, "br-ex": Link("br-ex", kind="bridge")}
    assert bad(netchecks.bridge_names(free, Now({}, linux))) == {
        "bridge br-ex": "an interface of kind bridge has this name",
    }


def process(proc: Path, pid: int, name: str, net: str, mounts: str = "") -> None:
    (proc / str(pid) / "ns").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    (proc / str(pid) / "mountinfo").write_text(mounts)
    (proc / str(pid) / "ns" / "net").symlink_to(net)


def test_precheck_of_an_open_vswitch_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "net").symlink_to("net:[1]")
    ours = "1 2 0:1 /saltern/config/openvswitch_vswitchd/0123456789abcdef /var/lib/kolla/config_files ro - ext4 x rw\n"
    process(tmp_path, 7, "ovs-vswitchd", "net:[1]", ours)
    process(tmp_path, 8, "ovs-vswitchd", "net:[2]")
    process(tmp_path, 9, "sshd", "net:[1]")
    assert netchecks.foreign(tmp_path).ok
    process(tmp_path, 10, "ovsdb-server", "net:[1]")
    assert bad([netchecks.foreign(tmp_path)]) == {"Open vSwitch": "ovsdb-server (pid 10)"}
