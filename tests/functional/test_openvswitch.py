"""Open vSwitch as it is deployed, and the bridges of a host made in it: datapath, uplinks, addresses, the guard.

A "host" is a network namespace of its own (that of the database's container), with cables into a second one where its
master listens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.services import cloud

from saltern.host import mounts, ovsdb, spec
from saltern.host.engine import Engine

from . import bench

pytestmark = pytest.mark.engine

UTILS = Path(__file__).resolve().parents[2] / "salt/_utils"

# Runs in the host's network: the library, with a guard that looks for the master of the test.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from saltern.contract.errors import SalternError
from saltern.host import bridgekeeper, bridges, cutguard, links, netchecks, ovsdb
given = json.load(sys.stdin)
found = links.Links()
world = bridges.World(
    root=given["root"], links=found, database=lambda: ovsdb.Ovsdb(given["socket"]),
    witnesses=lambda: cutguard.witnesses(given["opts"], found),
)
netchecks.SOCKET = given["socket"]
try:
    if given["do"] == "checks":
        answer = [check.as_dict() for check in netchecks.run(given["model"])]
    elif given["do"] == "restore":
        answer = bridgekeeper.restore(world)
    else:
        answer = getattr(bridges, given["do"])(given["model"], world)
except SalternError as error:
    answer = {"error": str(error)}
print(json.dumps(answer))
"""

# The master: something listens at both of its ports.
LISTENER = """
import socket, time
held = [socket.create_server(("10.9.0.1", port)) for port in (4505, 4506)]
print("ready", flush=True)
while True:
    time.sleep(3600)
"""


