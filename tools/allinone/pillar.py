"""The operator's pillar: at the first start the all-in-one example with this machine's id and address; then theirs."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

from allinone import shell
from allinone.layout import Layout
from allinone.made import Made
from allinone.saltconf import minion_id

EXAMPLE = Path("pillar/examples/all-in-one")
# What the example has in the place of this machine's minion id, address, and MTU of the interface with that address.
MINION, ADDRESS, MTU = "ctl1", "192.0.2.11", 1500


def ensure(layout: Layout, made: Made) -> bool:
    """Copy the example unless a pillar is there; whether it was copied."""
    if layout.pillar.is_dir() and any(layout.pillar.glob("*.sls")):
        return False
    layout.pillar.mkdir(parents=True, exist_ok=True)
    layout.pillar.chmod(0o700)
    made.put("pillar", True)
    for source in sorted((layout.checkout / EXAMPLE).glob("*.sls")):
        target = layout.pillar / source.name
        target.write_text(filled(source.read_text(), minion_id(), address(), mtu(address())))
        target.chmod(0o600)
    return True


def filled(text: str, minion: str, host: str, mtu: int = MTU) -> str:
    """The example with a minion id, an address and an MTU filled in."""
    text = text.replace(f"tunnel: {{mtu: {MTU}}}", f"tunnel: {{mtu: {mtu}}}")
    text = re.sub(rf"(?<![\w.-]){MINION}(?![\w.-])", minion, text)
    return re.sub(rf"(?<![\w.]){re.escape(ADDRESS)}(?![\w.])", host, text)


def address() -> str:
    """The address other machines reach this one by: the one of its default route, else any that is not a loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only chooses the route.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            pass
    _, text = shell.output(["ip", "-4", "-o", "address", "show", "scope", "global"])
    found = re.search(r"^\d+: (?!docker|br-|veth)\S+\s+inet ([\d.]+)/", text, re.MULTILINE)
    return found.group(1) if found else "127.0.0.1"


def mtu(host: str, sysfs: Path = Path("/sys/class/net")) -> int:
    """The MTU of the interface that has an address; the usual one where it is larger or cannot be told."""
    _, text = shell.output(["ip", "-4", "-o", "address", "show"])
    found = re.search(rf"^\d+: (\S+)\s+inet {re.escape(host)}/", text, re.MULTILINE)
    try:
        return min(MTU, int((sysfs / found.group(1) / "mtu").read_text())) if found else MTU
    except (OSError, ValueError):
        return MTU


def cloud(layout: Layout) -> str:
    """The cloud's name in the pillar, as far as it is written plainly; ``saltern`` is the default."""
    for path in sorted(layout.pillar.glob("*.sls")) if layout.pillar.is_dir() else []:
        found = re.search(r"^\s+cloud:\s*[\"']?([a-z][a-z0-9-]*)", path.read_text(errors="replace"), re.MULTILINE)
        if found:
            return found.group(1)
    return "saltern"


def remove(layout: Layout) -> None:
    """Remove the whole pillar of the cloud."""
    shutil.rmtree(layout.pillar, ignore_errors=True)
