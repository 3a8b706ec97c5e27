"""MariaDB grows from one member to three, and comes back from what happens to members, on the real engine."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.services import cloud

from functional import bench
from saltern.host import files, spec
from saltern.host.engine import Engine, image_ids

pytestmark = [pytest.mark.engine, pytest.mark.slow]
IMAGE = "saltern/mariadb:2025.2"
ADDRESSES = {"one": "10.99.0.81", "two": "10.99.0.82", "three": "10.99.0.83"}
LOOPBACK = ("10.99.0.", "127.0.0.")  # a model of several hosts refuses addresses that only one of them has
SECONDS = 180
STATE = "select variable_value from information_schema.global_status where variable_name = 'wsrep_%s'"


class Cluster:
    """Members by host, each a container with a volume of its own."""

    def __init__(self, root: Path) -> None:
        self.engine, self.root = Engine(), root
        self.image = image_ids(self.engine.images()).get(IMAGE)

    def name(self, host: str) -> str:
        return f"galera_test_{host}"

    def make(self, host: str, *members: str) -> None:
        """(Re)create a member with the configuration of a cloud of these hosts; its volume stays."""
        hosts = {name: {"address": ADDRESSES[name], "roles": cloud.ALL} for name in members}
        made = cloud.spec(cloud.compiled(hosts, cloud="galera-test"), host, "mariadb")
        wanted = {**json.loads(json.dumps(made).replace(*LOOPBACK)), "name": self.name(host)}
        wanted["mounts"] = [{**wanted["mounts"][0], "source": self.name(host)}]
        folder = files.write(self.root, wanted)
        self.engine.remove(self.name(host), force=True)
        assert self.image
        self.engine.create(self.name(host), spec.body(wanted, self.image, folder))
        self.engine.start(self.name(host))

    def sql(self, host: str, statement: str) -> str | None:
        argv = [
            "mariadb",
            "--no-defaults",
            "-S",
            "/run/mysqld/mysqld.sock",
            "--connect-timeout=3",
            "-NB",
            "-e",
            statement,
        ]
        code, out, _ = self.engine.exec(self.name(host), argv)
        return out.decode().strip() if code == 0 else None

    def wait(self, host: str, size: int) -> None:
        """Until a member is Synced in a primary component of ``size``."""
        until = time.monotonic() + SECONDS
        wanted = ["Primary", str(size), "Synced"]
        while True:
            found = self.engine.inspect(self.name(host))
            assert found and found["State"]["Running"], "\n".join(self.engine.logs(self.name(host), 60))
            variables = ("cluster_status", "cluster_size", "local_state_comment")
            seen = [self.sql(host, STATE % variable) for variable in variables]
            if seen == wanted:
                return
            assert time.monotonic() < until, f"{host}: {seen}\n" + "\n".join(self.engine.logs(self.name(host), 60))
            time.sleep(0.2)

    def clear(self) -> None:
        for host in ADDRESSES:
            self.engine.remove(self.name(host), force=True)
            self.engine.remove_volume(self.name(host))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one with data that has grown to three."""
    made = Cluster(tmp_path_factory.mktemp("config"))
    if made.image is None:
        bench.cannot(f"{IMAGE} is not built")
    made.clear()
    try:
        made.make("one", "one")
        made.wait("one", 1)
        made.sql("one", "CREATE DATABASE t; CREATE TABLE t.t (n INT PRIMARY KEY) ENGINE=InnoDB")
        made.sql("one", "INSERT INTO t.t VALUES (1)")
        for number, host in enumerate(ADDRESSES, 1):
            made.make(host, *ADDRESSES)
            made.wait(host, number)
        yield made
    finally:
        made.clear()
        made.engine.close()


def test_joiners_have_the_data_and_the_accounts(three: Cluster) -> None:
    for host in ADDRESSES:
        assert three.sql(host, "SELECT n FROM t.t") == "1"
        users = three.sql(host, "SELECT user FROM mysql.user WHERE host = '%' ORDER BY user")
        assert users == "haproxy\nsaltern"


def test_a_killed_member_comes_back_into_the_component_of_the_others(three: Cluster) -> None:
    three.engine.kill(three.name("one"))
    three.engine.wait(three.name("one"), 30)
    three.engine.start(three.name("one"))
    three.wait("one", 3)
    assert "join it" in "\n".join(three.engine.logs(three.name("one"), 5000))
    assert three.sql("two", STATE % "cluster_status") == "Primary"


def test_all_killed_at_once_find_each_other_and_nothing_is_lost(three: Cluster) -> None:
    assert three.sql("two", "INSERT INTO t.t VALUES (2)") is not None
    for host in ADDRESSES:
        three.engine.kill(three.name(host))
    for host in ADDRESSES:
        three.engine.wait(three.name(host), 30)
        three.engine.start(three.name(host))
    for host in ADDRESSES:
        three.wait(host, 3)
        assert three.sql(host, "SELECT GROUP_CONCAT(n ORDER BY n) FROM t.t") == "1,2"


def test_a_member_that_is_told_to_be_alone_refuses(three: Cluster) -> None:
    three.make("two", "two")
    assert three.engine.wait(three.name("two"), 60) not in (None, 0)
    assert "refused: this member belonged to a cluster of several" in "\n".join(
        three.engine.logs(three.name("two"), 50)
    )
    three.make("two", *ADDRESSES)
    three.wait("two", 3)


def test_no_password_is_in_an_argument(three: Cluster) -> None:
    for host in ADDRESSES:
        top = subprocess.run(["docker", "top", three.name(host)], capture_output=True, text=True, check=True).stdout
        assert "secret-of-" not in top
