"""Images to hosts: a real registry with TLS and a password, bundles, and what is left over removed again.

A master and two minions with engines of their own: ``bld1`` has the images that are built, ``ctl1`` needs them.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from rig import registry as registries
from rig import rig as rigs
from rig.cloud import SaltCloud
from rig.registry import PASSWORD, USER, Registry

from saltern.host.build import labels
from saltern.images.options import options_from
from saltern.images.tree import load

from . import tiny

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]

IMAGES = ("alpha", "beta", "gamma")


class Site:
    """The cloud, the registry that it uses, and what its pillar says."""

    def __init__(self, cloud: SaltCloud, registry: Registry) -> None:
        self.cloud, self.registry = cloud, registry
        self.builder, self.host = cloud.rig["bld1"], cloud.rig["ctl1"]

    def pillar(self, *, password: str = PASSWORD, **images: Any) -> None:
        one, two = self.cloud.rig.hosts
        given = {
            "registry": self.registry.address,
            "registry_username": USER,
            "registry_ca": self.registry.ca,
            **images,
        }
        tree = {
            "hosts": {
                one.name: {"address": one.address, "roles": ["builder", "database"]},
                two.name: {"address": two.address, "roles": ["control"]},
            },
            "images": {key: value for key, value in given.items() if value is not None},
            "secrets": {"registry_password": password},
        }
        self.cloud.write_pillar("init.sls", {"openstack": tree})

    def reference(self, name: str, tag: str = "2025.2") -> str:
        return f"{self.registry.address}/saltern/{name}:{tag}"

    def forget(self, *names: str) -> None:
        """Remove images from the host that needs them."""
        for name in names or IMAGES:
            for reference in (self.reference(name), f"saltern/{name}:2025.2"):
                if self.id(self.host, reference):
                    self.host.engine().images.remove(reference, force=True)

    def id(self, host: rigs.Host, reference: str) -> str | None:
        try:
            return str(host.engine().images.get(reference).id)
        except docker.errors.ImageNotFound:
            return None

    def said(self, verb: str, *arguments: str) -> tuple[int, str]:
        """Exit code, and what an operator sees."""
        done = self.cloud.run(f"openstack.{verb}", *arguments)
        assert "Traceback" not in done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.returncode, done.stdout

    def ask(self, host: rigs.Host, function: str, *args: Any, **kwargs: Any) -> Any:
        return self.cloud.local(host.name, function, *args, **kwargs)[host.name]


def prepare(cloud: SaltCloud) -> None:
    """One service with three containers instead of OpenStack's; a folder for each image."""
    services, images = cloud.checkout / "states/openstack/services", cloud.checkout / "images"
    for folder in (*services.iterdir(), *(path for path in images.iterdir() if (path / "Dockerfile.j2").exists())):
        shutil.rmtree(folder) if folder.is_dir() else None
    containers = {
        name: {"image": name, "runs_on": "database" if name == "gamma" else "control", "user": "root", "process": "x"}
        for name in IMAGES
    }
    (services / "plain").mkdir()
    service = {"name": "plain", "title": "Nothing at all", "containers": containers}
    (services / "plain/service.yaml").write_text(yaml.safe_dump(service), encoding="utf-8")
    for name in IMAGES:
        (images / name).mkdir()
        text = f"FROM {{{{ image('distro') }}}}\nLABEL what={name}\nUSER 1\n"
        (images / name / "Dockerfile.j2").write_text(text, encoding="utf-8")


def make(site: Site, reference: str, name: str, content: str = "") -> str:
    """An image on the builder as a build would label it."""
    tree = load(site.cloud.checkout / "images", options_from({"images": {"registry": site.registry.address}}))
    changes = [f"LABEL {key}={value}" for key, value in labels(name, tree.images[name].inputs, None).items()]
    api = site.builder.engine().api
    repository, _, tag = reference.rpartition(":")
    api.import_image_from_data(
        tiny.archive({f"/{name}": content or name}), repository=repository, tag=tag, changes=changes
    )
    return str(api.inspect_image(reference)["Id"])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if not registries.available():
        pytest.skip("docker-registry is not installed")
    with rigs.Rig(["bld1", "ctl1"]) as rig, SaltCloud(rig) as cloud:
        prepare(cloud)
        registry = Registry(rig.base / "registry", f"{rig.master_address}:5443")
        site = Site(cloud, registry)
        site.pillar()
        registry.start()
        try:
            cloud.start(images=[])
            for name in IMAGES:
                make(site, site.reference(name), name)
            yield site
        finally:
            registry.stop()


@pytest.fixture
def pushed(site: Site) -> Site:
    """All images are in the registry, none is on the host, the pillar is right."""
    site.pillar()
    references = [site.reference(name) for name in IMAGES]
    answer = site.ask(site.builder, "openstack_image.push", references, model=site.cloud.plan()["digest"])
    assert set(answer) == set(references), answer
    site.forget()
    return site


