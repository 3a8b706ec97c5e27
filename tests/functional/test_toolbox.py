"""The services and the toolbox on real parts: MariaDB, HAProxy, memcached, Keystone in containers of our images.

One small cloud is made for the whole module; each test puts right what it broke.
"""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functional.bench import PREFIX, Bench, admin, running
from saltern.contract.errors import JobFailed, ToolboxFailed
from saltern.host import batch, toolbox

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ADDRESS = "127.0.0.77"
HOLDER = "bench/run"
NEEDED = ("mariadb", "haproxy", "memcached", "kolla_toolbox", "keystone")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("host"), ADDRESS, *NEEDED) as made:
        for name in NEEDED[:-1]:
            made.start(name)
        yield made


@pytest.fixture(scope="module")
def keystone(bench: Bench) -> dict[str, Any]:
    """Keystone prepared, started and registered; what each step changed."""
    before = batch.compare(bench.host, bench.part, bench.images)
    prepared = batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)
    bench.start("keystone")
    registered = batch.register(bench.host, bench.part, bench.images, "keystone", HOLDER)
    return {"before": before, "prepared": prepared, "registered": registered}


def compare(bench: Bench, service: str = "keystone") -> Any:
    found = batch.compare(bench.host, bench.part, bench.images)
    assert found["errors"] == []
    return found["services"].get(service, {})


def sql(bench: Bench, statement: str) -> str:
    """As the operating system's user mysql, who needs no password."""
    argv = ["mariadb", "--no-defaults", "-S", "/run/mysqld/mysqld.sock", "-NB", "-e", statement]
    code, out, err = bench.engine.exec("mariadb", argv)
    assert code == 0, err.decode()
    return out.decode().strip()


def test_from_nothing_to_a_token_and_then_nothing_is_due(bench: Bench, keystone: dict[str, Any]) -> None:
    assert keystone["before"]["services"]["keystone"]["jobs_due"] == ["db_sync", "bootstrap"]
    assert [job["name"] for job in keystone["prepared"]["jobs"]] == ["db_sync", "bootstrap"]
    kinds = {change["kind"] for change in keystone["registered"]["identity"]}
    assert kinds == {"project", "service", "endpoint"}
    assert admin(bench)
    assert compare(bench) == {}


def test_doing_it_again_changes_nothing(bench: Bench, keystone: dict[str, Any]) -> None:
    assert batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER) == {}
    assert batch.register(bench.host, bench.part, bench.images, "keystone", HOLDER) == {}


def test_a_lost_password_and_lost_rights_in_the_database_are_put_right(bench: Bench, keystone: dict[str, Any]) -> None:
    sql(bench, "ALTER USER keystone@'%' IDENTIFIED BY 'other'; REVOKE ALL ON keystone.* FROM keystone@'%'")
    assert [(c["kind"], c["what"]) for c in compare(bench)["database"]] == [("user", "update"), ("grant", "create")]
    batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)
    assert compare(bench) == {}


def test_a_job_without_a_record_runs_again_and_bears_it(bench: Bench, keystone: dict[str, Any]) -> None:
    sql(bench, "DELETE FROM saltern.jobs")
    assert compare(bench)["jobs_due"] == ["db_sync", "bootstrap"]
    changes = batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)
    assert [job["name"] for job in changes["jobs"]] == ["db_sync", "bootstrap"]
    assert compare(bench) == {}


def test_a_job_held_by_another_host_is_left_to_it(bench: Bench, keystone: dict[str, Any]) -> None:
    later = "UTC_TIMESTAMP() + INTERVAL 1 HOUR"
    sql(
        bench,
        f"UPDATE saltern.jobs SET finished = NULL, holder = 'other/run', lease_until = {later} WHERE job = 'db_sync'",
    )
    with pytest.raises(JobFailed, match="other/run runs it"):
        batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)
    sql(bench, "UPDATE saltern.jobs SET lease_until = UTC_TIMESTAMP() - INTERVAL 1 SECOND WHERE job = 'db_sync'")
    batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)
    assert compare(bench) == {}


def test_a_failing_job_tells_why_and_stays_due(bench: Bench, keystone: dict[str, Any]) -> None:
    (job,) = [job for job in bench.part["jobs"] if job["name"] == "bootstrap"]
    broken = {**job, "input": "other", "spec": {**job["spec"], "process": "python /nowhere.py"}}
    part = {**bench.part, "jobs": [broken]}
    with pytest.raises(JobFailed, match=r"(?s)job keystone bootstrap: ended with exit code 2.*/nowhere\.py"):
        batch.prepare(bench.host, part, bench.images, "keystone", HOLDER)
    assert bench.engine.inspect(job["spec"]["name"]) is None
    assert compare(bench)["jobs_due"] == ["bootstrap"]
    batch.prepare(bench.host, bench.part, bench.images, "keystone", HOLDER)


