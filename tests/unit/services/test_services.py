"""Every service folder compiles, for one host and for three, and what hosts get keeps the promises of the design."""

import json
import re
from configparser import RawConfigParser
from typing import Any

import pytest

from saltern.contract.users import UIDS
from saltern.model import ini
from unit.services import cloud

THREE = {name: {**host, "roles": [*host["roles"], "network", "compute"]} for name, host in cloud.THREE.items()}
CLOUDS = {"one host": cloud.AIO, "three hosts": THREE}
# What rules a host's network or its virtual machines needs rights there; which ones, its own tests say.
PRIVILEGED = {
    "openvswitch_vswitchd",
    "nova_compute",
    "nova_libvirt",
    "neutron_openvswitch_agent",
    "neutron_dhcp_agent",
    "neutron_l3_agent",
}


@pytest.fixture(scope="module", params=CLOUDS, ids=str)
def made(request: pytest.FixtureRequest) -> Any:
    return cloud.compiled(CLOUDS[request.param], services=cloud.EVERY)


def specs(made: Any) -> list[dict[str, Any]]:
    containers = [entry for part in made.slices.values() for entry in part["containers"]]
    return containers + [job["spec"] for part in made.slices.values() for job in part["jobs"]]


def test_nothing_is_privileged_and_roots_are_read_only(made: Any) -> None:
    for spec in specs(made):
        assert spec["limits"]["memory"] and spec["limits"]["pids"]
        if spec["name"] in PRIVILEGED:
            continue
        assert spec["read_only"] and not spec["capabilities"] and not spec["devices"] and spec["user"] is None
        assert spec["uid"] in UIDS.values() and spec["uid"] != 0


def test_every_file_is_readable_by_its_service_only_and_lies_in_a_writable_directory(made: Any) -> None:
    for spec in specs(made):
        for file in spec["files"]:
            assert file["mode"] in ("0600", "0400") and UIDS[file["owner"]] == spec["uid"]
            assert any(file["dest"].startswith(f"{path}/") for path in spec["writable"]), file["dest"]


def test_secrets_reach_files_only(made: Any) -> None:
    for part in made.slices.values():
        assert part["secrets"]
        for spec in part["containers"] + [job["spec"] for job in part["jobs"]]:
            rest = json.dumps({key: value for key, value in spec.items() if key != "files"})
            assert not [secret for secret in part["secrets"] if secret in rest]
    plan = json.dumps(made.plan)
    assert not [secret for part in made.slices.values() for secret in part["secrets"] if secret in plan]


def test_configuration_files_of_openstack_parse(made: Any) -> None:
    for spec in specs(made):
        # theirs are languages of their own, without sections
        for file in spec["files"] if spec["service"] not in ("rabbitmq", "libvirt") else ():
            if file["name"].endswith((".conf", ".ini", ".cnf")):
                parser = RawConfigParser(strict=False)
                parser.read_string(file["content"])
                assert parser.sections() or parser.defaults()


def test_no_two_ports_of_a_host_collide(made: Any) -> None:
    for part in made.slices.values():
        bound = [(entry["address"], entry["port"]) for entry in part["prechecks"]["ports"]]
        assert len(bound) == len(set(bound))


def test_everything_listens_on_the_hosts_own_address() -> None:
    made = cloud.compiled(cloud.THREE)
    for host, part in made.slices.items():
        address = part["address"]
        assert f"-l {address} " in cloud.spec(made, host, "memcached")["process"]
        assert f"bind-address = {address}\n" in cloud.file(cloud.spec(made, host, "mariadb"), "saltern.cnf")
        assert f"http-socket = {address}:15000\n" in cloud.file(cloud.spec(made, host, "keystone"), "uwsgi.ini")


def test_all_hosts_sign_tokens_with_the_same_keys() -> None:
    made = cloud.compiled(cloud.THREE)
    keys = {cloud.file(cloud.spec(made, host, "keystone"), "fernet-keys/1") for host in made.slices}
    assert keys == {cloud.fernet_key("keystone_fernet_keys", 1)}


def test_mariadb_of_three_knows_all_members_and_the_proxy_writes_to_one() -> None:
    made = cloud.compiled(cloud.THREE)
    cnf = cloud.file(cloud.spec(made, "ctl2", "mariadb"), "saltern.cnf")
    assert "wsrep_cluster_address = gcomm://10.0.0.11,10.0.0.12,10.0.0.13\n" in cnf
    assert "innodb_flush_log_at_trx_commit = 1\n" in cnf
    section = sections(cloud.file(cloud.spec(made, "ctl1", "haproxy"), "haproxy.cfg"))["listen mariadb"]
    servers = [line for line in section if line.startswith("server ")]
    assert servers == [
        "server ctl1 10.0.0.11:13306 check",
        "server ctl2 10.0.0.12:13306 check backup",
        "server ctl3 10.0.0.13:13306 check backup",
    ]


