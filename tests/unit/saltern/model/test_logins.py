"""What every API's files say alike: how it logs in to Keystone, how it checks a caller, how uwsgi runs it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from saltern.contract.masking import MASK
from saltern.model import ini
from saltern.model.explain import explain
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import API, CACHE, DATABASE, TOOLBOX
from unit.saltern.model.test_messaging import HOSTS, QUEUE

OTHER: dict[str, Any] = {
    "name": "other",
    "secrets": {"other_password": {"kind": "password"}},
    "identity": {"users": [{"name": "otto", "password": "other_password", "project": "else"}]},
    "containers": {
        "other": {"image": "other", "runs_on": "control", "user": "nova", "process": "otherd"},
    },
}
MEMCACHED: dict[str, Any] = {
    "name": "memcached",
    "containers": {"memcached": {**CACHE["containers"]["cache"], "process": "cached", "ports": [11212]}},
}
MEMCACHED["containers"]["memcached"].pop("liveness")
PASSWORD = "pa$$word$1"
TEXT = """[one]
more = here
{{ service_auth("otto") }}

{{ token_auth("otto") }}
[cache]
queue = {{ messaging_servers }}
"""


def compiled(
    root: Path, template: str = TEXT, api: Any = API, others: Any = (OTHER, QUEUE, MEMCACHED), **changes: Any
) -> Any:
    files = {**fixtures.API_FILES, "api.conf.j2": template}
    services = fixtures.services_of(root / "s", CACHE, DATABASE, TOOLBOX, api, *others, files=files)
    secrets = {**fixtures.SECRETS, "other_password": PASSWORD, "queue_password": "of-the-queue"}
    return fixtures.compiled(root / "p", services, fixtures.pillar(hosts=HOSTS, secrets=secrets, **changes))


def conf(made: Any, host: str = "ctl1") -> ini.Ini:
    assert not made.problems, made.problems
    (spec,) = [spec for spec in made.slices[host]["containers"] if spec["name"] == "api"]
    return ini.parse(next(f["content"] for f in spec["files"] if f["name"] == "api.conf"))


LOGIN = {
    "auth_url": ["http://10.0.0.11:5000"],
    "auth_type": ["password"],
    "username": ["otto"],
    "password": ["pa$$$$word$$1"],
    "user_domain_name": ["Default"],
    "project_domain_name": ["Default"],
    "project_name": ["else"],
    "region_name": ["RegionOne"],
}


def test_a_login_is_the_users_and_its_password_a_secret(tmp_path: Path) -> None:
    """To oslo.config a dollar begins another option's name, so a password's is doubled."""
    made = compiled(tmp_path)
    assert conf(made)["one"] == {"more": ["here"], **LOGIN}
    assert {PASSWORD, "pa$$$$word$$1"} <= set(made.slices["ctl2"]["secrets"])
    assert PASSWORD not in str(made.plan)


def test_tokens_are_checked_with_the_same_login(tmp_path: Path) -> None:
    assert conf(compiled(tmp_path))["keystone_authtoken"] == {
        "www_authenticate_uri": ["http://10.0.0.11:5000"],
        **LOGIN,
        "memcached_servers": ["10.0.0.11:11212,[fd00::12]:11212"],
        "service_token_roles": ["service"],
        "service_token_roles_required": ["true"],
    }


def test_members_of_the_message_queue_have_an_address_each(tmp_path: Path) -> None:
    assert conf(compiled(tmp_path))["cache"]["queue"] == ["10.0.0.11:5672,[fd00::12]:5672"]
    none = compiled(tmp_path / "none", "[a]\nqueue = <{{ messaging_servers }}>\n", others=(OTHER,))
    assert conf(none)["a"]["queue"] == ["<>"]


def test_operators_override_a_helpers_lines_and_are_told_who_set_them(tmp_path: Path) -> None:
    made = compiled(tmp_path, config={"global": {"api.conf": {"keystone_authtoken": {"region_name": "Elsewhere"}}}})
    assert conf(made)["keystone_authtoken"]["region_name"] == ["Elsewhere"]
    found = explain(made.origins, "api.conf", "keystone_authtoken.region_name")["containers"]["api"]
    assert [(s["value"], s["who"]) for s in found] == [
        ("RegionOne", "template"),
        ("Elsewhere", "openstack:config:global"),
    ]
    assert found[0]["where"] == "services/api/files/api.conf.j2"
    assert found[1]["where"].startswith("openstack/init.sls:")
    password = explain(made.origins, "api.conf", "keystone_authtoken.password")["containers"]["api"]
    assert [s["value"] for s in password] == [MASK]


def test_uwsgi_binds_the_hosts_address_and_the_frontends_port(tmp_path: Path) -> None:
    made = compiled(tmp_path, '{{ uwsgi("a.wsgi:application", env={"A": "/etc/a", "B": 1}) }}\n')
    assert conf(made, "ctl2")["uwsgi"]["http-socket"] == ["[fd00::12]:15000"]
    found = conf(made)["uwsgi"]
    assert found["http-socket"] == ["10.0.0.11:15000"]
    assert (found["module"], found["env"]) == (["a.wsgi:application"], ["A=/etc/a", "B=1"])
    assert (found["processes"], found["disable-logging"]) == (["1"], ["true"])
    assert "threads" not in found, "the service has no variable of that name"


def test_uwsgis_options_are_the_services_then_the_templates_own(tmp_path: Path) -> None:
    api = {**API, "variables": {**API["variables"], "threads": 7}}
    template = '{{ uwsgi("a:b", http=true, threads=none, http_timeout=5, need_app=false, env={}) }}\n'
    other = {"services": {"api": {"variables": {"workers": 3}}}, "debug": True}
    found = conf(compiled(tmp_path, '{{ uwsgi("a:b") }}\n', api, **other))["uwsgi"]
    assert (found["processes"], found["threads"], found["disable-logging"]) == (["3"], ["7"], ["false"])
    found = conf(compiled(tmp_path / "own", template, api))["uwsgi"]
    assert (found["http"], found["http-timeout"], found["need-app"]) == (["10.0.0.11:15000"], ["5"], ["false"])
    assert not {"http-socket", "threads", "env"} & set(found)


@pytest.mark.parametrize(
    ("template", "others", "words"),
    [
        ('[a]\n{{ service_auth("otot") }}\n', (OTHER,), 'has a user "otot"'),
        ('[a]\n{{ token_auth("otto") }}\n', (), 'has a user "otto"'),
    ],
)
def test_an_unknown_user_is_named_with_the_templates_line(
    tmp_path: Path, template: str, others: Any, words: str
) -> None:
    (problem,) = compiled(tmp_path, template, others=others).problems
    assert words in problem.found
    assert (problem.file, problem.line) == ("services/api/files/api.conf.j2", 2)


def test_a_container_without_frontend_has_no_uwsgi(tmp_path: Path) -> None:
    api = yaml.safe_load(yaml.safe_dump(API))
    api["containers"]["worker"]["process"] = "x {{ uwsgi('a:b') }}"
    found = {p.found for p in compiled(tmp_path, "[a]\n", api).problems}
    assert found == {'no frontend of service "api" names the container "worker"'}


@pytest.mark.parametrize("helper", ["service_auth", "token_auth"])
def test_a_login_reaches_files_only(tmp_path: Path, helper: str) -> None:
    api = yaml.safe_load(yaml.safe_dump(API))
    api["containers"]["api"]["process"] = f"apid {{{{ {helper}('otto') }}}}"
    (found,) = {p.found for p in compiled(tmp_path, "[a]\n", api).problems}
    assert "in files only" in found and PASSWORD not in found
