"""One service provides messaging, any other says that it uses it: its templates get the URL and the options."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from saltern.model import ini
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import API, API_FILES, CACHE, DATABASE, TOOLBOX

GIVEN: dict[str, Any] = {
    "user": "openstack",
    "password": "queue_password",
    "vhost": "openstack",
    "container": "queue",
    "port": 5672,
    "options": {"rabbit_quorum_queue": True, "rabbit_interval_max": 10},
}
QUEUE: dict[str, Any] = {
    "name": "queue",
    "secrets": {"queue_password": {"kind": "password"}},
    "provides": {"messaging": GIVEN},
    "containers": {
        "queue": {
            "image": "queue",
            "runs_on": "messaging",
            "user": "rabbitmq",
            "process": "queued",
            "ports": [5672, {"port": 4369}],
        }
    },
}
FILES = {
    **API_FILES,
    "api.conf.j2": "[DEFAULT]\ntransport_url = {{ transport_url() }}\n\n{{ oslo_messaging() }}\n[cache]\nservers = a\n",
}
HOSTS = {
    "ctl1": {"address": "10.0.0.11", "roles": [*fixtures.ROLES, "messaging"]},
    "ctl2": {"address": "fd00::12", "roles": ["control", "messaging"]},
}


def user(**changes: Any) -> dict[str, Any]:
    return {**API, "needs": [*API["needs"], "queue"], "messaging": {}, **changes}


def compiled(root: Path, queue: Any = QUEUE, api: Any = None, **changes: Any) -> Any:
    folders = [CACHE, DATABASE, TOOLBOX, user() if api is None else api, *([queue] if queue else [])]
    services = fixtures.services_of(root / "s", *folders, files=FILES)
    secrets = {**fixtures.SECRETS, "queue_password": "q@/ word"}
    return fixtures.compiled(root / "p", services, fixtures.pillar(hosts=HOSTS, secrets=secrets, **changes))


def conf(made: Any, host: str = "ctl1", container: str = "api") -> Any:
    assert not made.problems, made.problems
    specs = [*made.slices[host]["containers"], *(job["spec"] for job in made.slices[host]["jobs"])]
    (spec,) = [spec for spec in specs if spec["name"] == container]
    return ini.parse(next(f["content"] for f in spec["files"] if f["name"] == "api.conf"))


def test_the_url_lists_every_member_and_its_password_is_a_secret(tmp_path: Path) -> None:
    made = compiled(tmp_path)
    members = "openstack:q%40%2F%20word@10.0.0.11:5672,openstack:q%40%2F%20word@[fd00::12]:5672"
    assert conf(made)["DEFAULT"]["transport_url"] == [f"rabbit://{members}/openstack"]
    assert {"q@/ word", "q%40%2F%20word"} <= set(made.slices["ctl2"]["secrets"])


def test_the_section_has_the_providers_options_then_the_services_own(tmp_path: Path) -> None:
    made = compiled(tmp_path, api=user(messaging={"options": {"rabbit_interval_max": 3, "ssl": False}}))
    assert conf(made)["oslo_messaging_rabbit"] == {
        "rabbit_quorum_queue": ["true"],
        "rabbit_interval_max": ["3"],
        "ssl": ["false"],
        "hostname": ["ctl1"],
        "processname": ["api"],
    }


def test_no_two_processes_share_a_name_for_their_queues(tmp_path: Path) -> None:
    made = compiled(tmp_path)
    found = [
        conf(made, *where)["oslo_messaging_rabbit"]
        for where in (("ctl1", "api"), ("ctl1", "api--db_sync"), ("ctl2", "api"))
    ]
    names = [(section["hostname"][0], section["processname"][0]) for section in found]
    assert names == [("ctl1", "api"), ("ctl1", "api--db_sync"), ("ctl2", "api")]


def test_operators_override_the_options_as_any_key(tmp_path: Path) -> None:
    config = {"global": {"api.conf": {"oslo_messaging_rabbit": {"rabbit_interval_max": 5}}}}
    assert conf(compiled(tmp_path, config=config))["oslo_messaging_rabbit"]["rabbit_interval_max"] == ["5"]


@pytest.mark.parametrize(
    ("queue", "api", "key", "words"),
    [
        (None, user(needs=API["needs"]), "openstack:services:api", "provides messaging"),
        (QUEUE, API, "containers:api on ctl1", "uses no messaging"),
        (QUEUE, user(messaging={"options": {"a": [1]}}), "messaging:options:a", "text, a number"),
        (QUEUE, user(messaging={"optoins": {}}), "messaging:optoins", "options"),
        (
            {**QUEUE, "provides": {"messaging": {**GIVEN, "port": 5671}}},
            user(),
            "provides:messaging:port",
            "5672, 4369",
        ),
        (
            {**QUEUE, "provides": {"messaging": {**GIVEN, "container": "quue"}}},
            user(),
            "provides:messaging:container",
            '"queue"',
        ),
        (
            {**QUEUE, "provides": {"messaging": {**GIVEN, "password": "quue"}}},
            user(),
            "provides:messaging:password",
            "quue",
        ),
    ],
)
def test_faults(tmp_path: Path, queue: Any, api: Any, key: str, words: str) -> None:
    found = [p for p in compiled(tmp_path, queue, api).problems if p.key == key]
    assert found, compiled(tmp_path / "again", queue, api).problems
    assert words in f"{found[0].expected} {found[0].found} {found[0].hint}"


def test_the_url_reaches_files_only(tmp_path: Path) -> None:
    leaking = yaml.safe_load(yaml.safe_dump(user()))
    leaking["containers"]["api"]["process"] = "apid {{ transport_url() }}"
    (problem,) = {p.found for p in compiled(tmp_path, api=leaking).problems}
    assert "in files only" in problem


def test_templates_see_the_limits_that_the_container_will_have(tmp_path: Path) -> None:
    files = {**API_FILES, "api.conf.j2": "[a]\nbytes = {{ container.limits.memory | bytes }}\n"}
    api = {**API, "containers": {**API["containers"], "api": {**API["containers"]["api"], "limits": {"memory": "1G"}}}}
    services = fixtures.services_of(tmp_path / "s", CACHE, DATABASE, TOOLBOX, api, files=files)
    for pillar, size in (({}, 2**30), ({"services": {"api": {"limits": {"api": {"memory": "512M"}}}}}, 2**29)):
        made = fixtures.compiled(tmp_path / "p", services, fixtures.pillar(**pillar))
        assert conf(made)["a"]["bytes"] == [str(size)]


def probed(probe: dict[str, Any]) -> Any:
    containers = {**API["containers"], "api": {**API["containers"]["api"], "liveness": probe}}
    return user(containers=containers)


def test_a_probe_for_the_connection_to_the_queue_names_its_members(tmp_path: Path) -> None:
    made = compiled(tmp_path, api=probed({"connected": "messaging", "every": "10s", "failures": 6}))
    assert not made.problems, made.problems
    (api,) = [spec for spec in made.slices["ctl1"]["containers"] if spec["name"] == "api"]
    members = "10.0.0.11:5672,[fd00::12]:5672"
    assert api["liveness"] == {"connected": members, "interval": 10, "timeout": 3, "failures": 6}


def test_a_probe_may_name_other_servers(tmp_path: Path) -> None:
    made = compiled(tmp_path, api=probed({"connected": "10.0.0.9:6642, [fd00::9]:6642"}))
    (api,) = [spec for spec in made.slices["ctl1"]["containers"] if spec["name"] == "api"]
    assert api["liveness"]["connected"] == "10.0.0.9:6642,[fd00::9]:6642"


@pytest.mark.parametrize(
    ("text", "queue", "expected"),
    [
        ("messaging", None, "an enabled service that provides messaging"),
        ("mesaging", QUEUE, '"mesaging"'),
        ("10.0.0.11", QUEUE, '"10.0.0.11"'),
        ("10.0.0.11:5672,10.0.0.12:99999", QUEUE, '"10.0.0.12:99999"'),
        ("db.example.org:5672", QUEUE, "address:port"),
    ],
)
def test_a_probe_for_a_connection_to_nowhere_is_refused(tmp_path: Path, text: str, queue: Any, expected: str) -> None:
    api = probed({"connected": text})
    if queue is None:  # only the probe needs the queue
        api = {**api, "needs": API["needs"]}
        api.pop("messaging")
    folders = [CACHE, DATABASE, TOOLBOX, api, *([queue] if queue else [])]
    services = fixtures.services_of(tmp_path / "s", *folders, files=API_FILES)
    secrets = {**fixtures.SECRETS, **({"queue_password": "q@/ word"} if queue else {})}
    made = fixtures.compiled(tmp_path / "p", services, fixtures.pillar(hosts=HOSTS, secrets=secrets))
    problem = next(p for p in made.problems if p.key.endswith("containers:api:liveness:connected"))
    assert expected in f"{problem.expected} {problem.found}"
