"""Who set a key, as data and as an operator reads it."""

from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.contract.masking import MASK
from saltern.model.explain import explain
from saltern.terminal import explain as terminal
from unit.saltern.model import fixtures

HOSTS = {
    "ctl1": {"address": "10.0.0.11", "roles": fixtures.ROLES},
    "ctl2": {"address": "10.0.0.12", "roles": ["control"], "config": {"api.conf": {"DEFAULT": {"debug": "maybe"}}}},
}


@pytest.fixture
def origins(compile: Any) -> dict[str, Any]:
    config = {"global": {"api.conf": {"DEFAULT": {"debug": True}}}}
    return dict(compile(config=config, hosts=HOSTS).origins)


def test_the_chain_is_weakest_first(origins: dict[str, Any]) -> None:
    found = explain(origins, "api.conf", "DEFAULT.debug")["containers"]["api"]
    assert [(s["value"], s["who"]) for s in found] == [
        ("False", "template"),
        ("True", "openstack:config:global"),
        ("maybe", "openstack:hosts:ctl2:config"),
    ]


def test_one_host_sees_its_own(origins: dict[str, Any]) -> None:
    found = explain(origins, "api.conf", "DEFAULT.debug", host="ctl1", container="api")["containers"]["api"]
    assert [s["value"] for s in found] == ["False", "True"]


def test_a_secret_is_masked(origins: dict[str, Any]) -> None:
    found = explain(origins, "api.conf", "database.connection")["containers"]["api"]
    assert {s["value"] for s in found} == {MASK}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("apy.conf", "DEFAULT.debug"), 'Did you mean "api.conf"?'),
        (("api.conf", "DEFAULT.debgu"), 'Did you mean "DEFAULT.debug"?'),
        (("api.conf", "zzz"), "section.key"),
    ],
)
def test_a_wrong_name_is_answered_with_the_near_one(origins: Any, arguments: Any, words: str) -> None:
    with pytest.raises(SalternError) as caught:
        explain(origins, *arguments)
    assert words in str(caught.value)


def test_a_container_without_the_file_is_named(origins: dict[str, Any]) -> None:
    with pytest.raises(SalternError, match="has no file"):
        explain(origins, "api.conf", "DEFAULT.debug", container="cache")


def test_the_terminal_marks_what_counts(origins: dict[str, Any]) -> None:
    text = terminal.render(explain(origins, "api.conf", "DEFAULT.debug"), width=200).splitlines()
    assert text[0] == "api.conf DEFAULT.debug in api: differs by host"
    assert [line.split()[0] for line in text[1:]] == ["○", "●", "●"]
    assert "on ctl2" in text[3]
    one = terminal.render(explain(origins, "api.conf", "DEFAULT.debug", host="ctl1"), width=60).splitlines()
    assert one[0] == "api.conf DEFAULT.debug in api on ctl1: True"
    assert max(map(len, one)) <= 60