def test_mariadb_is_never_restarted_blindly_and_never_rolled_back() -> None:
    spec = cloud.spec(cloud.compiled(cloud.AIO), "aio", "mariadb")
    assert (spec["restart"], spec["rollback"], spec["liveness"]) == ("health", False, None)
    assert spec["readiness"]["tcp"] == "10.0.0.11:13306"


def test_the_check_of_mariadb_asks_for_the_state_of_the_member() -> None:
    text = cloud.file(cloud.spec(cloud.compiled(cloud.AIO), "aio", "haproxy"), "haproxy.cfg")
    sent = re.findall(r"tcp-check send-binary ([0-9a-f]+)", text)
    login, question, bye = (bytes.fromhex(item) for item in sent)
    for packet in (login, question, bye):
        assert int.from_bytes(packet[:3], "little") == len(packet) - 4
    assert b"haproxy\0" in login and question[5:] == b"SHOW GLOBAL STATUS LIKE 'wsrep_local_state_comment'"
    states = re.search(r"expect rbinary (\S+)", text)
    assert states and [bytes.fromhex(state) for state in states[1].split("|")] == [b"Synced", b"Donor"]


def test_frontends_come_from_the_services_alone() -> None:
    text = cloud.file(cloud.spec(cloud.compiled(cloud.THREE, vip="10.0.0.9"), "ctl1", "haproxy"), "haproxy.cfg")
    keystone = sections(text)["listen keystone"]
    assert "bind 10.0.0.9:5000" in keystone and "http-check expect status 200-399" in keystone
    assert [line for line in keystone if line.startswith("server ")] == [
        f"server ctl{n} 10.0.0.1{n}:15000 check" for n in (1, 2, 3)
    ]


def test_another_backend_is_a_reload_of_haproxy_and_no_more() -> None:
    spec = cloud.spec(cloud.compiled(cloud.AIO), "aio", "haproxy")
    assert [file["on_change"] for file in spec["files"]] == ["reload"]
    assert spec["reload"]["signal"] == "USR2" and spec["reload"]["check"][0] == "haproxy"
    assert spec["process"].startswith("haproxy -W ")


def test_the_bootstrap_password_is_in_one_file_of_one_job() -> None:
    made = cloud.compiled(cloud.AIO)
    (job,) = [job for job in made.slices["aio"]["jobs"] if job["name"] == "bootstrap"]
    holding = [file["name"] for file in job["spec"]["files"] if "secret-of-keystone_admin_password" in file["content"]]
    assert holding == ["bootstrap.json"]
    assert "secret-of-keystone_admin" not in json.dumps(cloud.spec(made, "aio", "keystone"))
    assert json.loads(cloud.file(job["spec"], "bootstrap.json"))["password"] == "secret-of-keystone_admin_password"
    compile(cloud.file(job["spec"], "bootstrap.py"), "bootstrap.py", "exec")


def test_another_admin_password_makes_bootstrap_due_and_db_sync_not() -> None:
    services = cloud.load_services(cloud.SERVICES)
    before = inputs(cloud.compiled(cloud.AIO))
    secrets = {**cloud.secrets_for(services), "keystone_admin_password": "another"}
    after = inputs(cloud.compiled(cloud.AIO, secrets=secrets))
    assert {name for name in before if before[name] != after[name]} == {"keystone bootstrap"}


def test_jobs_of_keystone_run_in_order_before_its_start() -> None:
    jobs = [job for job in cloud.compiled(cloud.AIO).slices["aio"]["jobs"] if job["service"] == "keystone"]
    assert [(job["name"], job["when"]) for job in jobs] == [("db_sync", "before_start"), ("bootstrap", "before_start")]


def inputs(made: Any) -> dict[str, str]:
    jobs = [job for part in made.slices.values() for job in part["jobs"]]
    return {f"{job['service']} {job['name']}": job["input"] for job in jobs}


def sections(text: str) -> dict[str, list[str]]:
    """Sections of a haproxy.cfg by their first line."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            lines = found.setdefault(line.strip(), [])
        elif line.strip():
            lines.append(line.strip())
    return found


def test_images_come_through_the_router_and_a_lost_client_ends_its_download() -> None:
    found = ini.parse(cloud.file(cloud.spec(cloud.compiled(cloud.AIO), "aio", "glance_api"), "uwsgi.ini"))["uwsgi"]
    assert (found["http"], found["chunked-input-limit"]) == (["10.0.0.11:19292"], ["67108864"])
    assert not {"http-socket", "threads", "ignore-sigpipe", "ignore-write-errors", "disable-write-exception"} & set(
        found
    )
