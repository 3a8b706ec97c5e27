"""The distribution's image from a registry, by name and digest: what becomes of it, and that nothing else is taken."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import registry

from saltern.host.build_refresh import packages_of
from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.options import Options
from saltern.images.run import build_all
from saltern.images.tree import DISTRO

from . import bench

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ADDRESS = "127.0.0.82:5000"  # of the loopback network: an engine needs no certificate for it
APP = "FROM {{ image('distro') }}\nCOPY hello /hello\nUSER kolla\n"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(timeout=600) as engine:
        yield engine


@pytest.fixture
def base(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """Debian in a registry, and in no engine: its name with digest."""
    source = Options().reference(DISTRO)
    if engine.inspect_image(source) is None:
        bench.cannot(f"{source} is not built here")
    if not registry.available():
        bench.cannot("docker-registry is not installed")
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\nhttp: {{addr: {ADDRESS}}}\n"
    )
    with subprocess.Popen([registry.PROGRAM, "serve", config], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while not answers():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            yield pushed(engine, source)
        finally:
            process.terminate()


def answers() -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://{ADDRESS}/v2/", timeout=5).status == 200)
    except (urllib.error.URLError, OSError):
        return False


def pushed(engine: Engine, source: str) -> str:
    name = f"{ADDRESS}/debian"
    engine.api.tag(source, name, "1")
    lines = [json.loads(line) for line in engine.api.push(name, "1", stream=True) for line in line.splitlines()]
    engine.api.remove_image(f"{name}:1")
    (digest,) = [line["aux"]["Digest"] for line in lines if "Digest" in line.get("aux", {})]
    return f"{name}@{digest}"


def test_a_base_by_digest_becomes_the_distribution(engine: Engine, base: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for path, text in {"app/Dockerfile.j2": APP, "app/hello": "hello\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    options = Options(namespace=f"d-test-{uuid.uuid4().hex[:8]}", base=base)
    builder = LocalBuilder(engine, suite=options.suite, root=tmp_path)
    try:
        for expected in ("built", "unchanged"):
            made = build_all(builder, folder, options, state=tmp_path / "state")
            assert {entry["image"]: entry["result"] for entry in made["images"]} == dict.fromkeys(
                ("distro", "app"), expected
            )
        taken = options.reference(DISTRO)
        layers = engine.inspect_image(Options().reference(DISTRO))["RootFS"]["Layers"]  # type: ignore[index]
        assert engine.inspect_image(taken)["RootFS"]["Layers"][: len(layers)] == layers  # type: ignore[index]
        assert packages_of(engine, DISTRO, taken)["libc6"]
    finally:
        for name in ("app", DISTRO):
            if engine.inspect_image(options.reference(name)):
                engine.api.remove_image(options.reference(name), force=True)
        if engine.inspect_image(base):
            engine.api.remove_image(base, force=True)
