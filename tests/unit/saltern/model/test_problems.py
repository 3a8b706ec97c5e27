"""Wrong input, and what the operator reads about it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from saltern.contract.errors import Problem
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import API, CACHE, DATABASE, TOOLBOX, pillar

FRONTEND = {"port": 3306, "listen": 9, "container": "cache"}
HOST = {"address": "10.0.0.11", "roles": fixtures.ROLES}


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_the_fixture_is_valid(compile: Any) -> None:
    made = compile()
    assert made.problems == []
    assert made.plan is not None


def test_an_unknown_key_has_file_line_and_the_key_that_was_meant(compile: Any) -> None:
    text = yaml.safe_dump({"openstack": pillar(secrets=fixtures.SECRETS)}, sort_keys=False)
    text = text.replace("      address: 10.0.0.11\n", "      adress: 10.0.0.11\n")
    unknown, missing = sorted(compile(text).problems, key=lambda p: p.found, reverse=True)
    line = text.splitlines().index("      adress: 10.0.0.11") + 1
    assert (unknown.file, unknown.line, unknown.key) == ("openstack/init.sls", line, "openstack:hosts:ctl1:adress")
    assert (unknown.found, unknown.hint) == ("unknown key", 'did you mean "address"?')
    assert (missing.key, missing.found) == ("openstack:hosts:ctl1:address", "nothing")


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"release": 2025.2}, "openstack:release", 'quote it: "2025.2"'),
        ({"release": "zed"}, "openstack:release", 'text "zed"'),
        ({"cloud": "My Cloud"}, "openstack:cloud", "a-z"),
        ({"debug": "yes please"}, "openstack:debug", "true or false"),
        ({"vip": "10.0.0.300"}, "openstack:vip", "an IP address"),
        ({"vip": "0.0.0.0"}, "openstack:vip", "an IP address"),
        ({"hosts": {}}, "openstack:hosts", "at least one host"),
        ({"hosts": {"../etc": HOST}}, "openstack:hosts:../etc", "a minion id"),
        ({"hosts": {"a": {**HOST, "address": "10.0.0"}}}, "openstack:hosts:a:address", "an IP address"),
        ({"hosts": {"a": {**HOST, "roles": ["contrl"]}}}, "openstack:hosts:a:roles:0", 'did you mean "control"?'),
        ({"hosts": {"a": {**HOST, "interface": "a b"}}}, "openstack:hosts:a:interface", "a network interface"),
        ({"hosts": {"a": HOST, "b": HOST}}, "openstack:hosts:b:address", 'host "a" has this one'),
        ({"hosts": {"a": HOST, "A": {**HOST, "address": "10.0.0.2"}}}, "openstack:hosts:A", "differs in case only"),
        ({"services": {"cahce": {}}}, "openstack:services:cahce", 'did you mean "cache"?'),
        ({"services": {"api": {"enabled": "no!"}}}, "openstack:services:api:enabled", "true or false"),
        ({"services": {"cache": {"enabled": False}}}, "openstack:services:cache:enabled", 'service "api" needs it'),
        ({"services": {"kolla_toolbox": {"enabled": False}}}, "openstack:services:api", "kolla_toolbox enabled"),
        ({"services": {"api": {"variables": {"worker": 2}}}}, "openstack:services:api:variables:worker", '"workers"?'),
        ({"services": {"api": {"variables": {"workers": "2"}}}}, "openstack:services:api:variables:workers", "number"),
        ({"services": {"api": {"limits": {"aip": {}}}}}, "openstack:services:api:limits:aip", 'did you mean "api"?'),
        (
            {"services": {"api": {"limits": {"api": {"memory": "1Q"}}}}},
            "openstack:services:api:limits:api:memory",
            "1G",
        ),
        ({"config": {"global": {"apy.conf": {}}}}, "openstack:config:global:apy.conf", 'did you mean "api.conf"?'),
        ({"config": {"global": {"key": {}}}}, "openstack:config:global:key", "INI"),
        ({"config": {"services": {"cache": {"api.conf": {}}}}}, "openstack:config:services:cache:api.conf", "nothing"),
        ({"config": {"services": {"ap": {}}}}, "openstack:config:services:ap", 'did you mean "api"?'),
        ({"config": {"containers": {"workr": {}}}}, "openstack:config:containers:workr", 'did you mean "worker"?'),
        (
            {"config": {"global": {"api.conf": {"DEFAULT": {"a": {}}}}}},
            "openstack:config:global:api.conf:DEFAULT:a",
            "list",
        ),
        ({"hosts": {"a": {**HOST, "config": {"x.conf": {}}}}}, "openstack:hosts:a:config:x.conf", "one of"),
        ({"services": {"api": {"variables": {"names": ["A b"]}}}}, "openstack:services:api:variables:names", "a-z"),
        ({"services": {"api": {"variables": {"names": ["a", "a"]}}}}, "openstack:services:api:variables:names", "own"),
        ({"heal": {"patience": "soon"}}, "openstack:heal:patience", "a duration"),
        ({"images": {"builder": "nobody"}}, "openstack:images:builder", "one of the hosts"),
        ({"images": {"registry": "registry"}}, "openstack:images:registry", "host:port"),
        ({"images": {"registry_username": "me"}}, "openstack:images:registry", "a registry, as"),
        (
            {"images": {"registry": "reg:5000", "registry_username": "me"}},
            "openstack:secrets:registry_password",
            "the password of me at reg:5000",
        ),
        (
            {
                "images": {
                    "registry": "reg:5000",
                    "registry_ca": "-----BEGIN CERTIFICATE-----\nPRIVATE KEY\n-----END CERTIFICATE-----",
                }
            },
            "openstack:images:registry_ca",
            "no key",
        ),
        ({"images": {"registry": "reg:5000", "registry_ca": "ca.crt"}}, "openstack:images:registry_ca", "PEM text"),
        ({"secrets": {**fixtures.SECRETS, "root_password": "abc"}}, "openstack:secrets:root_password", "masked"),
        (
            {"secrets": {**fixtures.SECRETS, "root_password": "RegionOne"}},
            "openstack:secrets:root_password",
            "region's",
        ),
        ({"secrets": {**fixtures.SECRETS, "api_keys": "only-one"}}, "openstack:secrets:api_keys", "a list of 2"),
        ({"hosts": {"a": {"address": "10.0.0.1", "roles": ["control", "compute"]}}}, "openstack:hosts", '"database"'),
    ],
)
def test_one_fault_gives_one_problem_that_says_what_to_do(compile: Any, change: Any, key: str, words: str) -> None:
    problem = only(compile(**change).problems)
    assert problem.key == key
    assert words in f"{problem.expected} {problem.found} {problem.hint}"
    assert problem.file == "openstack/init.sls"
    assert problem.line


def test_all_faults_come_at_once(compile: Any) -> None:
    made = compile(debug="x", vip="nope", heal={"pateince": 1})
    assert set(fixtures.keys(made.problems)) == {"openstack:debug", "openstack:vip", "openstack:heal:pateince"}


def test_a_missing_secret_names_the_verb_that_makes_it(compile: Any) -> None:
    problem = only(compile(secrets={k: v for k, v in fixtures.SECRETS.items() if k != "root_password"}).problems)
    assert problem.key == "openstack:secrets:root_password"
    assert "salt-run openstack.secrets_generate" in problem.hint


def test_a_misspelt_secret_is_named_beside_the_missing_one(compile: Any) -> None:
    secrets = {k.replace("root_", "rot_"): v for k, v in fixtures.SECRETS.items()}
    assert '"rot_password"' in only(compile(secrets=secrets).problems).hint


def test_a_secret_is_never_quoted(compile: Any) -> None:
    made = compile(secrets={**fixtures.SECRETS, "root_password": {"value": "hunter22"}, "api_keys": 77123})
    assert len(made.problems) == 2
    assert "hunter22" not in str(made.problems)
    assert "77123" not in str(made.problems)


def test_a_duplicate_key_is_found_with_both_lines(compile: Any) -> None:
    text = "openstack:\n  hosts:\n    ctl1: {address: 10.0.0.1}\n    ctl1: {address: 10.0.0.2}\n"
    problem = next(p for p in compile(text).problems if p.key == "openstack:hosts:ctl1")
    assert (problem.line, problem.found) == (4, "the key twice, first in line 3")


def test_broken_yaml_has_a_line_and_no_excerpt(compile: Any) -> None:
    problem = compile("openstack:\n  secrets:\n    a: [hunter22\n  b: c\n").problems[0]
    assert problem.line
    assert problem.expected == "valid YAML"
    assert "hunter22" not in str(problem)


@pytest.mark.parametrize(
    "text", ["", "[]", "openstack: 5", "stack: {}", "openstack:", "&a [*a]", "openstack: &a {b: *a}"]
)
def test_files_that_hold_no_cloud_are_named(compile: Any, text: str) -> None:
    made = compile(text)
    assert made.problems
    assert made.plan is None


def test_two_files_must_not_contradict_each_other(tmp_path: Path, services: Any) -> None:
    root = fixtures.write_pillar(tmp_path / "p", pillar())
    (root / "openstack" / "more.sls").write_text("openstack:\n  region: Here\n  release: '2026.1'\n  debug: false\n")
    tree = fixtures.read(root)
    problem = only(tree.problems)
    assert (problem.file, problem.line, problem.key) == ("openstack/more.sls", 3, "openstack:release")
    assert "openstack/init.sls:3" in problem.expected
    assert tree.data["region"] == "Here"


def test_no_file_at_all_names_the_examples(tmp_path: Path) -> None:
    (tmp_path / "openstack").mkdir()
    assert "pillar/examples" in only(fixtures.read(tmp_path).problems).hint


def broken(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**base, **changes}


container = fixtures.with_container
TWO_ON_ONE_HOST = {
    **CACHE,
    "containers": {
        name: {**CACHE["containers"]["cache"], "ports": [], "host": {"sysctls": {"net.core.rmem_max": value}}}
        for name, value in (("cache", 1), ("other", 2))
    },
}


@pytest.mark.parametrize(
    ("service", "key", "words"),
    [
        (broken(CACHE, nmae="x"), "nmae", 'did you mean "name"?'),
        (broken(CACHE, name="other"), "name", "the folder's name"),
        (broken(CACHE, needs=["databse"]), "needs", 'did you mean "database"?'),
        (broken(CACHE, needs=["api"]), "needs", "circle"),
        (container(CACHE, user="memcachd"), "containers:cache:user", 'did you mean "memcached"?'),
        (container(CACHE, runs_on="cntrol"), "containers:cache:runs_on", 'did you mean "control"?'),
        (container(CACHE, runs_on=["cntrol"]), "containers:cache:runs_on:0", 'did you mean "control"?'),
        (
            container(CACHE, runs_on=["network", "storage"]),
            "openstack:hosts",
            'role "network" or "storage" (for cache)',
        ),
        (
            container(CACHE, privileges={"device_rules": ["c 10 rw"]}),
            "containers:cache:privileges:device_rules:0",
            "a rule",
        ),
        (container(CACHE, host={"sysctls": {"net/x": 1}}), "containers:cache:host:sysctls:net/x", "a sysctl"),
        (TWO_ON_ONE_HOST, "containers:other:host:sysctls:net.core.rmem_max", "as container cache on the same host"),
        (
            container(CACHE, mounts=[{"type": "volume", "source": "x", "target": "/x", "create": "directory"}]),
            "containers:cache:mounts:0:create",
            "bind mount",
        ),
        (
            broken(CACHE, jobs={"j": {"container": "cache", "process": "x", "inputs": ["hosts.cahce"]}}),
            "jobs:j:inputs",
            'did you mean "cache"?',
        ),
        (container(CACHE, limits={"memory": "much"}), "containers:cache:limits:memory", "a size"),
        (container(CACHE, stop_timeout="1 week"), "containers:cache:stop_timeout", "a duration"),
        (container(CACHE, for_each="things"), "containers:cache:for_each", "one of memory"),
        (container(CACHE, config={"a": {"dest": "/a"}}), "containers:cache:config:a", "no such file"),
        (container(CACHE, config={"a": {"dest": "/x/a"}}, writable=["/y"]), "containers:cache:config:a:dest", "/y"),
        (broken(CACHE, frontend=FRONTEND), "openstack:services:database", "a frontend port of its own"),
        (container(CACHE, process="x {{ nothing }}"), "containers:cache on ctl1", "'nothing' is undefined"),
        (
            container(CACHE, process="x {{ secret('root_password') }}"),
            "containers:cache on ctl1",
            "in files only",
        ),
        (container(CACHE, process="x {% if %}"), "containers:cache on ctl1", "Expected an expression"),
        (container(CACHE, liveness={"http": "/v3"}), "containers:cache:liveness", "no frontend"),
        (container(CACHE, liveness={"tcp": "lissen"}), "containers:cache:liveness:tcp", '"listen"'),
        (container(CACHE, ports=[11211, 13306]), "openstack:hosts:ctl1", "cache and database both bind it"),
        (container(CACHE, mounts=[{"type": "bind", "target": "/x"}]), "containers:cache:mounts:0:source", "a bind"),
        (
            broken(DATABASE, provides={"database": {"user": "root", "password": "rot"}}),
            "provides:database:password",
            "rot",
        ),
        (broken(TOOLBOX, needs=["api"]), "needs", "made in the toolbox"),
    ],
)
def test_faults_of_a_service_folder(tmp_path: Path, service: Any, key: str, words: str) -> None:
    folder = service["name"] if service["name"] != "other" else "cache"
    others = [s for s in (CACHE, DATABASE, TOOLBOX, API) if s["name"] != folder]
    root = fixtures.write_services(tmp_path / "s", *others, {**service, "name": folder})
    (root / folder / "service.yaml").write_text(yaml.safe_dump(service, sort_keys=False))
    made = fixtures.compiled(tmp_path / "p", fixtures.load_services(root, "services"), pillar())
    found = [p for p in made.problems if p.key == key]
    assert found, made.problems
    assert words in f"{found[0].expected} {found[0].found} {found[0].hint}"


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("[a]\nb = {{ nothing }}\n", 2, "'nothing' is undefined"),
        ("[a]\nb = {{ secret('nope') }}\n", 2, 'no secret "nope"'),
        ("[a]\nb = {{ secret('api_keys') }}\n", 2, "is a list of 2"),
        ("[a]\nb = {{ url('nope') }}\n", 2, 'no enabled service "nope"'),
        ("[a]\n{% for %}\n", 2, "Expected"),
        ("[a]\nb = {{ 1 / 0 }}\n", 2, "ZeroDivisionError"),
        ("b = 1\n", None, "before the first section"),
        ("[a]\nb = {{ ''.__class__.__mro__ }}\n", 2, "unsafe"),
    ],
)
def test_a_template_that_does_not_render_is_named_once(tmp_path: Path, template: str, line: Any, words: str) -> None:
    files = {**fixtures.API_FILES, "api.conf.j2": template}
    services = fixtures.services_of(tmp_path / "s", files=files)
    hosts = {f"ctl{n}": {"address": f"10.0.0.{n}", "roles": fixtures.ROLES} for n in range(1, 4)}
    problem = only(fixtures.compiled(tmp_path / "p", services, pillar(hosts=hosts)).problems)
    assert (problem.file, problem.line) == ("services/api/files/api.conf.j2", line)
    assert words in problem.found
