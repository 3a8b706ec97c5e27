"""``salt-run openstack.build`` through a real master and a real minion that fetches its contexts from the saltenv."""

from __future__ import annotations

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from saltfactories.manager import FactoriesManager

from saltern.host import build as host_build
from saltern.host.engine import Engine
from saltern.images.options import options_from
from saltern.images.tree import DISTRO, load

from . import bench, tiny

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = "FROM {{ image('distro') }}\nCOPY hello /hello\nRUN cat /hello\n"


@pytest.fixture(scope="module")
def factories(
    event_listener: Any, stats_processes: Any, _salt_factories_config: dict[str, Any]
) -> Iterator[FactoriesManager]:
    # a manager of its own: the session's one belongs to whoever asked for it first, with that one's directory
    root = pathlib.Path(tempfile.mkdtemp(prefix="saltern-img-"))  # short: it holds sockets
    config = {**_salt_factories_config, "root_dir": str(root / "salt"), "slow_stop": False}
    yield FactoriesManager(event_listener=event_listener, stats_processes=stats_processes, **config)
    shutil.rmtree(root, ignore_errors=True)


@dataclass
class Site:
    """A checkout with one tiny image, and a master that builds it on its minion."""

    root: pathlib.Path
    config: pathlib.Path
    namespace: str

    def image(self, text: str) -> None:
        (self.root / "checkout/images/app/hello").write_text(text)

    def start(self, *arguments: str, verb: str = "build") -> subprocess.Popen[str]:
        """A verb in the background."""
        script = pathlib.Path(sys.executable).with_name("salt-run")
        return subprocess.Popen(
            [sys.executable, str(script), "-c", str(self.config), f"openstack.{verb}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, verb: str = "build") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, verb=verb)
        out, err = process.communicate(timeout=180)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def make_checkout(root: pathlib.Path, namespace: str) -> None:
    folder = root / "checkout/images/app"
    folder.mkdir(parents=True)
    (folder / "Dockerfile.j2").write_text(DOCKERFILE)
    (folder / "hello").write_text("hello\n")
    shutil.copytree(folder, folder.with_name("two"))  # both at once, in two threads
    (root / "pillar/openstack").mkdir(parents=True)
    pillar = {
        "openstack": {
            "hosts": {"b1": {"address": "127.0.0.1", "roles": ["builder"]}},
            "images": {"namespace": namespace, "mirrors": {"apt": "http://mirror.invalid/debian"}},
        }
    }
    (root / "pillar/openstack/init.sls").write_text(json.dumps(pillar))


def make_distro(root: pathlib.Path, engine: Engine, namespace: str) -> None:
    """A busybox in the place of the distribution, with the label that makes it up to date."""
    tree = load(root / "checkout/images", options_from({"images": {"namespace": namespace}}))
    image = tree.images[DISTRO]
    changes = [f"LABEL {name}={value}" for name, value in host_build.labels(DISTRO, image.inputs, None).items()]
    tiny.load(engine.api, image.reference, changes=changes)


@pytest.fixture(scope="module")
def site(factories: FactoriesManager) -> Iterator[Site]:
    root = pathlib.Path(factories.root_dir).parent
    namespace = f"d-test-{uuid.uuid4().hex[:8]}"
    make_checkout(root, namespace)
    common = {
        "module_dirs": [str(CHECKOUT / "salt")],
        "fileserver_list_cache_time": 0,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "log_level_logfile": "warning",
    }
    master = factories.salt_master_daemon(
        "imgmaster",
        overrides={
            **common,
            "interface": "127.0.0.1",
            "worker_threads": 3,
            "file_roots": {"base": [], "saltern_build": [str(root / "state/build-contexts")]},
            "pillar_roots": {"base": [str(root / "pillar")]},
            "saltern_checkout": str(root / "checkout"),
            "saltern_state_dir": str(root / "state"),
        },
    )
    with Engine() as engine:
        make_distro(root, engine, namespace)
        with master.started():
            minion = master.salt_minion_daemon("b1", overrides={**common, "saltern_root": str(root / "host")})
            with minion.started():
                yield Site(root, pathlib.Path(master.config_dir), namespace)
        for image in engine.images():
            for tag in image.get("RepoTags") or ():
                if tag.startswith(f"{namespace}/"):
                    engine.api.remove_image(tag, force=True)


def test_built_then_left_alone_then_failing(site: Site) -> None:
    first = site.run()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 images to build, 2 at once" in first.stderr
    assert "● app" in first.stderr, "the builder's events reach the terminal"
    assert "2 built, 1 unchanged" in first.stdout
    again = site.run("--out=json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["counts"]["unchanged"] == 3
    site.image("other\n")
    (site.root / "checkout/images/app/Dockerfile.j2").write_text(DOCKERFILE + "RUN echo broken thing >&2 && exit 3\n")
    failed = site.run()
    assert failed.returncode == 1
    assert "✗ app: broken thing" in failed.stdout
    assert "salt-run openstack.build names=app" in failed.stdout
    with Engine() as engine:
        assert engine.inspect_image(f"{site.namespace}/app:2025.2") is not None


def test_the_overview_says_what_a_build_would_do(site: Site) -> None:
    (site.root / "checkout/images/app/Dockerfile.j2").write_text(DOCKERFILE)
    site.image("hello\n")
    assert site.run("names=app,two").returncode == 0
    site.image("edited\n")
    shown = site.run("--out=json", verb="images")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    data = json.loads(shown.stdout)
    states = {entry["image"]: (entry["state"], entry["reason"]) for entry in data["images"]}
    assert states == {"distro": ("fresh", ""), "app": ("stale", "hello changed"), "two": ("fresh", "")}
    assert "◐ stale: hello changed (app)" in site.run(verb="images").stdout
    assert site.run("names=nosuch", verb="images").returncode == 2
    site.image("hello\n")


def test_an_interrupt_ends_the_build_on_the_builder(site: Site) -> None:
    dockerfile = site.root / "checkout/images/two/Dockerfile.j2"
    dockerfile.write_text(DOCKERFILE + "RUN sleep 600\n")
    with site.start("names=two") as process, Engine() as engine:
        bench.until(lambda: sleeping(engine), "the build sleeps")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        bench.until(lambda: not sleeping(engine), "the build is gone")
    assert process.returncode == 1
    assert "interrupted; the builds on b1 are ended" in out


def sleeping(engine: Engine) -> bool:
    """Whether a step of a build of ours runs."""
    running = [container for container in engine.containers() if container["State"] == "running"]
    return any("sleep 600" in str(container["Command"]) for container in running)


def test_a_mistake_is_a_sentence(site: Site) -> None:
    wrong = site.run("names=apq")
    assert wrong.returncode == 2
    assert "there is no image 'apq'" in wrong.stdout
    assert "Did you mean app?" in wrong.stdout
    assert "Traceback" not in wrong.stdout + wrong.stderr


def test_only_render(site: Site) -> None:
    rendered = site.run("only_render=True", "names=app")
    assert rendered.returncode == 0
    assert f"FROM {site.namespace}/distro:2025.2" in (site.root / "state/rendered/app/Dockerfile").read_text()


def test_a_full_disk_is_a_sentence_and_the_former_image_stays(site: Site) -> None:
    dockerfile = site.root / "checkout/images/app/Dockerfile.j2"
    dockerfile.write_text(DOCKERFILE + "RUN echo much > /dev/full\n")
    with Engine() as engine:
        former = engine.inspect_image(f"{site.namespace}/app:2025.2")
        full = site.run("names=app")
        assert full.returncode == 1
        assert "✗ app: the disk of b1 is full" in full.stdout
        assert "Free space on b1" in full.stdout
        assert engine.inspect_image(f"{site.namespace}/app:2025.2") == former
    report = json.loads(max((site.root / "state/builds").glob("*.json")).read_text())
    assert next(entry["error"] for entry in report["images"] if entry["result"] == "failed") == "the disk of b1 is full"


def test_dependencies_and_a_registry_that_is_not_there(site: Site) -> None:
    shown = site.run("list_dependencies=True", "names=^app$")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[:2] == ["distro *", "└ app"]
    refused = site.run("push=True")
    assert refused.returncode == 2
    assert "there is no registry to push to" in refused.stdout