def test_a_killed_mariadb_comes_back_with_all_that_was_acknowledged(bench: Bench, keystone: dict[str, Any]) -> None:
    sql(
        bench,
        "CREATE TABLE IF NOT EXISTS saltern.proof (n INT PRIMARY KEY) ENGINE=InnoDB;"
        " INSERT INTO saltern.proof VALUES (1)",
    )
    bench.engine.kill("mariadb")
    bench.engine.wait("mariadb", 30)
    with pytest.raises(ToolboxFailed, match="database unreachable"):
        call(bench, "apply", wait=0)
    bench.again("mariadb")
    # The toolbox waits until HAProxy has seen the member Synced.
    call(bench, "apply")
    assert sql(bench, "SELECT n FROM saltern.proof; DROP TABLE saltern.proof") == "1"
    assert compare(bench) == {}


def call(bench: Bench, action: str, **more: Any) -> Any:
    request = toolbox.part_of(bench.part["batch"], action, "keystone", part="database", **more)
    return toolbox.change(bench.engine, request)


def test_a_connection_made_while_the_database_dies_does_not_hang(bench: Bench, keystone: dict[str, Any]) -> None:
    bench.engine.kill("mariadb")
    bench.engine.wait("mariadb", 30)
    for _ in range(8):  # before, while and after HAProxy notices
        with socket.create_connection((ADDRESS, 3306)) as connection:
            connection.settimeout(20)
            assert connection.recv(1) == b""
        time.sleep(0.1)
    bench.again("mariadb")
    call(bench, "apply")


def test_a_new_administrators_password_is_applied_at_the_next_start(bench: Bench, keystone: dict[str, Any]) -> None:
    marker = "/var/lib/mysql/saltern-accounts"
    sql(bench, "ALTER USER saltern@'%' IDENTIFIED BY 'lost'")
    with pytest.raises(ToolboxFailed, match="database refused"):
        call(bench, "apply")
    bench.engine.exec("mariadb", ["rm", marker])  # as after a change of saltern.sql
    bench.engine.stop("mariadb", 60)
    bench.again("mariadb")
    call(bench, "apply")
    assert compare(bench) == {}


def test_a_reload_of_haproxy_loses_no_call(bench: Bench, keystone: dict[str, Any]) -> None:
    url, seen = f"http://{ADDRESS}:5000/v3", []
    for number in range(20):
        if number % 5 == 0:
            bench.engine.kill("haproxy", "USR2")
        with urllib.request.urlopen(url, timeout=30) as answer:
            seen.append(answer.status)
    assert seen == [200] * 20
    found = bench.engine.inspect("haproxy")
    assert found and found["State"]["Running"] and found["RestartCount"] == 0


def test_keystone_stops_in_time_and_starts_with_the_same_keys(bench: Bench, keystone: dict[str, Any]) -> None:
    kept = admin(bench)
    bench.engine.stop("keystone", 30)
    found = bench.engine.inspect("keystone")
    assert found and found["State"]["ExitCode"] != 137
    bench.again("keystone")
    until = time.monotonic() + 60
    while True:
        try:
            request = urllib.request.Request(f"http://{ADDRESS}:5000/v3/auth/projects", headers={"X-Auth-Token": kept})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:  # HAProxy has not seen it come back yet
            assert error.code == 503 and time.monotonic() < until
            time.sleep(0.2)


def test_no_secret_is_in_arguments_environment_labels_or_logs(bench: Bench, keystone: dict[str, Any]) -> None:
    secrets = [secret for secret in bench.part["secrets"] if len(secret) > 8]
    assert secrets
    for name in NEEDED:
        shown = json.dumps(bench.engine.inspect(name)) + "\n".join(bench.engine.logs(name, 2000))
        shown += subprocess.run(["docker", "top", PREFIX + name], capture_output=True, text=True, check=True).stdout
        assert [secret for secret in secrets if secret in shown] == [], name


def test_no_container_writes_outside_its_volumes_and_tmpfs(bench: Bench, keystone: dict[str, Any]) -> None:
    for name in NEEDED:
        found = bench.engine.inspect(name)
        assert found and found["HostConfig"]["ReadonlyRootfs"] and found["HostConfig"]["CapDrop"] == ["ALL"]
        code, _, _ = bench.engine.exec(name, ["sh", "-c", ": > /proof || exit 3"])
        assert code != 0


def test_files_are_left_nowhere(bench: Bench, keystone: dict[str, Any]) -> None:
    left = [path.name for path in Path(bench.host.store.config).iterdir() if "--" in path.name]
    assert left == []
