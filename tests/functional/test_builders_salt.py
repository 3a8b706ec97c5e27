"""``salt-run openstack.build`` on two real builders with a real registry: shared work, refusals, kills, power cuts.

Steps of images wait where their file ``wait`` says so, until the test lets them go: nothing depends on who is faster.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import docker.errors
import pytest
import yaml
from rig import registry as registries
from rig import rig as rigs
from rig.cloud import SaltCloud
from rig.registry import PASSWORD, USER, Registry

from saltern.host.build import labels
from saltern.images.options import options_from
from saltern.images.record import read_record
from saltern.images.tree import DISTRO, load

from . import bench, tiny

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

PORT = 9998  # a step waits there until somebody connects
WAIT = f"nc -l -p {PORT}\n"
STAGE = (
    "FROM {{ image('tool') }} AS stage\nLABEL saltern.stage={{ reference }}\nCOPY word wait /\nRUN sh /wait\n"
    "FROM {{ image('base') }}\nCOPY --from=stage /word /made /\nUSER 1\n"
)
FILES = {
    "base/Dockerfile.j2": "FROM {{ image('distro') }}\nCOPY word /base\nUSER 1\n",
    "tool/Dockerfile.j2": "{{ build_only() }}FROM {{ image('distro') }}\nRUN echo tool > /made\n",
    "left/Dockerfile.j2": STAGE,
    "right/Dockerfile.j2": STAGE,
}
SHIPPED = {"base", "left", "right"}
BRANCHES = {"left", "right"}


class Site:
    """The cloud, its registry, and a tree of tiny images."""

    def __init__(self, cloud: SaltCloud, registry: Registry) -> None:
        self.cloud, self.registry = cloud, registry
        self.one, self.two = cloud.rig.hosts
        self.folder = cloud.checkout / "images"

    def pillar(self, *, password: str = PASSWORD, **images: Any) -> None:
        hosts = {
            self.one.name: {"address": self.one.address, "roles": ["builder", "control"]},
            self.two.name: {"address": self.two.address, "roles": ["builder"]},
        }
        given = {
            "registry": self.registry.address,
            "registry_username": USER,
            "registry_ca": self.registry.ca,
            "parallel": 1,
            **images,
        }
        tree = {"hosts": hosts, "images": given, "secrets": {"registry_password": password}}
        self.cloud.write_pillar("init.sls", {"openstack": tree})

    def edit(self, image: str, *, wait: str = "true\n") -> None:
        """Other inputs than ever before."""
        (self.folder / image / "word").write_text(f"{image} {time.monotonic_ns()}\n", encoding="utf-8")
        (self.folder / image / "wait").write_text(wait, encoding="utf-8")

    def reference(self, image: str) -> str:
        return f"{self.registry.address}/saltern/{image}:2025.2"

    def id(self, host: rigs.Host, image: str) -> str | None:
        try:
            return str(host.engine().images.get(self.reference(image)).id)
        except docker.errors.ImageNotFound:
            return None

    def ids(self, *images: str) -> dict[tuple[str, str], str | None]:
        return {(host.name, image): self.id(host, image) for host in (self.one, self.two) for image in images}

    def digest(self, image: str) -> str | None:
        return read_record(self.cloud.state).builds[self.reference(image)].get("digest")

    def said(self, verb: str, *arguments: str) -> tuple[int, str]:
        """Exit code, and what an operator sees."""
        return self.end(self.cloud.popen(f"openstack.{verb}", *arguments))

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in out + err
        assert PASSWORD not in out + err
        return process.returncode, out

    def catalog(self) -> set[str]:
        """What the registry has."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        question = urllib.request.Request(
            f"https://{self.registry.address}/v2/_catalog", headers={"Authorization": f"Basic {login}"}
        )
        trusting = ssl.create_default_context(cadata=self.registry.ca)
        with urllib.request.urlopen(question, context=trusting, timeout=10) as answer:
            return {name.removeprefix("saltern/") for name in json.load(answer)["repositories"]}

    def makers(self, since: int) -> list[tuple[str, str]]:
        """(image, builder) of every job that made an image."""
        return sorted(
            (argument["image"], minion)
            for event in self.cloud.events.seen("salt/job/*/new", since=since)
            if event.data["fun"] == "openstack_image.build"
            for argument in event.data["arg"]
            for minion in event.data["minions"]
        )

    def job(self, image: str, since: int) -> str:
        """The id of the job that makes an image, once it was sent."""

        def makes(data: dict[str, Any]) -> bool:
            return data["fun"] == "openstack_image.build" and data["arg"][0]["image"] == image

        return str(self.cloud.events.wait("salt/job/*/new", since=since, where=makes).data["jid"])