class Host:
    """A network namespace with Open vSwitch, a cable to its master's, and a second one."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.engine, self.root = engine, root
        self.name = f"ovs_test_{uuid.uuid4().hex[:8]}"
        self.run = Path("/run") / self.name
        self.socket = str(self.run / "db.sock")
        self.model: dict[str, Any] = {"address": "10.9.0.2"}
        self.network: dict[str, Any] = {
            "container": "openvswitch_vswitchd",
            "datapath": "netdev",
            "tunnel_address": "10.9.0.2",
            "mtu": 1500,
            "bridges": [],
        }
        made = cloud.compiled(cloud.AIO, services={"openvswitch": {"enabled": True}})
        self.specs = {name: cloud.spec(made, "aio", name) for name in ("openvswitch_db", "openvswitch_vswitchd")}
        self._processes: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """The two containers as they are deployed, but for their names, their network and the host's directory."""
        for name, wanted in self.specs.items():
            for mount in wanted["mounts"]:
                mount["source"] = str(self.run) if mount["type"] == "bind" else f"{self.name}_data"
            mounts.prepare(self.root / "locks", wanted)
            place = self.root / "config" / name / ("0" * 16)
            place.mkdir(parents=True)
            (place / "config.json").write_text(json.dumps({"command": wanted["process"], "config_files": []}))
            place.chmod(0o755)
            (place / "config.json").chmod(0o644)
            image = self.engine.inspect_image(wanted["image"]) or {}
            body = spec.body({**wanted, "cloud": self.name}, str(image["Id"]), place)
            network = "none" if name == "openvswitch_db" else f"container:{self.name}_openvswitch_db"
            body["HostConfig"] |= {"NetworkMode": network, "RestartPolicy": {"Name": "no"}}
            body["Labels"] = {}
            body.pop("Hostname", None)
            self.engine.create(f"{self.name}_{name}", body)
            self.engine.start(f"{self.name}_{name}")
            self.until(lambda: self.ready())
        self.until(lambda: self.vsctl("--timeout=2", "get", "Open_vSwitch", ".", "cur_cfg")[0] == 0)

    def ready(self) -> bool:
        try:
            with ovsdb.Ovsdb(self.socket) as database:
                return bool(database.select("Open_vSwitch", ["cur_cfg"])) or True
        except ovsdb.NoDatabase:
            return False

    def until(self, what: Callable[[], bool], limit: float = 30) -> None:
        end = time.monotonic() + limit
        while not what():
            assert time.monotonic() < end, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(line for name in self.specs for line in self.engine.logs(f"{self.name}_{name}", 40))

    def cables(self) -> None:
        """mgmt leads to the master, up1 is to be an uplink; the other ends are in the master's namespace."""
        self.outside("ip", "netns", "add", self.name)
        self.outside("ip", "-n", self.name, "link", "set", "lo", "up")
        for number, own in enumerate(("mgmt", "up1")):
            ours, theirs = f"o{self.name[-6:]}{number}", f"t{self.name[-6:]}{number}"
            self.outside("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
            self.outside("ip", "link", "set", theirs, "netns", self.name, "name", f"far_{own}")
            self.outside("ip", "link", "set", ours, "netns", str(self.pid("openvswitch_db")), "name", own)
            self.outside("ip", "-n", self.name, "link", "set", f"far_{own}", "up")
            self.inside("ip", "link", "set", own, "up")
        self.outside("ip", "-n", self.name, "address", "add", "10.9.0.1/24", "dev", "far_mgmt")
        self.inside("ip", "address", "add", "10.9.0.2/24", "dev", "mgmt")
        self.inside("ip", "route", "add", "default", "via", "10.9.0.1")
        argv = ["ip", "netns", "exec", self.name, sys.executable, "-c", LISTENER]
        listener = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._processes.append(listener)
        assert listener.stdout and listener.stdout.readline() == "ready\n"

    def pid(self, container: str) -> int:
        found = self.engine.inspect(f"{self.name}_{container}")
        assert found
        return int(found["State"]["Pid"])

    @staticmethod
    def outside(*argv: str, stdin: str = "") -> str:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, *argv: str, stdin: str = "") -> str:
        return self.outside("nsenter", f"--net=/proc/{self.pid('openvswitch_db')}/ns/net", *argv, stdin=stdin)

    def vsctl(self, *arguments: str) -> tuple[int, str]:
        code, out, err = self.engine.exec(f"{self.name}_openvswitch_vswitchd", ["ovs-vsctl", *arguments], timeout=30)
        return code, (out + err).decode().strip()

    def get(self, table: str, record: str, column: str) -> str:
        return self.vsctl("--if-exists", "get", table, record, column)[1]

    def do(self, what: str, **bridge: Any) -> Any:
        """``compare``, ``present`` or ``checks`` with one bridge br-ex, changed as said; nothing said: none."""
        wanted = {"name": "br-ex", "provider": "physnet1", "interface": None, "addresses": [], "mtu": 1500, **bridge}
        wanted.pop("opts", None)
        network = {**self.network, "bridges": [wanted] if bridge else []}
        opts = {"master_ip": "10.9.0.1", "publish_port": 4505, "master_port": 4506, **bridge.get("opts", {})}
        given = {"do": what, "root": str(self.root), "socket": self.socket, "opts": opts}
        given["model"] = {**self.model, "network": network}
        answer = self.inside(sys.executable, "-c", PROGRAM, str(UTILS), stdin=json.dumps(given))
        return json.loads(answer)

    def links(self) -> dict[str, Any]:
        return {row["ifname"]: row for row in json.loads(self.inside("ip", "-j", "address", "show"))}

    def addresses(self, link: str) -> list[str]:
        return [f"{a['local']}/{a['prefixlen']}" for a in self.links()[link]["addr_info"] if a["scope"] == "global"]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for name in reversed(self.specs):
            self.engine.remove(f"{self.name}_{name}", force=True)
        self.engine.remove_volume(f"{self.name}_data")
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        for path in self.run.glob("*"):
            path.unlink()
        self.run.rmdir()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Engine() as engine:
        if not engine.inspect_image("saltern/openvswitch:2025.2"):
            bench.cannot("build the image openvswitch first")
        made = Host(engine, tmp_path_factory.mktemp("ovs"))
        try:
            made.start()
            made.cables()
            yield made
        finally:
            made.close()


def test_the_switch_runs_with_these_rights_and_says_who_it_is(host: Host) -> None:
    assert host.get("Open_vSwitch", ".", "other_config:userspace-tso-enable") == '"true"'
    assert host.get("Open_vSwitch", ".", "external_ids:hostname") == "aio"
    assert host.get("Open_vSwitch", ".", "external_ids:system-id")
    assert "Userspace TCP Segmentation Offloading support enabled" in host.logs()
    assert "ermission denied" not in host.logs() and "not permitted" not in host.logs()


