#!/usr/bin/python3 -I
"""What has to happen before libvirtd starts; then it becomes libvirtd.

- It leaves the cgroups by which the engine kills a container: instances live in libvirtd's, and would die with it.
- Whether KVM really boots a guest is tried once for a kernel, QEMU and processor, and remembered with its reason: that
  /dev/kvm opens proves nothing (nested virtualisation that only runs guests made for it, processors whose registers may
  not be set). Where it does not, there is no /dev/kvm in the container, and libvirt offers software emulation alone.
- What a killed libvirtd had started to ask QEMU for its abilities, and nobody else would end, is ended.
- Certificates are made by which hypervisors know each other, of a secret that all of them have.
- It gives up the right to make device nodes.

Standard library of python3-minimal only.
"""

import hashlib
import json
import os
import pwd
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACT = Path("/var/lib/saltern/facts/libvirt/acceleration.json")
GUEST = Path("/usr/share/saltern/guest")
QEMU = "qemu-system-x86_64"
USER = "nova"  # as whom libvirt runs QEMU, see qemu.conf
LIMIT = 20.0  # seconds that a guest gets; with KVM it needs one
BOOTED = "GUEST-BOOTED"
FAULT = r"KVM internal error[^\r\n]*[\r\n]"  # QEMU says so, dumps registers and stands still
MIGRATION = Path("/etc/libvirt/migration.json")  # {"secret", "name", "address"}, or empty
PROBES = Path("/var/lib/libvirt/qemu")
PKI = Path("/etc/pki")  # where libvirt and QEMU look by default
# An Ed25519 key in PKCS #8 is this and 32 bytes of any value.
ED25519 = bytes.fromhex("302e020100300506032b657004220420")
AUTHORITY = """[req]
distinguished_name = name
x509_extensions = ca
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
"""
OWN = "saltern-libvirt"  # our cgroup, where libvirt makes none for its instances
# Where libvirt gives each instance a group of its own (cgroup_controllers in qemu.conf): there it stays itself.
MANAGED = {"cpu", "cpuset", "memory", "blkio"}


class Refused(Exception):
    """libvirtd must not start; the text says why and what helps."""


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy of cgroups: where, and its controllers; none of version 2."""

    path: Path
    controllers: frozenset[str] = frozenset()


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """All that are mounted below /sys/fs/cgroup, from the text of /proc/self/mountinfo."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        path = Path(before.split()[4])
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" and path == Path("/sys/fs/cgroup"):
            found.append(Hierarchy(path))
        elif kind == "cgroup":
            names = (name.removeprefix("name=") for name in options.split(","))
            found.append(Hierarchy(path, frozenset(names) - {"rw", "ro", "xattr", "clone_children", "release_agent"}))
    return found


def to_leave(found: Iterable[Hierarchy]) -> list[Path]:
    """The hierarchies in which instances would otherwise stay in the container's group and die with it."""
    return [each.path for each in found if each.controllers.isdisjoint(MANAGED)]


