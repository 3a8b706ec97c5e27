"""Instances in the real image on the real engine: they boot, run as nova, and outlive libvirtd."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.services import cloud

from saltern.host import files, spec
from saltern.host.engine import Engine, image_ids

pytestmark = [pytest.mark.engine, pytest.mark.slow]
IMAGE, NAME = "saltern/nova-libvirt:2025.2", "libvirt_test"
ADDRESS = "127.0.0.79"
ON = {name: {"enabled": True} for name in ("openvswitch", "libvirt")}
DOMAIN = """<domain type='qemu'><name>saltern-test</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>/usr/share/saltern/guest/vmlinuz</kernel>
<initrd>/usr/share/saltern/guest/initrd</initrd><cmdline>console=ttyS0 no_timer_check</cmdline></os>
<features><acpi/></features>
<devices><serial type='file'><source path='/var/lib/nova/instances/console.log'/></serial></devices></domain>
"""


class Hypervisor:
    """The container as the model makes it, with volumes and directories of its own and without Open vSwitch."""

    def __init__(self, root: Path) -> None:
        self.engine, self.root = Engine(), root
        self.image = image_ids(self.engine.images())[IMAGE]
        self.facts = root / "facts"
        text = json.dumps(
            cloud.spec(cloud.compiled(cloud.AIO, cloud="libvirt-test", services=ON), "aio", "nova_libvirt")
        )
        # an address that every machine has: it listens for other hypervisors
        self.spec: dict[str, Any] = {**json.loads(text.replace("10.0.0.11", ADDRESS)), "name": NAME}
        own = {"/run/libvirt": root / "run", "/var/lib/saltern/facts/libvirt": self.facts}
        mounts = []
        for mount in self.spec["mounts"]:
            if mount["target"] == "/run/openvswitch":
                continue
            if mount["type"] == "volume":
                mount = {**mount, "source": f"{NAME}_{mount['source']}"}
            elif mount["target"] in own:
                own[mount["target"]].mkdir(exist_ok=True)
                mount = {**mount, "source": str(own[mount["target"]])}
            mounts.append(mount)
        self.spec["mounts"] = mounts

    def replace(self) -> None:
        """A new container in place of the old one, if there is one."""
        folder = files.write(self.root, self.spec)
        self.engine.remove(NAME, force=True)
        self.engine.create(NAME, spec.body(self.spec, self.image, folder))
        self.engine.start(NAME)
        self.until(lambda: self.virsh("uri") is not None)

    def virsh(self, *argv: str) -> str | None:
        code, out, _ = self.engine.exec(NAME, ["virsh", *argv], timeout=60)
        return out.decode().strip() if code == 0 else None

    def console(self) -> str:
        _, out, _ = self.engine.exec(NAME, ["cat", "/var/lib/nova/instances/console.log"])
        return out.decode(errors="replace")

    def until(self, what: Callable[[], bool], limit: float = 120) -> None:
        end = time.monotonic() + limit
        while not what():
            assert time.monotonic() < end, "\n".join(self.engine.logs(NAME, 50))
            time.sleep(0.2)

    def emulator(self) -> int:
        """The process of the instance, in the host's numbers."""
        found = subprocess.run(
            ["pgrep", "-f", "qemu-system-x86_64.*guest=saltern-test"], capture_output=True, text=True
        )
        return int(found.stdout or 0)


@pytest.fixture(scope="module")
def hypervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypervisor]:
    made = Hypervisor(tmp_path_factory.mktemp("host"))
    made.replace()
    try:
        yield made
    finally:
        made.virsh("destroy", "saltern-test")
        made.engine.remove(NAME, force=True)
        volumes = [mount["source"] for mount in made.spec["mounts"] if mount["type"] == "volume"]
        subprocess.run(["docker", "volume", "rm", "-f", *volumes], capture_output=True)


def test_what_was_found_about_acceleration_is_on_the_host(hypervisor: Hypervisor) -> None:
    fact = json.loads((hypervisor.facts / "acceleration.json").read_text())
    assert fact["value"] in ("kvm", "qemu") and fact["reason"]
    assert fact["key"]["kvm"] == Path("/sys/class/misc/kvm/dev").exists()
    offered = hypervisor.virsh("capabilities")
    assert offered and ("<domain type='kvm'" in offered) == (fact["value"] == "kvm")


def test_an_instance_outlives_restart_and_replacement(hypervisor: Hypervisor) -> None:
    (hypervisor.root / "run/domain.xml").write_text(DOMAIN)
    assert hypervisor.virsh("define", "/run/libvirt/domain.xml") is not None
    assert hypervisor.virsh("start", "saltern-test") is not None
    hypervisor.until(lambda: "GUEST-READY" in hypervisor.console())
    process = hypervisor.emulator()
    status = Path(f"/proc/{process}/status").read_text()
    assert re.search(r"^Uid:\s+42436\s+42436", status, re.M), "QEMU runs as nova"
    assert re.search(r"^CapEff:\s+0{16}$", status, re.M)

    hypervisor.engine.restart(NAME, 30)
    hypervisor.until(lambda: hypervisor.virsh("domstate", "saltern-test") == "running")
    assert hypervisor.emulator() == process

    fact = (hypervisor.facts / "acceleration.json").read_text()
    hypervisor.replace()
    assert hypervisor.virsh("domstate", "saltern-test") == "running"
    assert hypervisor.emulator() == process
    assert (hypervisor.facts / "acceleration.json").read_text() == fact, "it is not probed again"


def test_the_guest_obeys_its_power_button(hypervisor: Hypervisor) -> None:
    assert hypervisor.virsh("shutdown", "saltern-test") is not None
    hypervisor.until(lambda: hypervisor.virsh("domstate", "saltern-test") == "shut off", 60)
    assert hypervisor.emulator() == 0


def test_libvirtd_may_make_no_device_nodes(hypervisor: Hypervisor) -> None:
    shown = hypervisor.engine.inspect(NAME)
    assert shown
    status = Path(f"/proc/{shown['State']['Pid']}/status").read_text()
    (bounding,) = re.findall(r"^CapBnd:\s+(\w+)$", status, re.M)
    assert not int(bounding, 16) & 1 << 27, "CAP_MKNOD"


def test_it_listens_for_others_who_show_a_certificate(hypervisor: Hypervisor) -> None:
    remote = f"qemu+tls://{ADDRESS}/system"
    assert hypervisor.virsh("-c", remote, "uri") == remote
    # the right authority, and no certificate of one's own
    script = f"mkdir -p /tmp/bare && cp /etc/pki/CA/cacert.pem /tmp/bare/ && virsh -c '{remote}?pkipath=/tmp/bare' uri"
    code, out, err = hypervisor.engine.exec(NAME, ["sh", "-c", script], timeout=60)
    assert code != 0 and remote not in out.decode(), err