def test_a_bridge_is_made_shown_first_and_changed_no_second_time(host: Host) -> None:
    wanted = {"addresses": ["172.29.77.1/24"], "mtu": 1400}
    shown = host.do("compare", **wanted)
    assert [(what, change["current"], change["desired"]) for what, change in shown.items()] == [
        ("datapath", None, "netdev"),
        ("bridge br-ex", None, "datapath netdev"),
        ("address 172.29.77.1/24 of br-ex", None, "there"),
    ]
    assert all(change["containers"] == ["openvswitch_vswitchd"] for change in shown.values())
    assert host.vsctl("list-br") == (0, ""), "comparing changes nothing"
    assert host.do("present", **wanted) == shown
    assert host.do("compare", **wanted) == {} == host.do("present", **wanted)
    assert (host.get("Bridge", "br-ex", "datapath_type"), host.get("Bridge", "br-ex", "fail_mode")) == (
        "netdev",
        "secure",
    )
    link = host.links()["br-ex"]
    assert link["mtu"] == 1400 and "UP" in link["flags"] and host.addresses("br-ex") == ["172.29.77.1/24"]
    fact = json.loads((host.root / "facts/openvswitch/datapath.json").read_text())
    assert fact["value"] == "netdev" and fact["reason"]


def test_what_left_the_model_goes_and_what_others_made_stays(host: Host) -> None:
    host.do("present", addresses=["172.29.77.1/24"])
    assert host.vsctl("add-port", "br-ex", "others", "--", "set", "interface", "others", "type=internal")[0] == 0
    host.inside("ip", "address", "add", "172.29.78.1/24", "dev", "br-ex")
    changed = host.do("present", addresses=["172.29.77.2/24"])
    assert set(changed) == {"address 172.29.77.1/24 of br-ex", "address 172.29.77.2/24 of br-ex"}
    assert sorted(host.addresses("br-ex")) == ["172.29.77.2/24", "172.29.78.1/24"]
    changed = host.do("present")
    assert set(changed) == {"address 172.29.77.2/24 of br-ex"}, "the bridge stays"
    assert host.addresses("br-ex") == ["172.29.78.1/24"]
    assert host.vsctl("list-ports", "br-ex") == (0, "others")
    assert host.do("compare") == {}
    host.inside("ip", "address", "del", "172.29.78.1/24", "dev", "br-ex")
    host.vsctl("del-port", "others")


def test_an_uplink_is_attached_under_the_masters_eyes_and_taken_off_again_when_the_model_drops_it(host: Host) -> None:
    assert {check["name"]: check["ok"] for check in host.do("checks", interface="up1")}["uplink up1"]
    assert set(host.do("present", interface="up1")) == {"uplink up1 of br-ex"}
    assert host.vsctl("list-ports", "br-ex") == (0, "up1")
    assert host.do("present", interface="up1") == {} == host.do("compare", interface="up1")
    assert all(check["ok"] for check in host.do("checks", interface="up1"))
    assert host.do("present", interface=None, mtu=1500) == {
        "uplink up1 of br-ex": {
            "kind": "network", "current": "attached", "desired": None, "containers": ["openvswitch_vswitchd"],
        },
    }  # fmt: skip
    assert host.vsctl("list-ports", "br-ex") == (0, "")


def test_the_interface_that_the_host_lives_on_is_refused_before_anything_is_changed(host: Host) -> None:
    (check,) = [check for check in host.do("checks", interface="mgmt") if not check["ok"]]
    assert check["name"] == "uplink mgmt" and "the host's address 10.9.0.2" in check["found"] and check["hint"]
    answer = host.do("present", interface="mgmt", addresses=["172.29.99.1/24"])
    assert "mgmt cannot be the uplink of br-ex: it has the host's address 10.9.0.2" in answer["error"]
    assert host.vsctl("list-ports", "br-ex") == (0, "") and host.addresses("br-ex") == []


def test_an_uplink_that_cuts_off_the_master_is_taken_off_again(host: Host) -> None:
    """As a physical switch that shuts the host's port when it sees a second bridge there."""
    ended = threading.Event()

    def shut() -> None:
        while not ended.is_set():
            attached = "up1" in host.vsctl("list-ports", "br-ex")[1].split()
            host.outside("ip", "-n", host.name, "link", "set", "far_mgmt", "down" if attached else "up")
            ended.wait(0.1)

    switch = threading.Thread(target=shut)
    switch.start()
    try:
        answer = host.do("present", interface="up1")
    finally:
        ended.set()
        switch.join()
    assert "attaching up1 to br-ex cut this host off from the master's port 10.9.0.1:4505" in answer["error"]
    assert "does not answer again" not in answer["error"]
    assert host.vsctl("list-ports", "br-ex") == (0, "")
    assert set(host.do("compare", interface="up1")) == {"uplink up1 of br-ex"}