def waits(host: rigs.Host) -> bool:
    """Whether a step waits on a host."""
    return bool(host.run("ss", "-Hltn", "sport", "=", f":{PORT}", check=False).stdout.strip())


def let_go(*hosts: rigs.Host) -> None:
    """End the steps that wait, once all of them do."""
    for host in hosts:
        bench.until(lambda host=host: waits(host), f"a step waits on {host.name}")  # type: ignore[misc]
    for host in hosts:
        host.run("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}")


def prepare(cloud: SaltCloud) -> None:
    """One service and the tree of tiny images instead of OpenStack's."""
    services, images = cloud.checkout / "states/openstack/services", cloud.checkout / "images"
    for folder in (*services.iterdir(), *(path for path in images.iterdir() if (path / "Dockerfile.j2").exists())):
        shutil.rmtree(folder) if folder.is_dir() else None
    (services / "plain").mkdir()
    containers = {"left": {"image": "left", "runs_on": "control", "user": "root", "process": "x"}}
    service = {"name": "plain", "title": "Nothing at all", "containers": containers}
    (services / "plain/service.yaml").write_text(yaml.safe_dump(service), encoding="utf-8")
    for path, text in FILES.items():
        (images / path).parent.mkdir(exist_ok=True)
        (images / path).write_text(text, encoding="utf-8")


def make_distro(site: Site) -> None:
    """A busybox in the place of the distribution on both builders, with the label that makes it up to date."""
    tree = load(site.folder, options_from({"images": {"registry": site.registry.address}}))
    changes = [f"LABEL {key}={value}" for key, value in labels(DISTRO, tree.images[DISTRO].inputs, None).items()]
    repository, _, tag = site.reference(DISTRO).rpartition(":")
    for host in (site.one, site.two):
        host.engine().api.import_image_from_data(tiny.archive(), repository=repository, tag=tag, changes=changes)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if why := rigs.lacking():
        pytest.skip(why)
    if not registries.available():
        pytest.skip("docker-registry is not installed")
    with rigs.Rig(["bld1", "bld2"]) as rig, SaltCloud(rig) as cloud:
        prepare(cloud)
        registry = Registry(rig.base / "registry", f"{rig.master_address}:5443")
        site = Site(cloud, registry)
        site.pillar()
        registry.start()
        try:
            cloud.start(images=[])
            for image in SHIPPED:
                site.edit(image)
            make_distro(site)
            yield site
        finally:
            registry.stop()


def test_each_image_is_made_by_one_builder_and_none_of_the_builds_own_is_pushed(site: Site) -> None:
    mark = site.cloud.events.mark()
    for branch in BRANCHES:
        site.edit(branch, wait=WAIT)
    process = site.cloud.popen("openstack.build")
    let_go(site.one, site.two)
    code, text = site.end(process)
    assert code == 0, text
    makers = site.makers(mark)
    assert sorted(image for image, _ in makers if image in SHIPPED) == sorted(SHIPPED)
    assert {builder for image, builder in makers if image in BRANCHES} == {"bld1", "bld2"}
    assert [each for each in makers if each[0] == "tool"] == [("tool", "bld1"), ("tool", "bld2")]
    assert site.catalog() == {"base"}, "what another builder continues, and no more"
    assert site.id(site.one, "base") == site.id(site.two, "base") is not None
    ids = site.ids("base", "tool", "left", "right")
    again = site.cloud.verb("build", "push=True")
    assert (again["counts"]["unchanged"], again["counts"]["built"]) == (5, 0)
    assert site.catalog() == SHIPPED
    assert site.ids("base", "tool", "left", "right") == ids
    assert all(site.digest(image) for image in SHIPPED)


def test_a_wrong_password_or_no_registry_leaves_what_was_built(site: Site) -> None:
    site.edit("left")
    site.pillar(password="something-else", builder="bld1")
    code, text = site.said("build", "push=True")
    assert code == 1, text
    assert " built, " in text
    assert text.count("✗ not pushed") == 1, text
    assert "the registry refuses the user name or password" in text
    assert "something-else" not in text
    built = site.id(site.one, "left")
    assert site.digest("left") is None
    site.registry.stop()
    try:
        code, text = site.said("build", "push=True", "names=left")
    finally:
        site.registry.start()
    assert code == 1
    assert "the registry does not answer" in text
    site.pillar(builder="bld1")
    mark = site.cloud.events.mark()
    pushed = site.cloud.verb("build", "push=True", "names=left")
    sent = {entry["image"]: entry["push"]["layers_pushed"] for entry in pushed["images"] if "push" in entry}
    assert sent["left"] > 0
    assert site.digest("left")
    again = site.cloud.verb("build", "push=True", "names=left")
    assert {entry["push"]["layers_pushed"] for entry in again["images"] if "push" in entry} == {0}
    assert site.makers(mark) == []
    assert site.id(site.one, "left") == built


