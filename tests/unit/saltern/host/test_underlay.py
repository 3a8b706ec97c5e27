"""The tunnels' way out of a host in userspace: when, by which interface, what differs."""

import json
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host import openflow, underlay
from saltern.host.links import Link, Links
from saltern.host.underlay import Underlay

LINKS = {
    "eth2": Link("eth2", addresses=("10.1.0.11/24",), mac="52:54:00:00:00:01"),
    underlay.BRIDGE: Link(underlay.BRIDGE, addresses=("10.1.0.11/24",)),
}
WAY = Underlay("eth2", "52:54:00:00:00:01", "10.1.0.11/24", {"10.1.0.12": "", "10.2.0.11": "10.1.0.1"})


def run(arguments: Sequence[str]) -> str:
    assert list(arguments[:3]) == ["-j", "route", "get"]
    gateway = {"gateway": "10.1.0.1"} if arguments[3].startswith("10.2.") else {}
    return json.dumps([{"dst": arguments[3], "dev": "eth2", **gateway}])


def wanted(kind: str = "netdev", peers: tuple[str, ...] = ("10.2.0.11", "10.1.0.12"), own: str = "10.1.0.11") -> Any:
    return underlay.wanted({"tunnel_address": own, "peers": list(peers)}, kind, LINKS, Links(run))


def test_only_the_userspace_datapath_with_somebody_to_talk_to_needs_it() -> None:
    assert wanted() == WAY
    assert wanted(kind="system") is None
    assert wanted(peers=()) is None
    with pytest.raises(SalternError, match=r"no interface of this host has the address of the tunnels 10\.1\.0\.99"):
        wanted(own="10.1.0.99")


def test_what_differs() -> None:
    assert underlay.marked(WAY.mark()) == WAY
    assert underlay.difference(WAY.mark(), WAY) is None is underlay.difference(None, None)
    assert underlay.difference(None, WAY) == (None, "by eth2 to 2 hosts")
    assert underlay.difference(WAY.mark(), None) == ("by eth2 to 2 hosts", None)
    other = Underlay("eth2", WAY.mac, WAY.address, {"10.1.0.12": ""})
    assert underlay.difference(WAY.mark(), other) == ("by eth2 to 2 hosts", "by eth2 to 1 host")
    assert underlay.difference("{}", WAY) == ("unknown", "by eth2 to 2 hosts")


def test_a_flow_as_the_protocol_has_it() -> None:
    body = openflow.Flow(1, openflow.LOCAL, kind=0x0800, protocol=17, to="10.1.0.11", port=4789).packed()
    wild, in_port, kind, protocol, to, port = struct.unpack("!IH16xH1xB6xI2xH", body[:40])
    # all but in_port (1), dl_type (16), nw_proto (32), tp_dst (128), nw_dst (bits 14 to 19) are wild
    assert wild == 0x3FFFFF - 1 - 16 - 32 - 128 - (63 << 14)
    assert (in_port, kind, protocol, port) == (1, 0x0800, 17, 4789) and socket.inet_ntoa(
        struct.pack("!I", to)
    ) == "10.1.0.11"
    assert body[-8:] == struct.pack("!HHHH", 0, 8, 0xFFFE, 0) and len(body) == 72
    assert struct.unpack("!I", openflow.Flow(0xFFFE, 1).packed()[:4])[0] == 0x3FFFFE


@pytest.mark.parametrize(
    "kind,words", [(openflow._BARRIER_REPLY, ""), (openflow._ERROR, "refuses a flow: error 00030000")]
)
def test_flows_are_there_when_the_bridge_says_so(tmp_path: Path, kind: int, words: str) -> None:
    path, heard = str(tmp_path / "br.mgmt"), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        link, _ = listener.accept()
        link.sendall(openflow._message(openflow._HELLO, 9) + openflow._message(openflow._ECHO, 7, b"x"))
        while True:
            head = openflow._exactly(link, 8)
            _, got, size, number = struct.unpack("!BBHI", head)
            openflow._exactly(link, size - 8)
            heard.append(got)
            if got == openflow._BARRIER:
                link.sendall(openflow._message(kind, number, bytes([0, 3, 0, 0])))
                while link.recv(64):  # until the other side has what it wants
                    pass
                link.close()
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    if words:
        with pytest.raises(SalternError, match=words):
            openflow.put(path, [openflow.Flow(1, 2)])
    else:
        openflow.put(path, [openflow.Flow(1, 2)])
    thread.join(5)
    listener.close()
    assert heard[:3] == [0, 14, 18]
    with pytest.raises(SalternError, match="takes no flows"):
        openflow.put(str(tmp_path / "nobody.mgmt"), [])