def test_without_a_master_to_see_nothing_is_attached(host: Host) -> None:
    host.outside("ip", "-n", host.name, "link", "set", "far_mgmt", "down")
    try:
        answer = host.do("present", interface="up1")
    finally:
        host.outside("ip", "-n", host.name, "link", "set", "far_mgmt", "up")
    assert "cannot be reached from here before anything is changed" in answer["error"]
    assert host.vsctl("list-ports", "br-ex") == (0, "")


def test_prechecks_find_what_is_in_the_way(host: Host) -> None:
    def bad(**bridge: Any) -> dict[str, str]:
        found = {c["name"]: c for c in host.do("checks", **bridge) if not c["ok"]}
        assert all(check["hint"] for check in found.values())
        return {name: check["found"] for name, check in found.items()}

    assert bad(interface="up7") == {"uplink up7": "not there"}
    assert bad(interface="up1", mtu=9000) == {"mtu up1": "1500"}
    overlapping = {"address 10.9.0.200/25 of br-ex": "overlaps 10.9.0.2/24 on mgmt"}
    assert bad(addresses=["10.9.0.200/25"]) == overlapping
    assert bad(addresses=["10.9.1.1/24"]) == {}
    host.inside("ip", "link", "add", "lnx", "type", "bridge")
    host.inside("ip", "link", "set", "up1", "master", "lnx")
    assert bad(interface="up1") == {"uplink up1": "a port of the bridge lnx"}
    assert bad(name="lnx") == {"bridge lnx": "an interface of kind bridge has this name"}
    host.inside("ip", "link", "del", "lnx")
    assert bad(interface="up1") == {}
    host.inside("ip", "link", "set", "up1", "down")
    assert bad(interface="up1") == {"uplink up1": "down"}
    host.inside("ip", "link", "set", "up1", "up")


def test_what_a_boot_took_is_given_back(host: Host) -> None:
    host.do("present", addresses=["172.29.77.1/24"])
    assert host.do("restore") == []
    host.inside("ip", "address", "flush", "dev", "br-ex")
    host.inside("ip", "link", "set", "br-ex", "down")
    assert host.do("restore") == ["br-ex has its address 172.29.77.1/24 again", "br-ex is up again"]
    assert host.do("compare", addresses=["172.29.77.1/24"]) == {} and host.do("restore") == []
    host.do("present")
    assert host.do("restore") == [] and host.addresses("br-ex") == []


def test_a_port_of_an_instance_that_is_down_is_brought_up(host: Host) -> None:
    host.do("present", addresses=[])
    host.inside("ip", "link", "add", "tap1", "type", "veth", "peer", "name", "guest1")
    host.vsctl("add-port", "br-ex", "tap1", "--", "set", "Interface", "tap1", "external_ids:vm-uuid=1-2-3")
    host.until(lambda: host.get("Interface", "tap1", "admin_state") == "down")
    assert host.do("restore") == ["tap1 of instance 1-2-3 was down and is up again"]
    host.until(lambda: host.get("Interface", "tap1", "admin_state") == "up")
    assert host.do("restore") == []
    host.vsctl("del-port", "tap1")
    host.inside("ip", "link", "del", "tap1")


def test_an_uplink_whose_minion_was_killed_while_it_watched_is_taken_off(host: Host) -> None:
    host.do("present", interface="up1")
    assert "until" not in host.get("Port", "up1", "external_ids")
    host.vsctl("set", "Port", "up1", f"external_ids:saltern-until={time.time() + 60:.0f}")
    assert host.do("restore") == [] and host.vsctl("list-ports", "br-ex") == (0, "up1")
    host.vsctl("set", "Port", "up1", f"external_ids:saltern-until={time.time() - 1:.0f}")
    assert host.do("restore") == ["up1 was taken off br-ex: nobody had seen that it cuts nobody off"]
    assert host.vsctl("list-ports", "br-ex") == (0, "")


def test_the_database_is_kept_and_the_bridges_interface_lives_through_a_killed_switch(host: Host) -> None:
    host.do("present", addresses=["172.29.77.1/24"])
    name = f"{host.name}_openvswitch_vswitchd"
    host.engine.kill(name)
    assert host.engine.wait(name, 10) == 137
    assert host.addresses("br-ex") == ["172.29.77.1/24"]
    before = host.get
    host.engine.start(name)
    host.until(lambda: host.vsctl("--timeout=2", "get", "Open_vSwitch", ".", "cur_cfg")[0] == 0)
    assert before("Bridge", "br-ex", "datapath_type") == "netdev"
    assert host.do("compare", addresses=["172.29.77.1/24"]) == {}