def test_a_verb_that_is_killed_leaves_a_job_that_ends_and_is_not_repeated(site: Site) -> None:
    site.pillar(builder="bld1", parallel=2)
    former = site.id(site.one, "left")
    site.edit("left", wait=WAIT)
    site.edit("right")
    mark = site.cloud.events.mark()
    process = site.cloud.popen("openstack.build")
    site.cloud.events.wait("openstack/build/right/end", since=mark)
    bench.until(lambda: waits(site.one), "left waits")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert site.id(site.one, "left") == former
    right = site.id(site.one, "right")
    mark = site.cloud.events.mark()
    process = site.cloud.popen("openstack.build", "--out=json")
    site.job("left", mark)  # it waits for the lock of the one that still runs
    let_go(site.one)
    code, text = site.end(process)
    assert code == 0, text
    found = {entry["image"]: entry for entry in json.loads(text)["images"]}
    assert found["right"]["result"] == "unchanged"
    assert site.makers(mark) == [("left", "bld1")]
    assert site.id(site.one, "left") == found["left"]["id"] != former
    assert site.id(site.one, "right") == right
    assert not waits(site.one)


def test_a_job_that_is_killed_fails_its_image_and_the_next_build_goes_on(site: Site) -> None:
    site.pillar(builder="bld1", parallel=2)
    former = site.id(site.one, "left")
    site.edit("left", wait=WAIT)
    mark = site.cloud.events.mark()
    process = site.cloud.popen("openstack.build")
    bench.until(lambda: waits(site.one), "left waits")
    site.cloud.local("bld1", "saltutil.kill_job", site.job("left", mark))
    code, text = site.end(process)
    assert code == 1, text
    assert "its job ended without an answer" in text
    bench.until(lambda: not waits(site.one), "the engine ends a build that nobody reads")
    assert site.id(site.one, "left") == former
    process = site.cloud.popen("openstack.build")
    let_go(site.one)
    assert site.end(process)[0] == 0
    assert site.id(site.one, "left") not in (None, former)
    assert site.one.engine().containers.list(all=True) == []


def test_a_builder_that_does_not_answer_takes_no_part(site: Site) -> None:
    site.pillar()
    site.edit("right")
    former = site.id(site.one, "right")
    site.two.freeze()
    try:
        listing = site.cloud.popen("openstack.images", "--out=json")
        code, text = site.said("build")
        shown = json.loads(site.end(listing)[1])
    finally:
        site.two.thaw()
    assert code == 0, text
    assert "bld2 does not answer; it took no part" in text
    assert site.id(site.one, "right") not in (None, former)
    assert ([each["builder"] for each in shown["away"]], shown["builder"]) == (["bld2"], "bld1")


def test_a_builder_that_dies_fails_what_it_was_making_and_no_more(site: Site) -> None:
    site.pillar()
    former = {image: site.id(site.one, image) for image in BRANCHES}
    for branch in BRANCHES:
        site.edit(branch, wait=WAIT)
    process = site.cloud.popen("openstack.build", "push=True", "--out=json")
    for host in (site.one, site.two):
        bench.until(lambda host=host: waits(host), f"a step waits on {host.name}")  # type: ignore[misc]
    site.two.power_cut()
    let_go(site.one)
    code, text = site.end(process)
    assert code == 1, text
    found = {entry["image"]: entry for entry in json.loads(text)["images"]}
    (lost,) = [found[branch] for branch in BRANCHES if found[branch]["result"] == "failed"]
    (kept,) = BRANCHES - {lost["image"]}
    assert lost["error"] == "bld2 does not answer"
    assert found[kept]["push"]["digest"] == site.digest(kept)
    assert site.id(site.one, lost["image"]) == former[lost["image"]]
    process = site.cloud.popen("openstack.build", f"names={lost['image']}")
    let_go(site.one)
    code, text = site.end(process)
    assert code == 0, text
    assert "bld2 does not answer; it took no part" in text
