"""What hosts get: specs, files, overrides and their origins, jobs, the batch, and which secrets are named."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from saltern.contract.masking import MASK
from saltern.model import ini
from saltern.model.secrets import generate
from saltern.model.services import load_services
from saltern.plan.compile import compile_model
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import ROLES, SECRETS

TWO = {
    "ctl1": {"address": "10.0.0.11", "roles": ROLES},
    "ctl2": {"address": "10.0.0.12", "roles": ["control"], "config": {"api.conf": {"DEFAULT": {"host_only": "ctl2"}}}},
}


def spec(made: Any, host: str, name: str) -> dict[str, Any]:
    return next(s for s in made.slices[host]["containers"] if s["name"] == name)


def content(made: Any, host: str, container: str, file: str) -> str:
    return next(f["content"] for f in spec(made, host, container)["files"] if f["name"] == file)


def test_a_spec_has_the_keys_of_the_interface(compile: Any) -> None:
    found = spec(compile(), "ctl1", "api")
    assert set(found) == {
        "name", "service", "cloud", "image", "command", "user", "uid", "gid", "environment", "init", "read_only",
        "hostname", "writable", "mounts", "capabilities", "devices", "device_rules", "security", "pid_host",
        "ipc_host", "cgroup_host", "host", "limits",
        "restart", "stop_timeout", "stop_signal", "start_timeout", "healthcheck", "liveness", "readiness", "reload",
        "rollback", "process", "files",
    }  # fmt: skip
    assert found["image"] == "saltern/api:2025.2"
    assert (found["uid"], found["user"]) == (42425, None)
    assert found["liveness"] == {"http": "http://10.0.0.11:15000/v3", "interval": 2, "timeout": 3, "failures": 3}
    assert spec(compile(), "ctl1", "cache")["process"] == "cached -l 10.0.0.11 -m 64"


def test_the_slice_names_ports_addresses_and_images(compile: Any) -> None:
    found = compile().slices["ctl1"]
    assert {"port": 15000, "address": "10.0.0.11", "container": "api"} in found["prechecks"]["ports"]
    assert found["prechecks"]["addresses"] == ["10.0.0.11"]
    assert found["images"] == [f"saltern/{n}:2025.2" for n in ("api", "cache", "kolla-toolbox", "mariadb", "worker")]


def test_image_names_are_configurable(compile: Any) -> None:
    images = {"registry": "reg:5000", "namespace": "my", "prefix": "os-", "tag": "t1"}
    assert spec(compile(images=images), "ctl1", "api")["image"] == "reg:5000/my/os-api:t1"


def test_credentials_of_the_registry_are_in_every_slice_and_masked(compile: Any) -> None:
    assert compile().slices["ctl1"]["registry"] is None
    ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    images = {"registry": "reg:5000", "registry_username": "me", "registry_ca": ca}
    made = compile(hosts=TWO, images=images, secrets={**SECRETS, "registry_password": "s3cret/word"})
    assert not made.problems
    for found in made.slices.values():
        assert found["registry"] == {"address": "reg:5000", "username": "me", "password": "s3cret/word", "ca": ca}
        assert {"s3cret/word", "s3cret%2Fword"} <= set(found["secrets"])
    assert "s3cret" not in json.dumps(made.plan)


def test_without_a_user_name_no_password_leaves_the_master(compile: Any) -> None:
    made = compile(images={"registry": "reg:5000"}, secrets={**SECRETS, "registry_password": "s3cret/word"})
    assert made.slices["ctl1"]["registry"] == {"address": "reg:5000", "username": None, "password": None, "ca": None}
    assert "s3cret" not in json.dumps(made.slices)


def test_for_each_makes_one_container_a_key(compile: Any) -> None:
    made = compile()
    assert [n for n in made.plan["hosts"]["ctl1"]["containers"] if "worker" in n] == ["worker_a", "worker_b"]
    assert spec(made, "ctl1", "worker_b")["process"] == "workerd b"
    none = compile(services={"api": {"variables": {"names": []}}})
    assert "worker_a" not in none.plan["containers"]


def test_overrides_win_in_their_stated_order(compile: Any) -> None:
    layered = ["global", "services", "containers", "host"]
    config = {
        "global": {"api.conf": {"DEFAULT": dict.fromkeys(layered, "global"), "new": {"list": ["a", "b"]}}},
        "services": {"api": {"api.conf": {"DEFAULT": dict.fromkeys(layered[1:], "services")}}},
        "containers": {"api": {"api.conf": {"DEFAULT": {**dict.fromkeys(layered[2:], "containers"), "debug": None}}}},
    }
    hosts = {**TWO, "ctl2": {**TWO["ctl2"], "config": {"api.conf": {"DEFAULT": {"host": "host"}}}}}
    made = compile(config=config, hosts=hosts)
    text = content(made, "ctl2", "api", "api.conf")
    parsed = ini.parse(text)
    assert {k: parsed["DEFAULT"][k] for k in layered} == {k: [k if k != "host" else "host"] for k in layered}
    assert ini.parse(content(made, "ctl1", "api", "api.conf"))["DEFAULT"]["host"] == ["containers"]
    assert parsed["new"]["list"] == ["a", "b"]
    assert "debug" not in parsed["DEFAULT"]


def test_who_set_what_is_remembered_without_secrets(compile: Any) -> None:
    config = {"global": {"api.conf": {"DEFAULT": {"debug": True}, "x": {"admin_password": "hunter22"}}}}
    made = compile(config=config, hosts=TWO)
    keys = made.origins["api.conf"]["api"]
    template, operator = keys["DEFAULT.debug"]
    assert (template["value"], template["who"], template["hosts"]) == ("False", "template", None)
    assert template["where"] == "services/api/files/api.conf.j2"
    assert (operator["value"], operator["who"]) == ("True", "openstack:config:global")
    assert operator["where"].startswith("openstack/init.sls:")
    assert [s["hosts"] for s in keys["DEFAULT.bind_host"]] == [["ctl1"], ["ctl2"]]
    assert keys["DEFAULT.host_only"][0]["hosts"] == ["ctl2"]
    assert keys["x.admin_password"][0]["value"] == MASK
    assert keys["database.connection"][0]["value"] == MASK
    assert "hunter22" not in json.dumps(made.origins)
    assert "hunter22" in made.slices["ctl1"]["secrets"]


def test_the_slice_names_every_secret_in_it_in_every_form(compile: Any) -> None:
    made = compile(hosts=TWO)
    password = SECRETS["api_database_password"]
    first, second = made.slices["ctl1"], made.slices["ctl2"]
    assert {password, quote(password, safe=""), SECRETS["api_keys"][1], SECRETS["root_password"]} <= set(
        first["secrets"]
    )
    assert quote(password, safe="") in content(made, "ctl1", "api", "api.conf")
    assert SECRETS["root_password"] not in json.dumps(second), "only the toolbox host works as administrator"
    assert SECRETS["api_keys"][0] not in json.dumps(first), "a host gets what its containers use, no more"


def test_secrets_stand_in_files_and_batch_only(compile: Any) -> None:
    made = compile()
    found = made.slices["ctl1"]
    for entry in [*found["containers"], *(job["spec"] for job in found["jobs"])]:
        rest = json.dumps({k: v for k, v in entry.items() if k != "files"})
        assert not [s for s in found["secrets"] if s in rest]
    assert not [s for s in found["secrets"] if s in json.dumps(made.plan)]


def test_jobs_and_batch_go_to_the_first_control_host_only(compile: Any) -> None:
    made = compile(hosts=TWO)
    first, second = made.slices["ctl1"], made.slices["ctl2"]
    assert (second["jobs"], second["batch"], second["toolbox"]) == ([], None, False)
    (job,) = first["jobs"]
    assert (job["spec"]["name"], job["spec"]["process"]) == ("api--db_sync", "api-manage db_sync")
    assert (job["spec"]["restart"], job["spec"]["liveness"], job["timeout"]) == ("none", None, 300)
    assert job["spec"]["files"] == spec(made, "ctl1", "api")["files"]
    batch = first["batch"]
    assert batch["database"] == {
        "host": "10.0.0.11",
        "port": 3306,
        "user": "root",
        "password": SECRETS["root_password"],
    }
    assert batch["identity"]["auth_url"] == "http://10.0.0.11:5000/v3"
    entry = batch["services"]["api"]
    assert entry["jobs"] == [{"name": "db_sync", "input": job["input"]}]
    assert entry["identity"]["services"][0]["endpoints"]["admin"] == "http://10.0.0.11:5000/v3"


def test_a_job_is_due_again_when_an_input_changes_and_only_then(compile: Any) -> None:
    def due(**changes: Any) -> str:
        return str(compile(**changes).slices["ctl1"]["jobs"][0]["input"])

    assert due() == due(debug=True)
    assert due() != due(release="2026.1")
    assert due() != due(services={"api": {"variables": {"workers": 3}}})


def test_an_unchanged_ini_file_reads_the_same_with_and_without_unrelated_overrides(compile: Any) -> None:
    plain = content(compile(), "ctl1", "api", "api.conf")
    other = content(
        compile(config={"global": {"api.conf": {"DEFAULT": {"debug": "False"}}}}), "ctl1", "api", "api.conf"
    )
    assert plain == other
    assert "# a comment" not in plain


def test_ipv6_addresses_are_bracketed_in_urls(compile: Any) -> None:
    made = compile(hosts={"ctl1": {"address": "fd00::11", "roles": ROLES}})
    assert spec(made, "ctl1", "api")["liveness"]["http"] == "http://[fd00::11]:15000/v3"
    assert "@[fd00::11]:3306/" in content(made, "ctl1", "api", "api.conf")


def test_the_vip_is_the_named_one_or_the_first_load_balancer(compile: Any) -> None:
    assert compile().plan["vip"] == "10.0.0.11"
    assert compile(vip="10.0.0.9").plan["endpoints"] == {"api": "http://10.0.0.9:5000/v3"}


def test_limits_come_from_the_service_then_the_operator(compile: Any) -> None:
    made = compile(services={"api": {"limits": {"api": {"memory": "2G"}}}})
    assert spec(made, "ctl1", "api")["limits"] == {"pids": 1024, "nofile": 16384, "memory": "2G"}


@pytest.mark.parametrize("example", ["all-in-one", "three-controllers"])
def test_the_examples_compile_with_the_real_services(tmp_path: Path, example: str) -> None:
    checkout = Path(__file__).resolve().parents[4]
    shutil.copytree(checkout / "pillar/examples" / example, tmp_path / "openstack")
    services = load_services(checkout / "states/openstack/services")
    generate([tmp_path], fixtures.read(tmp_path), services)
    made = compile_model(fixtures.read(tmp_path), services, "d" * 16, "l" * 16)
    assert made.problems == []
    assert made.plan is not None
    hosts = made.plan["hosts"]
    assert all(made.slices[name]["containers"] or "control" not in hosts[name]["roles"] for name in hosts)


def test_privileges_mounts_and_needs_of_the_host_reach_the_spec(tmp_path: Path) -> None:
    cache = fixtures.with_container(
        fixtures.CACHE,
        privileges={"device_rules": ["c 10:200 rwm"], "cgroup_host": True},
        mounts=[
            {
                "type": "bind",
                "source": "/run/netns",
                "target": "/run/netns",
                "propagation": "shared",
                "create": "shared",
            },
            {"type": "bind", "source": "/dev", "target": "/dev"},
        ],
        host={"sysctls": {"net.ipv4.ip_forward": 1, "net.ipv4.tcp_rmem": "1  2 3"}, "paths": ["/dev/net/tun"]},
    )
    services = fixtures.services_of(tmp_path / "s", fixtures.TOOLBOX, cache)
    found = spec(fixtures.compiled(tmp_path / "p", services, fixtures.pillar(secrets={})), "ctl1", "cache")
    assert (found["device_rules"], found["cgroup_host"]) == (["c 10:200 rwm"], True)
    assert [mount.get("create") for mount in found["mounts"]] == ["shared", None]
    sysctls = {"net.ipv4.ip_forward": "1", "net.ipv4.tcp_rmem": "1 2 3"}
    assert found["host"] == {"sysctls": sysctls, "paths": ["/dev/net/tun"]}


def test_a_container_may_run_on_hosts_with_any_of_several_roles(tmp_path: Path) -> None:
    hosts = {
        "ctl1": {"address": "10.0.0.11", "roles": ["control", "network"]},
        "cmp1": {"address": "10.0.0.12", "roles": ["compute", "network"]},
        "cmp2": {"address": "10.0.0.13", "roles": ["compute"]},
        "db1": {"address": "10.0.0.14", "roles": ["database"]},
    }
    cache = fixtures.with_container(fixtures.CACHE, runs_on=["network", "compute"])
    services = fixtures.services_of(tmp_path / "s", fixtures.TOOLBOX, cache)
    made = fixtures.compiled(tmp_path / "p", services, fixtures.pillar(hosts=hosts, secrets={}))
    assert made.problems == []
    having = [name for name in hosts if any(s["name"] == "cache" for s in made.slices[name]["containers"])]
    assert having == ["ctl1", "cmp1", "cmp2"]
    assert made.plan is not None
    assert made.plan["containers"]["cache"]["hosts"] == having
    assert next(s for s in made.plan["steps"] if s["service"] == "cache")["hosts"] == having
    assert [bool(made.slices[name]["prechecks"]["ports"]) for name in hosts] == [True, True, True, False]


def test_a_job_may_be_due_when_hosts_of_a_container_come_or_go(tmp_path: Path) -> None:
    job = {**fixtures.API["jobs"]["db_sync"], "inputs": ["hosts.worker"]}
    api = {**fixtures.API, "jobs": {"db_sync": job}}
    services = fixtures.services_of(tmp_path / "s", fixtures.CACHE, fixtures.DATABASE, fixtures.TOOLBOX, api)

    def due(name: str, **more: Any) -> str:
        hosts = {**fixtures.PILLAR["hosts"], **more}
        made = fixtures.compiled(tmp_path / name, services, fixtures.pillar(hosts=hosts))
        assert made.problems == []
        return str(made.slices["ctl1"]["jobs"][0]["input"])

    worker = {"address": "10.0.0.12", "roles": ["compute"]}
    assert due("one") == due("two", db1={"address": "10.0.0.13", "roles": ["database"]})
    assert due("one") != due("three", cmp1=worker)


@pytest.mark.parametrize(("tree", "expected"), [({}, False), ({"auto_join": True}, True)])
def test_joining_by_itself_is_opt_in(tmp_path: Path, tree: dict[str, Any], expected: bool) -> None:
    made = fixtures.compiled(tmp_path / "p", fixtures.services_of(tmp_path / "s"), fixtures.pillar(**tree))
    assert made.plan["auto_join"] is expected