@pytest.fixture
def pair(host: Host, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts, and a cable between them that has the tunnels' addresses."""
    other = Host(host.engine, tmp_path)
    cable = f"c{other.name[-6:]}"
    try:
        other.start()
        peer = ["peer", "name", "tun0", "netns", str(other.pid("openvswitch_db"))]
        host.outside("ip", "link", "add", cable, "type", "veth", *peer)
        host.outside("ip", "link", "set", cable, "netns", str(host.pid("openvswitch_db")), "name", "tun0")
        for number, each in enumerate((host, other), 1):
            each.inside("ip", "link", "set", "lo", "up")
            each.inside("ip", "address", "add", f"10.8.0.{number}/24", "dev", "tun0")
            each.inside("ip", "link", "set", "tun0", "up")
            each.network |= {"tunnel_address": f"10.8.0.{number}", "peers": [f"10.8.0.{3 - number}"]}
        yield host, other
    finally:
        host.network |= {"tunnel_address": "10.9.0.2", "peers": []}
        host.do("present")
        other.close()


SEND = """
import socket, sys
link = socket.create_connection((sys.argv[1], 9000), 10)
link.settimeout(20)
for _ in range(64):
    link.sendall(bytes(65536))
link.shutdown(socket.SHUT_WR)
print(link.recv(100).decode())
"""
TAKE = """
import socket, sys
with socket.create_server((sys.argv[1], 9000)) as server:
    server.settimeout(30)
    print("ready", flush=True)
    link, _ = server.accept()
    link.settimeout(20)
    total = 0
    while more := link.recv(65536):
        total += len(more)
    link.sendall(str(total).encode())
"""


def sent(source: Host, target: Host, address: str) -> str:
    """4 MiB by TCP from one host's namespace to the other's: what the receiver counted."""
    argv = ["nsenter", f"--net=/proc/{target.pid('openvswitch_db')}/ns/net", sys.executable, "-c", TAKE, address]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as taker:
        try:
            assert taker.stdout and taker.stdout.readline() == "ready\n"
            return source.inside(sys.executable, "-c", SEND, address).strip()
        finally:
            taker.kill()


def test_tunnels_of_the_userspace_datapath_share_an_interface_with_the_kernel(pair: tuple[Host, Host]) -> None:
    one, two = pair
    for number, each in enumerate(pair, 1):
        each.model["address"] = "10.9.0.2" if each is one else "10.8.0.2"
        shown = each.do("compare", addresses=[])
        assert shown["tunnels"]["desired"] == "by tun0 to 1 host" and shown["tunnels"]["current"] is None
        opts = {} if each is one else {"master_ip": ""}
        assert "tunnels" in each.do("present", opts=opts, addresses=[])
        assert each.do("compare", addresses=[]) == {}
        assert each.addresses("tun0") == [f"10.8.0.{number}/24"], "the kernel keeps it"
        routes = each.inside("ip", "route", "show", "10.8.0.0/24")
        assert "br-underlay" not in routes and "tun0" in routes
        each.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev")
        options = [f"options:remote_ip=10.8.0.{3 - number}", f"options:local_ip=10.8.0.{number}", "options:key=7"]
        each.vsctl("add-port", "br-int", "vx", "--", "set", "interface", "vx", "type=vxlan", *options)
        each.vsctl("add-port", "br-int", "vm", "--", "set", "interface", "vm", "type=internal")
        each.until(lambda each=each: "vm" in each.links())
        each.inside("ip", "link", "set", "vm", "mtu", "1450", "up")
        each.inside("ip", "address", "add", f"10.77.0.{number}/24", "dev", "vm")
    assert sent(one, two, "10.77.0.2") == str(4 << 20), "through the tunnel"
    assert sent(two, one, "10.8.0.1") == str(4 << 20), "between the hosts themselves, by the kernel"
    name = f"{two.name}_openvswitch_vswitchd"
    two.engine.kill(name)
    two.engine.wait(name, 10)
    two.engine.start(name)
    two.until(lambda: two.vsctl("--timeout=2", "get", "Open_vSwitch", ".", "cur_cfg")[0] == 0)
    two.until(lambda: two.do("restore") == [])
    assert sent(one, two, "10.77.0.2") == str(4 << 20), "after a restart of the switch"
    one.network["peers"] = []
    assert one.do("present", addresses=[])["tunnels"] == {
        "kind": "network", "current": "by tun0 to 1 host", "desired": None, "containers": ["openvswitch_vswitchd"],
    }  # fmt: skip
    assert "br-underlay" not in one.vsctl("list-br")[1]
