"""The network interfaces of this host, their addresses, and the way out: read and changed by iproute2's ``ip``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from saltern.contract.errors import SalternError

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Link:
    """An interface. ``addresses`` with their prefix (192.0.2.2/24), those that are valid beyond the link only."""

    name: str
    up: bool = True
    mtu: int = 1500
    master: str = ""
    kind: str = ""  # of the interface: veth, bridge, bond, vlan, …; empty for a device
    port_of: str = ""  # kind of its master: bridge, bond, openvswitch
    addresses: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True)
class Route:
    """A default route."""

    device: str
    gateway: str = ""


class Links:
    """Reads and changes them.

    run
        Runs ``ip`` with arguments, gives its output.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run or run_ip

    def all(self) -> dict[str, Link]:
        """Every interface by name."""
        return {link.name: link for link in map(_link, self._json("-d", "address", "show"))}

    def default_routes(self) -> list[Route]:
        """Default routes of IPv4 and IPv6, the preferred one first."""
        rows = [row for family in ("-4", "-6") for row in self._json(family, "route", "show", "default")]
        return [Route(row["dev"], row.get("gateway", "")) for row in rows if row.get("dev")]

    def up(self, name: str) -> None:
        """Bring it up. Raises SalternError."""
        self._run(["link", "set", "dev", name, "up"])

    def gateway(self, address: str, device: str) -> str:
        """The gateway by which an interface leads to an address; empty: it is on the link, or the way is another."""
        rows = self._json("route", "get", address)
        return str(rows[0].get("gateway", "")) if rows and rows[0].get("dev") == device else ""

    def add_address(self, name: str, address: str, *, routed: bool = True) -> None:
        """Give it an address with prefix; ``routed``: its network is reached by it. Raises SalternError."""
        more = ["brd", "+"] if ip_interface(address).version == 4 else []
        more += [] if routed else ["noprefixroute"]
        self._run(["address", "add", address, *more, "dev", name])

    def remove_address(self, name: str, address: str) -> None:
        """Take an address off it. Raises SalternError."""
        self._run(["address", "del", address, "dev", name])

    def _json(self, *arguments: str) -> list[dict[str, Any]]:
        text = self._run(["-j", *arguments])
        try:
            return [row for row in json.loads(text or "[]") if row]
        except ValueError as error:
            raise SalternError("its answer is not understood", where="ip " + " ".join(arguments)) from error


def run_ip(arguments: Sequence[str]) -> str:
    """Run ``ip``. Raises SalternError with what it says."""
    program = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise SalternError("there is no program ip on this host", hint="Install iproute2")
    command = "ip " + " ".join(arguments)
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SalternError(str(error), where=command) from error
    if done.returncode:
        raise SalternError(done.stderr.strip() or f"exit code {done.returncode}", where=command)
    return done.stdout


def _link(row: dict[str, Any]) -> Link:
    about = row.get("linkinfo") or {}
    return Link(
        name=row["ifname"],
        up="UP" in (row.get("flags") or ()),
        mtu=int(row.get("mtu", 0)),
        master=row.get("master", ""),
        mac=row.get("address", ""),
        kind=about.get("info_kind", ""),
        port_of=about.get("info_slave_kind", ""),
        addresses=tuple(
            f"{entry['local']}/{entry['prefixlen']}"
            for entry in row.get("addr_info") or ()
            if entry.get("scope") == "global" and "local" in entry
        ),
    )
