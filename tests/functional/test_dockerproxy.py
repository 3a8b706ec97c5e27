"""The proxy counts every request once and disturbs none: bodies, kept connections, half-closed exec streams."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from rig import tinyimage
from rig.dockerproxy import DockerProxy
from rig.rig import ENGINE_URL

from saltern.host.engine import Engine

pytestmark = pytest.mark.engine
IMAGE = "g-test/proxy:1"
NAME = "g-test-proxy"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[DockerProxy]:
    proxy = DockerProxy(tmp_path / "docker.sock", Path(ENGINE_URL.removeprefix("unix://")))
    yield proxy
    proxy.close()


@pytest.fixture
def image() -> Iterator[str]:
    engine = docker.DockerClient(base_url=ENGINE_URL, version="1.41")
    tinyimage.make(engine, IMAGE)
    yield IMAGE
    for container in engine.containers.list(all=True, filters={"name": NAME}):
        container.remove(force=True)
    engine.images.remove(IMAGE, force=True)


def test_every_call_is_counted_once(proxy: DockerProxy, image: str) -> None:
    engine = Engine(f"unix://{proxy.address}")
    engine.containers("no-such-cloud")
    engine.images()
    assert [(call.method, call.path, call.kind) for call in proxy.calls()] == [
        ("GET", "/containers/json", "read"),
        ("GET", "/images/json", "read"),
    ]
    proxy.clear()
    engine.create(NAME, {"Image": image, "Cmd": ["/usr/bin/sleep", "0.1"], "HostConfig": {}})
    engine.start(NAME)
    engine.wait(NAME, 10)
    engine.remove(NAME, force=True)
    assert [call.kind for call in proxy.calls()] == ["create", "write", "write", "write"]
    engine.close()


def test_an_exec_with_input_is_three_calls_and_its_streams_pass(proxy: DockerProxy, image: str) -> None:
    engine = Engine(f"unix://{proxy.address}")
    engine.create(NAME, {"Image": image, "Cmd": ["/usr/bin/sleep", "60"], "HostConfig": {"Init": True}})
    engine.start(NAME)
    proxy.clear()
    text = b"line\n" * 50_000
    assert engine.exec(NAME, ["/usr/bin/cat"], stdin=text) == (0, text, b"")
    assert [call.kind for call in proxy.calls()] == ["exec"] * 3
    engine.images()
    assert proxy.calls(kinds=["read"])
    engine.close()


def test_a_large_body_passes(proxy: DockerProxy, image: str) -> None:
    """Loading an image is a chunked or counted upload of many buffers."""
    engine = docker.DockerClient(base_url=f"unix://{proxy.address}", version="1.41")
    archive = b"".join(engine.images.get(image).save(named=True))
    assert [loaded.id for loaded in engine.images.load(archive)] == [engine.images.get(image).id]
    assert engine.ping()


def test_a_dead_engine_is_a_closed_connection(tmp_path: Path) -> None:
    proxy = DockerProxy(tmp_path / "docker.sock", tmp_path / "nobody.sock")
    try:
        client = docker.APIClient(base_url=f"unix://{proxy.address}", version="1.41", timeout=5)
        with pytest.raises(Exception, match=r"(?i)connection"):
            client.ping()
        assert proxy.calls() == []
    finally:
        proxy.close()
