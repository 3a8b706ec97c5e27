"""``Rig``: the shell scripts of this directory as an object. One per test session, several sessions side by side.

    with Rig(["ctl1", "ctl2"]) as rig:
        rig.boot()
        rig["ctl1"].run("docker", "ps")
        rig["ctl1"].power_cut()

A rig owns a directory, a network and a prefix for its kernel objects. It is removed by ``destroy`` and, when its
process was killed, by the next rig that starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors

from rig import imgclone

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
ENGINE_URL = "unix:///var/run/docker.sock"
PATTERN = "saltern-rig-*"
HOLDER = "saltern.rig"  # label
DOCKERD = f"service dockerd {HERE}/righost-dockerd"


class RigError(Exception):
    """The rig could not do what was asked; the text has the script's own words."""


def lacking() -> str | None:
    """Why no rig can run here, None when one can."""
    answer = subprocess.run([HERE / "righost", "doctor"], capture_output=True, text=True, check=False)
    return answer.stderr.strip() or "righost doctor failed" if answer.returncode else None


@dataclass(frozen=True)
class Host:
    """One host: its number, name, address, and where its files are seen from the machine."""

    rig: Rig
    number: int
    name: str

    @property
    def address(self) -> str:
        return f"{self.rig.net}.{self.number}"

    @property
    def base(self) -> Path:
        return self.rig.base / f"h{self.number}"

    @property
    def tmp(self) -> Path:
        """The host's /tmp."""
        return self.base / "tmp"

    @property
    def state(self) -> Path:
        """The host's /var/lib/saltern."""
        return self.base / "saltern"

    @property
    def var(self) -> Path:
        """What the host wrote below /var (its logs: ``var / "log"``)."""
        return self.base / "cow" / "var" / "up"

    @property
    def engine_url(self) -> str:
        return f"unix://{self.tmp}/docker.sock"

    def engine(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.engine_url, version="1.41", timeout=60)

    def services(self, *lines: str) -> None:
        """What the host runs from its next boot on, beside the Docker Engine: lines ``service NAME COMMAND…``."""
        self.base.mkdir(parents=True, exist_ok=True)
        (self.base / "rc").write_text("\n".join((DOCKERD, *lines, "")), encoding="utf-8")

    def share_images(self, references: Sequence[str]) -> None:
        """Give the host images of the machine's own engine, before it boots."""
        imgclone.clone(self.rig.store, self.base / "docker", list(references))

    def load_image(self, reference: str) -> None:
        """Copy an image into the running host (slow; for images made after it booted)."""
        image = docker.DockerClient(base_url=ENGINE_URL).images.get(reference)
        # by this name: an image may have others, of other tests
        self.engine().images.load(b"".join(image.save(named=reference)))

    def forget_image(self, image: str) -> None:
        """Remove an image from the host's engine, one that it shares too: a mounted layer could not be deleted."""
        images = {item.id: _layers(item) for item in self.engine().images.list()}
        mine = images.pop(self.engine().images.get(image).id)
        for layer in mine - set().union(*images.values()):
            self.run("umount", layer, check=False)
        self.engine().images.remove(image, force=True)

    def boot(self, wait: bool = True) -> None:
        (self.base / "docker").mkdir(parents=True, exist_ok=True)
        self.rig.script("up", self.number)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until the host's Docker Engine answers."""
        self.rig.script("wait", self.number)

    def command(self, *argv: str | Path) -> list[str]:
        """The command line that runs ``argv`` in the host."""
        return [str(HERE / "righost"), "exec", str(self.number), *map(str, argv)]

    def run(
        self, *argv: str | Path, check: bool = True, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host. Raises RigError when it fails and ``check`` is set."""
        answer = subprocess.run(
            self.command(*argv),
            env=self.rig.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and answer.returncode:
            what = " ".join(map(str, argv))
            raise RigError(f"{self.name}: {what}: exit code {answer.returncode}: {answer.stderr or answer.stdout}")
        return answer

    def stop(self, service: str) -> None:
        """Stop a service of the host and keep it stopped (until ``start`` or the next boot)."""
        self.rig.script("stop", self.number, service)

    def start(self, service: str) -> None:
        self.rig.script("start", self.number, service)
        if service == "dockerd":
            self.wait()

    def power_cut(self) -> None:
        self.rig.script("kill", self.number)

    def freeze(self) -> None:
        self.rig.script("freeze", self.number)

    def thaw(self) -> None:
        self.rig.script("thaw", self.number)

    def cut(self, silent: bool = False) -> None:
        """Pull the cable; ``silent``: the host does not notice, its frames are eaten."""
        self.rig.script("silent" if silent else "cut", self.number)

    def uncut(self) -> None:
        self.rig.script("uncut", self.number)


class Rig:
    """Hosts and the switch between them. The machine itself is ``master_address`` on their network."""

    def __init__(self, names: Sequence[str], *, base: Path | None = None, binds: Sequence[Path] = ()) -> None:
        self.prefix = os.environ.get("RIG_PREFIX") or f"r{secrets.token_hex(3)}"
        self.base = base or _roomy() / f"saltern-rig-{self.prefix}"
        self.net = os.environ.get("RIG_NET", "")  # else chosen when it begins
        self.names = list(names)
        self.hosts = [Host(self, number, name) for number, name in enumerate(names, start=1)]
        self.store = Path("/var/lib/docker")
        self.binds = [CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), self.shared, *binds]

    @property
    def shared(self) -> Path:
        """A directory that machine and hosts see at the same path."""
        return self.base / "shared"

    @property
    def master_address(self) -> str:
        return f"{self.net}.254"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RIG_BASE": str(self.base),
            "RIG_PREFIX": self.prefix,
            "RIG_NET": self.net,
            "RIG_HOSTS": " ".join(self.names),
            "RIG_BINDS": " ".join(str(path) for path in _outermost(self.binds)),
            "RIG_STORE": str(self.store),
        }

    def script(self, verb: str, *arguments: object) -> str:
        """Run ``righost VERB``. Raises RigError with its own words."""
        answer = subprocess.run(
            [HERE / "righost", verb, *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if answer.returncode:
            raise RigError(
                f"righost {verb} {' '.join(map(str, arguments))}: {answer.stderr.strip() or answer.stdout.strip()}"
            )
        return answer.stdout

    def __enter__(self) -> Rig:
        with _alone():
            reap()
            self.net = self.net or _free_net()
            self.shared.mkdir(parents=True)
            (self.base / "rig.json").write_text(
                json.dumps({"prefix": self.prefix, "net": self.net, "owner": _identity(os.getpid())}), encoding="utf-8"
            )
            try:
                self.script("net-up")
            except BaseException:
                self.destroy()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[self.names.index(name)]

    def boot(self, images: Sequence[str] = ()) -> None:
        """Boot every host, with ``images`` of the machine's own engine, and wait for their engines."""
        if images:
            info = docker.APIClient(base_url=ENGINE_URL).info()
            if info["Driver"] != "overlay2":
                raise RigError(f"images can be shared from an engine with overlay2 only; this one has {info['Driver']}")
            self.store = Path(info["DockerRootDir"])
            self._hold(images)
            for host in self.hosts:
                host.share_images(images)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda host: host.boot(), self.hosts))

    def _hold(self, images: Sequence[str]) -> None:
        """Containers that never run: while they exist, a rebuild of their image leaves the layers that hosts use."""
        api = docker.APIClient(base_url=ENGINE_URL, version="1.41")
        for image in images:
            api.create_container(image, ["-"], labels={HOLDER: self.prefix}, host_config=api.create_host_config())
        api.close()

    def drop(self, one: Host, other: Host) -> None:
        """These two no longer reach each other; everybody else still reaches both."""
        self.script("drop", one.number, other.number)

    def heal(self) -> None:
        self.script("heal")

    def destroy(self) -> None:
        """Everything of the rig; called again it does nothing."""
        self.script("destroy")
        _release(self.prefix)


