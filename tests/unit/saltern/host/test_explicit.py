"""An operator's own container: defaults that are safe, mistakes that are named."""

from __future__ import annotations

import pytest

from saltern.contract.errors import SalternError
from saltern.host import explicit
from saltern.host import spec as specs


def test_defaults_are_those_of_the_model() -> None:
    spec = explicit.spec("cache", "saltern/memcached:1", {}, cloud="test")
    body = specs.body(spec, "sha256:1", None)
    assert body["HostConfig"]["CapDrop"] == ["ALL"]
    assert body["HostConfig"]["ReadonlyRootfs"] is True
    assert body["Labels"]["saltern.own"] == "true"
    assert body["Labels"]["saltern.cloud"] == "test"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Cache", {}, "lower case"),
        ("a--next", {}, "lower case"),
        ("cache", {"enviroment": {}}, 'Did you mean "environment"?'),
        ("cache", {"qqq": 1}, "Known are "),
        ("cache", {"layout": "other"}, "layout: expected saltern or kolla, found 'other'"),
        ("cache", {"restart": "always"}, "expected engine, health, none, found 'always'"),
        ("cache", {"limits": {"memory": "much"}}, "'much' is not a size"),
        ("cache", {"files": [{"name": "x"}]}, "a file needs dest, content"),
        ("cache", {"files": ["x"]}, "a file needs name, dest, content"),
    ],
)
def test_mistakes(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SalternError) as caught:
        explicit.spec(name, "image", arguments, cloud="test")
    assert message in str(caught.value)


def test_an_image_that_kolla_built_gets_what_its_sudo_needs() -> None:
    arguments = {"layout": "kolla", "capabilities": ["NET_ADMIN"], "environment": {"A": "b"}}
    host = specs.body(explicit.spec("nova", "elsewhere/nova:1", arguments, cloud="test"), "sha256:1", None)
    assert host["HostConfig"]["ReadonlyRootfs"] is False
    assert host["HostConfig"]["Init"] is False
    assert host["HostConfig"]["CapDrop"] == ["ALL"]
    wanted = ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_ADMIN", "SETGID", "SETUID"]
    assert host["HostConfig"]["CapAdd"] == wanted
    assert host["Env"] == ["A=b", "KOLLA_CONFIG_STRATEGY=COPY_ALWAYS"]


def test_a_layout_s_values_may_be_overridden() -> None:
    made = explicit.spec("nova", "elsewhere/nova:1", {"layout": "kolla", "init": True}, cloud="test")
    assert made["init"] is True
    assert "layout" not in made
