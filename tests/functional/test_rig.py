"""The rig keeps what it promises: hosts apart from each other, faults that heal, nothing left behind."""

import subprocess
from pathlib import Path

import docker
import docker.errors
import pytest
from rig import rig as rigs
from rig import tinyimage

pytestmark = [pytest.mark.rig, pytest.mark.engine]


def reaches(host: rigs.Host, address: str) -> bool:
    """Refused counts: somebody answered."""
    return host.run("timeout", "1", "bash", "-c", f"</dev/tcp/{address}/9", check=False).returncode != 124


def leftovers(rig: rigs.Rig) -> list[str]:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{rig.prefix}")]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(rig.base) in line]
    return [link for link in links if f"{rig.prefix}-" in link] + groups + mounts + list(map(str, rig.base.glob("*")))


def test_two_hosts_faults_and_no_leftovers() -> None:
    with rigs.Rig(["ctl1", "ctl2"]) as rig:
        rig.boot()
        one, two = rig.hosts
        assert one.run("hostname").stdout.strip() == "ctl1"
        assert one.engine().info()["Name"] == "ctl1"
        assert reaches(one, two.address) and reaches(one, rig.master_address)

        rig.drop(one, two)
        assert not reaches(one, two.address) and reaches(one, rig.master_address)
        rig.heal()
        one.cut(silent=True)
        assert not reaches(one, two.address)
        one.uncut()
        assert reaches(one, two.address)

        two.freeze()
        with pytest.raises(docker.errors.DockerException):
            docker.DockerClient(base_url=two.engine_url, timeout=1).ping()
        two.thaw()
        assert two.engine().ping()

        before = one.run("cat", "/proc/sys/kernel/random/boot_id").stdout
        one.run("touch", "/var/lib/saltern/kept", "/run/lost")
        one.power_cut()
        one.boot()
        assert one.run("cat", "/proc/sys/kernel/random/boot_id").stdout != before
        assert (one.state / "kept").exists() and one.run("test", "-e", "/run/lost", check=False).returncode == 1
    assert leftovers(rig) == []


def test_images_are_shared_with_the_machines_engine() -> None:
    main = docker.DockerClient(base_url=rigs.ENGINE_URL, version="1.41")
    reference = "g-test/shared:1"
    tinyimage.make(main, reference)
    try:
        with rigs.Rig(["img1"]) as rig:
            rig.boot(images=[reference])
            engine = rig.hosts[0].engine()
            assert [image.id for image in engine.images.list(reference)] == [main.images.get(reference).id]
            answer = engine.containers.run(reference, ["/usr/bin/tini", "--version"], network_mode="host", remove=True)
            assert b"tini version" in answer
            rig.hosts[0].stop("dockerd")
            rig.hosts[0].start("dockerd")
            answer = engine.containers.run(reference, ["/usr/bin/tini", "--version"], network_mode="host", remove=True)
            assert b"tini version" in answer
            main.images.remove(reference, force=True)  # as a rebuild would: the hosts go on
            tinyimage.make(main, reference, ["/usr/bin/cat"])
            answer = engine.containers.run(reference, ["/usr/bin/tini", "--version"], network_mode="host", remove=True)
            assert b"tini version" in answer
        assert main.containers.list(all=True, filters={"label": f"{rigs.HOLDER}={rig.prefix}"}) == []
    finally:
        main.images.remove(reference, force=True)