def reap() -> None:
    """Remove rigs whose process is gone (killed before it could clean up)."""
    for state in _roomy().glob(f"{PATTERN}/rig.json"):
        known = json.loads(state.read_text(encoding="utf-8") or "{}")
        pid = int(known.get("owner", "0").split(":")[0])
        if not known or _identity(pid) == known["owner"]:
            continue
        environment = {
            **os.environ,
            "RIG_BASE": str(state.parent),
            "RIG_PREFIX": known["prefix"],
            "RIG_NET": known["net"],
        }
        subprocess.run([HERE / "righost", "destroy"], env=environment, check=False)
        _release(known["prefix"])


def _release(prefix: str) -> None:
    """Let the machine's engine have the images back."""
    with suppress(docker.errors.DockerException):  # no engine, no holders
        api = docker.APIClient(base_url=ENGINE_URL, version="1.41")
        for container in api.containers(all=True, filters={"label": f"{HOLDER}={prefix}"}):
            api.remove_container(container["Id"], force=True)
        api.close()


def _layers(image: docker.models.images.Image) -> set[str]:
    """Directories of an image's layers."""
    data = image.attrs["GraphDriver"]["Data"]
    return {data["UpperDir"], *filter(None, data.get("LowerDir", "").split(":"))}


def _identity(pid: int) -> str:
    """``pid:start time``, which no other process ever has until the next boot; ``pid:`` when there is none."""
    try:
        return f"{pid}:{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    except OSError:
        return f"{pid}:"


def _roomy() -> Path:
    """A directory on a real file system outside the overlays' lower directories."""
    if given := os.environ.get("SALTERN_RIG_DIR"):
        return Path(given)
    for candidate in (Path("/srv"), Path("/opt"), Path("/home"), Path("/")):
        kind = subprocess.run(
            ["stat", "-fc", "%T", candidate], capture_output=True, text=True, check=False
        ).stdout.strip()
        if kind in ("ext2/ext3", "ext4", "xfs", "btrfs") and os.access(candidate, os.W_OK):
            return candidate
    raise RigError(
        "no directory on ext4 or xfs for a rig: set SALTERN_RIG_DIR to one outside /usr, /etc, /var and /root"
    )


@contextmanager
def _alone() -> Iterator[None]:
    """One rig begins at a time: two must not choose the same network, nor remove the same dead one."""
    with open("/run/saltern-rig.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_net() -> str:
    taken = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    used = {int(second) for second in re.findall(r"inet 10\.(\d+)\.", taken)}
    free = [n for n in range(82, 128) if n not in used]
    return f"10.{secrets.choice(free)}.0"


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Without what a host sees anyhow (/usr) and without what lies in another of them."""
    resolved = sorted({path.resolve() for path in paths if not path.is_relative_to("/usr")})
    return [path for path in resolved if not any(path != other and path.is_relative_to(other) for other in resolved)]