def test_push_then_pull_brings_the_very_same_images(pushed: Site) -> None:
    site, mark = pushed, pushed.cloud.events.mark()
    digest = site.cloud.plan()["digest"]
    again = site.ask(site.builder, "openstack_image.push", [site.reference("alpha")], model=digest)
    assert again[site.reference("alpha")]["layers_pushed"] == 0
    assert again[site.reference("alpha")]["digest"].startswith("sha256:")
    code, text = site.said("pull")
    assert code == 0, text
    assert "2 pulled" in text
    for name in ("alpha", "beta"):
        assert site.id(site.host, site.reference(name)) == site.id(site.builder, site.reference(name))
    assert site.id(site.host, site.reference("gamma")) is None, "this host does not need it"
    digests = site.host.engine().images.get(site.reference("alpha")).attrs["RepoDigests"]
    assert digests == [f"{site.registry.address}/saltern/alpha@{again[site.reference('alpha')]['digest']}"]
    reports = site.cloud.events.seen("openstack/pull/ctl1", since=mark)
    assert reports[-1].data["finished"] == reports[-1].data["of"] == 2
    assert PASSWORD not in json.dumps([[e.tag, e.data] for e in site.cloud.events.seen(since=mark)], default=str)


def test_what_is_there_costs_one_list(pushed: Site) -> None:
    site = pushed
    assert site.said("pull")[0] == 0
    site.cloud.clear_calls()
    code, text = site.said("pull")
    assert code == 0
    assert text.startswith("2 hosts: all images of 2025.2 are there")
    calls = [f"{call.method} {call.path}" for call in site.cloud.deploys["ctl1"].calls()]
    assert len([call for call in calls if "/images/json" in call]) == 1
    assert not [call for call in calls if "/images/create" in call]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"password": "something-else"}, "the registry refuses the user name or password"),
        ({"registry_ca": "other"}, "the registry's certificate is not trusted"),
    ],
)
def test_a_wrong_password_or_authority_is_told_at_once(pushed: Site, wrong: dict[str, str], words: str) -> None:
    site = pushed
    if "registry_ca" in wrong:
        wrong = {"registry_ca": registries.make_certificate(site.registry.folder, "other", "192.0.2.1")}
    site.pillar(**wrong)
    code, text = site.said("pull", "hosts=ctl1")
    assert code == 1, text
    assert words in text
    assert "something-else" not in text
    assert text.count("✗ ctl1: ") == 1, "one cause, told once"
    assert site.id(site.host, site.reference("alpha")) is None
    site.pillar()
    assert site.said("pull", "hosts=ctl1")[0] == 0


def test_an_image_that_was_never_pushed(pushed: Site) -> None:
    code, text = pushed.said("pull", "release=2026.1", "hosts=ctl1")
    assert code == 1
    assert "the registry does not have it" in text
    assert "salt-run openstack.build push=True" in text


def test_a_registry_that_is_away(pushed: Site) -> None:
    site = pushed
    site.registry.stop()
    try:
        code, text = site.said("pull", "hosts=ctl1")
    finally:
        site.registry.start()
    assert code == 1
    assert "the registry does not answer" in text
    assert site.said("pull", "hosts=ctl1")[0] == 0


def test_an_interrupt_ends_the_pull(pushed: Site) -> None:
    site, record = pushed, pushed.cloud.state / "images.json"
    references = [site.reference(name) for name in IMAGES]
    digests = site.ask(site.builder, "openstack_image.resolve", references, model=site.cloud.plan()["digest"])
    record.write_text(json.dumps({"packages": {}, "builds": {name: {"digest": digests[name]} for name in references}}))
    mark = site.cloud.events.mark()
    site.registry.freeze()
    try:
        process = site.cloud.popen("openstack.pull", "hosts=ctl1")
        fetching = lambda data: data.get("fun") == "openstack_image.fetch"  # noqa: E731
        site.cloud.events.wait("salt/job/*/new", since=mark, where=fetching)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        site.registry.thaw()
        record.unlink()
    assert process.returncode == 1, out + err
    assert "interrupted; the hosts stop" in out
    assert "Traceback" not in out + err
    assert site.said("pull", "hosts=ctl1")[0] == 0


def test_mistakes_are_sentences(site: Site) -> None:
    site.pillar()
    code, text = site.said("pull", "hosts=ctl9")
    assert (code, "no host ctl9" in text) == (2, True)
    site.pillar(registry=None, registry_username=None, registry_ca=None)
    code, text = site.said("pull")
    assert (code, "no registry is configured" in text) == (2, True)
    site.pillar(registry_username=USER, password="abc")
    assert site.said("pull")[0] == 2