def leave(paths: Iterable[Path], pid: int) -> None:
    """Move a process into our own group. Raises Refused."""
    for path in paths:
        try:
            (path / OWN).mkdir(exist_ok=True)
            (path / OWN / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise Refused(
                f"the container's cgroup cannot be left in {path} ({error.strerror}): the next restart would kill all "
                "instances. Is /sys/fs/cgroup of the host mounted writable, with cgroup_host?"
            ) from error


def end_probes(folder: Path, proc: Path = Path("/proc"), kill: Callable[[int, int], None] = os.kill) -> None:
    """End QEMUs that a killed libvirtd was asking for their abilities; instances have other directories."""
    for place in folder.glob("qmp-*"):
        try:
            pid = int((place / "qmp.pid").read_text())
            if str(place) in (proc / str(pid) / "cmdline").read_text():
                kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass  # it has ended
        for path in place.iterdir():
            path.unlink()
        place.rmdir()


def device(name: str, sys_root: Path, dev: Path, owner: tuple[int, int] | None, mknod: Callable[..., None]) -> bool:
    """Make a device node of the host's in the container; False where the host has no such device."""
    try:
        major, minor = map(int, (sys_root / "class/misc" / name / "dev").read_text().split(":"))
    except FileNotFoundError:
        return False
    node = dev / name
    if not node.exists():
        mknod(node, stat.S_IFCHR | 0o600, os.makedev(major, minor))
        if owner:
            os.chown(node, *owner)
    return True


def cpu_model(cpuinfo: str) -> str:
    """The processor as instances would see it: name, and family-model-stepping."""
    fields = {
        key.strip(): value.strip()
        for key, separator, value in (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
        if separator
    }
    numbers = "-".join(fields.get(key, "?") for key in ("cpu family", "model", "stepping"))
    return f"{fields.get('model name', 'unknown')} ({numbers})"


def boots(command: Sequence[str], limit: float) -> str:
    """Why a guest did not get into its user space with KVM, empty when it did."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    said, end = "", time.monotonic() + limit
    try:
        while BOOTED not in said:
            ready = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                return f"a guest with KVM did not boot within {limit:g} s; its last line: {last_line(said)}"
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                return f"QEMU with KVM ended with {process.wait()}: {last_line(said)}"
            said += more.decode(errors="replace")
            if fault := re.search(FAULT, said):
                return f"a guest with KVM does not run: {fault[0].strip()}"
        return ""
    finally:
        process.kill()
        process.wait()


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    printable = ["".join(c for c in line if c.isprintable()) for line in lines if line]
    return printable[-1][:200] if printable else "none"


def guest_command(user: str) -> list[str]:
    """QEMU as libvirt would run it: as its user, with the host's processor."""
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", QEMU, "-no-user-config", "-nodefaults"]
    argv += ["-machine", "pc,accel=kvm", "-cpu", "host", "-m", "128", "-no-reboot"]
    argv += ["-kernel", str(GUEST / "vmlinuz"), "-initrd", str(GUEST / "initrd")]
    return [*argv, "-append", "console=ttyS0 panic=-1", "-display", "none", "-serial", "stdio"]


def decided(wanted: str, key: Mapping[str, Any], former: Mapping[str, Any], probe: Callable[[], str]) -> dict[str, Any]:
    """The fact: kvm or qemu, and why. Asks the probe only when nothing of what it depends on is as before."""
    if former.get("key") == key and former.get("value") in ("kvm", "qemu"):
        return dict(former)
    if wanted == "kvm" and not key["kvm"]:
        raise Refused("acceleration is set to kvm, and this host has no /dev/kvm: set it to auto, or load the module")
    if wanted != "auto":
        value, reason = wanted, "set by the variable acceleration of the service libvirt"
    elif not key["kvm"]:
        value, reason = "qemu", "the host has no /dev/kvm"
    else:
        reason = probe()
        value, reason = ("qemu", reason) if reason else ("kvm", "a guest booted with KVM")
    return {"value": value, "reason": reason, "at": int(time.time()), "cpu": key["cpu"], "key": dict(key)}


def authority(secret: str, purpose: str, folder: Path) -> None:
    """The key and certificate of an authority: the same key on every host, as it is made of their secret."""
    seed = hashlib.sha256(f"{purpose}\0{secret}".encode()).digest()
    (folder / "ca.key").write_bytes(ED25519 + seed)
    (folder / "ca.conf").write_text(AUTHORITY)
    openssl(
        f"req -x509 -config ca.conf -keyform DER -key ca.key -subj /CN=saltern-{purpose} -days 36500 -out ca.pem",
        folder,
    )


def certified(name: str, address: str, folder: Path) -> None:
    """A new key of this host's and its certificate, for both sides of a connection, signed by the authority."""
    names = f"subjectAltName = IP:{address}, DNS:{name}"
    usage = "keyUsage = digitalSignature, keyEncipherment\nextendedKeyUsage = serverAuth, clientAuth"
    (folder / "host.ext").write_text(f"basicConstraints = CA:FALSE\n{usage}\n{names}\n")
    openssl("genpkey -algorithm ed25519 -out host.key", folder)
    openssl(f"req -new -config ca.conf -key host.key -subj /CN={name} -out host.csr", folder)
    signed = f"x509 -req -in host.csr -CA ca.pem -CAkeyform DER -CAkey ca.key -set_serial 0x{os.urandom(16).hex()}"
    openssl(f"{signed} -days 3650 -extfile host.ext -out host.pem", folder)


def openssl(arguments: str, folder: Path) -> None:
    done = subprocess.run(["openssl", *arguments.split()], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"openssl {arguments.split()[0]}: {last_line(done.stderr)}")


def certificates(wanted: Mapping[str, str], pki: Path, owner: tuple[int, int]) -> None:
    """What libvirtd and QEMU need to know the other hypervisors by, and be known.

    QEMU has an authority of its own: who breaks out of an instance finds its key, and must not get at libvirtd by it.
    """
    if not wanted:
        return
    pki.chmod(0o755)  # QEMU passes through it
    for purpose in ("libvirt", "qemu"):
        folder = pki / f"{purpose}.new"
        folder.mkdir(mode=0o700, exist_ok=True)
        authority(wanted["secret"], purpose, folder)
        certified(wanted["name"], wanted["address"], folder)
        key = folder / "host.key"
        key.chmod(0o400)
        if purpose == "qemu":
            os.chown(key, *owner)
        for target, source in PLACES[purpose].items():
            place = pki / target
            for parent in reversed(Path(target).parents):
                (pki / parent).mkdir(mode=0o755, exist_ok=True)
            place.unlink(missing_ok=True)
            os.link(folder / source, place)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


PLACES = {
    "libvirt": {
        "CA/cacert.pem": "ca.pem",
        "libvirt/servercert.pem": "host.pem",
        "libvirt/clientcert.pem": "host.pem",
        "libvirt/private/serverkey.pem": "host.key",
        "libvirt/private/clientkey.pem": "host.key",
    },
    "qemu": {
        "qemu/ca-cert.pem": "ca.pem",
        "qemu/server-cert.pem": "host.pem",
        "qemu/client-cert.pem": "host.pem",
        "qemu/server-key.pem": "host.key",
        "qemu/client-key.pem": "host.key",
    },
}


def read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a file in one step: the machine may die in the middle, others read it at any time."""
    new = path.with_name(f"{path.name}.new")
    with open(new, "w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def qemu_version() -> str:
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0].removeprefix("QEMU emulator version ")


def accelerate(wanted: str, owner: tuple[int, int]) -> dict[str, Any]:
    """Find out what instances can use, and leave /dev/kvm in the container only when they can use it."""
    dev = Path("/dev")
    present = device("kvm", Path("/sys"), dev, owner, os.mknod)
    device("vhost-net", Path("/sys"), dev, None, os.mknod)  # libvirtd opens it itself and hands it on
    key = {
        "kernel": os.uname().release,
        "qemu": qemu_version(),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "kvm": present,
        "wanted": wanted,
    }
    former = read(FACT)
    fact = decided(wanted, key, former, lambda: boots(guest_command(USER), LIMIT))
    if fact != former:
        write(FACT, fact)
    # Before QEMU was asked, libvirtd offers KVM where the device exists: so there is none where it is of no use.
    if present and fact["value"] != "kvm":
        (dev / "kvm").unlink()
    return fact


def say(text: str) -> None:
    print(f"saltern-libvirt-start: {text}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    try:
        leave(to_leave(hierarchies(Path("/proc/self/mountinfo").read_text())), os.getpid())
        end_probes(PROBES)
        user = pwd.getpwnam(USER)
        owner = user.pw_uid, user.pw_gid
        certificates(read(MIGRATION), PKI, owner)
        fact = accelerate(os.environ.get("SALTERN_ACCELERATION", "auto"), owner)
    except Refused as error:
        say(f"refused: {error}")
        return 1
    say(f"instances run with {fact['value']}: {fact['reason']}")
    os.execvp("setpriv", ["setpriv", "--bounding-set=-mknod", "--inh-caps=-mknod", "--", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
