"""Images through HAProxy into a real Glance and out again."""

import hashlib
import http.client
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from functional.bench import Bench, admin, running
from saltern.host import batch

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ADDRESS = "127.0.0.78"
NEEDED = ("mariadb", "haproxy", "memcached", "kolla_toolbox", "keystone", "glance_api")
DATA = random.Random(3).randbytes(3_000_000)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("host"), ADDRESS, *NEEDED) as made:
        for name in NEEDED[:4]:
            made.start(name)
        for service, container in (("keystone", "keystone"), ("glance", "glance_api")):
            batch.prepare(made.host, made.part, made.images, service, "bench/run")
            made.start(container)
            batch.register(made.host, made.part, made.images, service, "bench/run")
        yield made


class Glance:
    """The image API as a client sees it."""

    def __init__(self, bench: Bench) -> None:
        self.token, self.address = admin(bench), bench.address

    def call(self, verb: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, 9292, timeout=120)
        headers = {"X-Auth-Token": self.token, "Content-Type": kind}
        connection.request(verb, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def create(self, name: str) -> str:
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare"}
        status, body = self.call("POST", "/v2/images", json.dumps(wanted))
        assert status == 201, body
        return str(json.loads(body)["id"])

    def show(self, image: str) -> Any:
        status, body = self.call("GET", f"/v2/images/{image}")
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def glance(bench: Bench) -> Glance:
    return Glance(bench)


def chunks() -> Iterator[bytes]:
    """The data in pieces of uneven size, as from a client that does not know its length: http.client frames them."""
    for start in range(0, len(DATA), 70_001):
        yield DATA[start : start + 70_001]


@pytest.mark.parametrize("chunked", [True, False])
def test_an_image_goes_in_and_comes_out_the_same(glance: Glance, chunked: bool) -> None:
    image = glance.create(f"chunked {chunked}")
    body: Any = chunks() if chunked else DATA
    status, answer = glance.call("PUT", f"/v2/images/{image}/file", body, "application/octet-stream")
    assert status == 204, answer
    shown = glance.show(image)
    assert (shown["status"], shown["size"]) == ("active", len(DATA))
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert glance.call("GET", f"/v2/images/{image}/file") == (200, DATA)


def test_images_outlive_the_container(bench: Bench, glance: Glance) -> None:
    image = glance.create("kept")
    glance.call("PUT", f"/v2/images/{image}/file", DATA, "application/octet-stream")
    bench.engine.remove("glance_api", force=True)
    bench.start("glance_api")
    connection = http.client.HTTPConnection(ADDRESS, 19292, timeout=120)  # past HAProxy, which has not seen it yet
    connection.request("GET", f"/v2/images/{image}/file", headers={"X-Auth-Token": glance.token})
    assert connection.getresponse().read() == DATA


def test_without_a_token_there_is_nothing_to_see(glance: Glance) -> None:
    glance.token = "none"
    assert glance.call("GET", "/v2/images")[0] == 401


def test_nothing_is_due_afterwards(bench: Bench) -> None:
    due = batch.compare(bench.host, bench.part, bench.images)
    assert not due["errors"] and not due["services"].keys() & {"keystone", "glance"}, due