def test_a_bundle_brings_images_and_a_flipped_byte_is_refused(site: Site) -> None:
    site.pillar()
    site.forget()
    folder = site.cloud.rig.shared / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    made = site.cloud.verb("images_export", f"path={folder}")
    assert made["here"] is True, "the rig's hosts see this directory"
    assert {each["image"] for each in made["images"]} == set(IMAGES)
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "images.tar", "manifest.json"]
    flip(folder / "images.tar")
    code, text = site.said("images_import", f"path={folder}")
    assert code == 2
    assert "images.tar: is not what was exported" in text
    assert site.id(site.host, site.reference("alpha")) is None
    flip(folder / "images.tar")
    code, text = site.said("images_import", f"path={folder}")
    assert code == 0, text
    assert "2 loaded" in text
    for name in ("alpha", "beta"):
        assert site.id(site.host, site.reference(name)) == site.id(site.builder, site.reference(name))
    assert site.id(site.host, site.reference("gamma")) is None, "this host does not need it"
    assert not list((site.cloud.state / "bundles-served").iterdir())
    assert not list((site.host.base / "srv").rglob("*images.tar")), "the fetched copy is gone"
    assert site.said("images_import", f"path={folder}")[1].startswith("2 hosts: all images of 2025.2 are there")


def test_a_bundle_for_a_cloud_that_names_its_images_otherwise(site: Site) -> None:
    site.pillar()
    site.forget()
    folder = site.cloud.rig.shared / "bundle-alpha"
    shutil.rmtree(folder, ignore_errors=True)
    expected = site.id(site.builder, site.reference("alpha"))
    site.cloud.verb("images_export", "names=alpha", f"path={folder}", "compress=True")
    site.pillar(registry=None, registry_username=None, registry_ca=None)
    try:
        site.cloud.verb("images_import", f"path={folder}", "hosts=ctl1")
        assert site.id(site.host, "saltern/alpha:2025.2") == expected
        assert site.id(site.host, site.reference("alpha")) is None, "the other cloud's name is of no use here"
        record = json.loads((site.cloud.state / "images.json").read_text())
        assert record["builds"]["saltern/alpha:2025.2"]["id"] == expected
    finally:
        site.pillar()


def test_a_builder_elsewhere_keeps_the_bundle_and_says_so(site: Site, tmp_path: Path) -> None:
    site.pillar()
    made = site.cloud.verb("images_export", "names=alpha", f"path={tmp_path}/there")
    assert made["here"] is False, "a host of the rig has a /tmp of its own"
    assert made["folder"] == "/var/lib/saltern/bundles/there"
    assert f"scp -r bld1:{made['folder']}" in made["next"]
    assert (site.builder.state / "bundles/there/SHA256SUMS").exists()
    assert (site.builder.state / "bundles").stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def flip(path: Path) -> None:
    """Change one bit in the middle; twice changes nothing."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_prune_keeps_what_a_host_needs_or_can_go_back_to(pushed: Site) -> None:
    site = pushed
    assert site.said("pull")[0] == 0
    api = site.host.engine().api
    ids = {}
    for name in ("stopped", "committed", "old", "nameless", "foreign", "unlabelled"):
        ids[name] = leftover(site, api, name)
    container = api.create_container(ids["stopped"], ["x"])["Id"]
    untag(api, site.reference("stopped", "old"))  # only the container has it
    desired = site.host.state / "desired"
    desired.mkdir(parents=True, exist_ok=True)
    (desired / "alpha.json").write_text(json.dumps({"image_id": ids["committed"], "spec": {"image": "x"}}))
    try:
        code, text = site.said("images_prune", "hosts=ctl1")
        assert code == 0
        assert "2 images would go" in text, text
        assert "saltern/old:old" in text
        assert all(site.id(site.host, image) for image in ids.values())
        code, text = site.said("images_prune", "hosts=ctl1", "yes=True", "keep=old")
        assert "1 image removed" in text, text
        removed = site.cloud.verb("images_prune", "hosts=ctl1", "yes=True")
        assert removed["hosts"]["ctl1"]["freed"] > 0
        gone = {name for name, image in ids.items() if site.id(site.host, image) is None}
        assert gone == {"old", "nameless"}
        assert site.id(site.host, site.reference("alpha"))
        assert "Nothing to remove" in site.said("images_prune", "hosts=ctl1")[1]
    finally:
        (desired / "alpha.json").unlink()
        api.remove_container(container, force=True)
        for image in ids.values():
            if site.id(site.host, image):
                api.remove_image(image, force=True)


def leftover(site: Site, api: Any, name: str) -> str:
    """An image on the host that the model does not name."""
    repository, tag = site.reference(name, "old").rsplit(":", 1)
    repository = f"somebody/{name}" if name == "foreign" else repository
    changes = [] if name == "unlabelled" else [f"LABEL saltern.image={name}"]
    api.import_image_from_data(tiny.archive({f"/{name}": name * 100}), repository=repository, tag=tag, changes=changes)
    image = str(api.inspect_image(f"{repository}:{tag}")["Id"])
    if name == "nameless":
        untag(api, f"{repository}:{tag}")
    return image


def untag(api: Any, reference: str) -> None:
    """Take its name from an image without removing it."""
    repository, tag = reference.rsplit(":", 1)
    api.import_image_from_data(b"\0" * 1024, repository=repository, tag=tag)
    api.remove_image(reference)


def test_prune_waits_for_nobody_who_makes_images(site: Site) -> None:
    site.pillar()
    lock = site.host.state / "locks/images.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        code, text = site.said("images_prune", "hosts=ctl1", "yes=True")
    assert code == 1
    assert "images are being built, pulled or loaded here" in text
