"""A build that is killed half-way: no broken tag, and the next one goes on where it was. On an engine of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig.rig import CHECKOUT, Host, Rig, lacking

from saltern.host import build as host_build
from saltern.host.build_settings import Settings
from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.options import Options
from saltern.images.run import Clock, build_all

from . import bench, tiny

pytestmark = [pytest.mark.engine, pytest.mark.rig, pytest.mark.slow]

PORT = 9999  # a step waits there until somebody connects
FILES = {
    "base/Dockerfile.j2": "FROM {{ image('distro') }}\nCOPY hello /hello\n",
    "base/hello": "hello\n",
    "app/Dockerfile.j2": (
        "FROM {{ image('base') }} AS stage\nLABEL saltern.stage={{ reference }}\n"
        "RUN cat /proc/sys/kernel/random/uuid > /first\nCOPY word /word\n"
        f"RUN nc -l -p {PORT}\n"
        "FROM {{ image('base') }}\nCOPY --from=stage /first /word /\nUSER 42400\n"
    ),
    "app/word": "one\n",
}


class Local(LocalBuilder):
    """Its distribution is a busybox, its settings are none."""

    def __init__(self, url: str, root: Path) -> None:
        super().__init__(Engine(url), suite="trixie", root=root)
        self._settings = Settings({"etc/none": b""}, [], {}, [])

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        changes = [f"LABEL {name}={value}" for name, value in request["labels"].items()]
        image_id = tiny.load(self.engine.api, request["reference"], changes=changes)
        return {"id": image_id, "seconds": 0.1, "size": 1}


class Place:
    """A folder of images and the engine of a test host."""

    def __init__(self, host: Host, root: Path, namespace: str) -> None:
        self.host, self.root, self.folder = host, root, root / "images"
        self.options = Options(release="1", namespace=namespace, network="host")
        # inputs of its own: equal ones of another test would only be given a further name
        for path, text in {**FILES, "base/hello": namespace}.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    def build(self, clock: Clock | None = None) -> dict[str, str]:
        builder = Local(self.host.engine_url, self.root)
        data = build_all(builder, self.folder, self.options, state=self.root / "state", clock=clock)
        return {entry["image"]: entry["result"] for entry in data["images"]}

    def waits(self) -> bool:
        """Whether the step that waits runs."""
        answer = self.host.run("ss", "-Hltn", "sport", "=", f":{PORT}", check=False)
        return bool(answer.stdout.strip())

    def let_go(self) -> None:
        """End the step that waits."""
        bench.until(self.waits, "the step waits")
        self.host.run("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}")

    def read(self, image: str, path: str) -> str:
        return self.host.run("docker", "run", "--rm", image, "cat", path).stdout.strip()

    def stages(self) -> list[str]:
        """What steps of app have left, newest first."""
        label = f"label={host_build.LABEL_STAGE}={self.options.reference('app')}"
        return self.host.run("docker", "images", "-q", "--filter", "dangling=true", "--filter", label).stdout.split()

    def containers(self) -> list[str]:
        return self.host.run("docker", "ps", "-aq").stdout.split()

    def tagged(self) -> str | None:
        with Engine(self.host.engine_url) as engine:
            found = engine.inspect_image(self.options.reference("app"))
        return str(found["Id"]) if found else None


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    if why := lacking():
        pytest.skip(why)
    with Rig(["kill1"]) as rig:
        rig.boot()
        yield rig["kill1"]


@pytest.fixture
def place(host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(host, tmp_path, f"killed-{request.node.name.rpartition('_')[2]}")


def first_build(place: Place) -> str:
    """A whole build, and an edit after it: the former image is there and another is wanted."""
    worker = threading.Thread(target=place.build)
    worker.start()
    place.let_go()
    worker.join(60)
    former = place.tagged()
    assert former
    (place.folder / "app/word").write_text("two\n")
    return former


def test_an_engine_that_is_killed_goes_on_with_what_it_had(place: Place) -> None:
    former = first_build(place)
    results: list[dict[str, str]] = []
    clock = Clock(sleep=lambda seconds: place.host.wait())
    worker = threading.Thread(target=lambda: results.append(place.build(clock)))
    worker.start()
    bench.until(place.waits, "the step waits")
    first = place.read(place.stages()[0], "/first")
    place.host.run("bash", "-c", "kill -9 $(cat /run/service.dockerd.pid)")
    bench.until(lambda: not place.waits(), "the killed engine's step is gone")
    assert place.tagged() == former
    place.let_go()
    worker.join(60)
    assert results == [{"distro": "unchanged", "base": "unchanged", "app": "built"}]
    assert place.read(place.options.reference("app"), "/word") == "two"
    assert place.read(place.options.reference("app"), "/first") == first, "the finished step was not repeated"
    assert place.stages() == []
    assert place.containers() == []


def test_a_caller_that_is_killed_leaves_the_former_image_and_its_steps(place: Place) -> None:
    former = first_build(place)
    code = (
        "import sys, pathlib; from functional.test_images_killed import *\n"
        "class H: engine_url = sys.argv[1]\n"
        "p = Place(H, pathlib.Path(sys.argv[2]), sys.argv[3])\n"
        "(p.folder / 'app/word').write_text('two\\n')\np.build()\n"
    )
    paths = os.pathsep.join([str(CHECKOUT / "tests"), str(CHECKOUT / "salt/_utils")])
    arguments = [sys.executable, "-c", code, place.host.engine_url, str(place.root), place.options.namespace]
    with subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": paths}) as caller:
        bench.until(place.waits, "the step waits")
        first = place.read(place.stages()[0], "/first")
        caller.send_signal(signal.SIGKILL)
    bench.until(lambda: not place.waits(), "the engine ends a build that nobody reads")
    assert place.tagged() == former
    worker = threading.Thread(target=place.build)
    worker.start()
    place.let_go()
    worker.join(60)
    assert place.tagged() not in (None, former)
    assert place.read(place.options.reference("app"), "/first") == first, "the finished step was not repeated"
    assert place.stages() == []
    assert place.containers() == []


def test_what_was_finished_meanwhile_is_not_built_again(place: Place) -> None:
    first_build(place)
    worker = threading.Thread(target=place.build)
    worker.start()
    bench.until(place.waits, "the step waits")
    second: list[dict[str, str]] = []  # decided while the first build still ran; waits for its lock
    other = threading.Thread(target=lambda: second.append(place.build()))
    other.start()
    place.let_go()
    worker.join(60)
    image = place.tagged()
    other.join(60)
    assert second[0]["app"] in ("built", "unchanged")
    assert place.tagged() == image
    assert not place.waits()
