"""OpenStack as Debian packages it: built, and run by the same service folders as what is installed from locks."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.host import batch
from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.options import Options
from saltern.images.run import build_all

from . import bench
from .test_glance import Glance
from .test_services_images import Start, placement_serves, start

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ADDRESS = "127.0.0.81"
IMAGES = Path(__file__).resolve().parents[2] / "images"
# Names of their own: this test builds, and nobody's cloud must change by it. They stay, so that the next run is quick.
BINARY = Options(type="binary", release="2025.1", namespace="saltern-test")
BUILT = ("keystone", "glance-api", "placement-api", "kolla-toolbox", "mariadb", "memcached", "haproxy")
SERVICES = (("keystone", "keystone"), ("glance", "glance_api"))
NEEDED = ("mariadb", "haproxy", "memcached", "kolla_toolbox", *(container for _, container in SERVICES))

__all__ = ["start"]  # a fixture


@pytest.fixture(scope="module", autouse=True)
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All of them up to date."""
    root = tmp_path_factory.mktemp("builder")
    with Engine() as engine:
        if engine.inspect_image(Options().reference("mariadb")) is None:
            bench.cannot("the images of install type source are not built here")
        builder = LocalBuilder(engine, suite=BINARY.suite, root=root)
        made = build_all(builder, IMAGES, BINARY, state=root / "state", names=BUILT)
    assert made["retcode"] == 0, [entry for entry in made["images"] if entry["result"] == "failed"]
    return made


@pytest.fixture(scope="module")
def cloud(built: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[bench.Bench]:
    options = {"namespace": BINARY.namespace, "type": BINARY.type, "release": BINARY.release}
    with bench.running(tmp_path_factory.mktemp("host"), ADDRESS, *NEEDED, **options) as made:
        for name in NEEDED[:4]:
            made.start(name)
        for service, container in SERVICES:
            batch.prepare(made.host, made.part, made.images, service, "bench/run")
            made.start(container)
            batch.register(made.host, made.part, made.images, service, "bench/run")
        yield made


def answer(url: str, token: str = "") -> Any:
    request = urllib.request.Request(url, headers={"X-Auth-Token": token} if token else {})
    with urllib.request.urlopen(request, timeout=60) as found:
        return json.loads(found.read())


def test_keystone_gives_a_token_that_glance_takes(cloud: bench.Bench) -> None:
    """Through MariaDB, memcached, HAProxy and the toolbox; the database was made by the release's own migrations."""
    token = bench.admin(cloud)
    assert answer(f"http://{ADDRESS}:5000/v3/users", token)["users"]
    glance = Glance(cloud)
    image = glance.create("in pieces")
    pieces = iter([b"a" * 70_000, b"b" * 100])
    assert glance.call("PUT", f"/v2/images/{image}/file", pieces, "application/octet-stream") == (204, b"")
    assert glance.show(image)["size"] == 70_100
    assert cloud.spec("keystone")["image"] == BINARY.reference("keystone")


def test_placement_serves_its_api(start: Start) -> None:
    placement_serves(start, images=BINARY)


INSIDE = r"""
find / -xdev -perm /6000 -type f
for program in gcc cc git uv pip apache2; do command -v $program; done
ls /etc/machine-id /etc/iscsi/initiatorname.iscsi /etc/apt/sources.list
find /etc/keystone/fernet-keys /etc/keystone/credential-keys /var/lib/mysql -type f
find / -xdev \( -name '*.sqlite' -o -name 'ssl-cert-*' -o -name saltern-build -o -path /delta \)
find / -xdev \( -path '/var/lib/apt/lists/*_*' -o -path '/usr/lib/python3/dist-packages/*/tests' \)
python3 -v -c 'import oslo_config.cfg, sqlalchemy, keystoneauth1' 2>&1 | grep 'stale for .\(oslo\|sqlal\|keys\)'
"""


@pytest.mark.parametrize("name", ["keystone", "glance-api", "placement-api", "kolla-toolbox"])
def test_no_secret_identity_or_builder_is_inside_and_bytecode_counts(name: str) -> None:
    body = {
        "Image": BINARY.reference(name),
        "Entrypoint": ["sh", "-c"],
        "Cmd": [f"({INSIDE}) 2>/dev/null; true"],
        "User": "0",
        "HostConfig": {"NetworkMode": "none"},
    }
    with Engine() as engine:
        container = engine.create("", body)
        try:
            engine.start(container)
            assert engine.wait(container, 60) == 0
            assert engine.logs(container, 200) == []
        finally:
            engine.remove(container, force=True)
