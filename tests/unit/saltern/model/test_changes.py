"""What an operator changed between two models."""

import json
from typing import Any

from saltern.model.changes import changes, flatten
from saltern.model.sources import Sources, Where

SOURCES = Sources("p.sls", {("openstack", "config", "debug"): Where("p.sls", 14)})


def flat(tree: dict[str, Any]) -> dict[str, Any]:
    return flatten(tree, SOURCES, b"key")


def test_each_key_is_named_with_its_place_and_both_values() -> None:
    old = flat({"config": {}, "hosts": {"a": {"roles": ["x"]}}})
    new = flat({"config": {"debug": True}, "hosts": {"a": {"roles": ["x"]}}})
    assert {"key": "openstack:config:debug", "file": "p.sls", "line": 14, "old": "unset", "new": "True"} in changes(
        old, new
    )
    assert changes(old, old) == []


def test_a_secret_that_changed_is_named_but_not_shown() -> None:
    old, new = flat({"secrets": {"a": "hunter22"}}), flat({"secrets": {"a": "hunter23"}})
    assert [(c["key"], c["old"], c["new"]) for c in changes(old, new)] == [
        ("openstack:secrets:a", "(secret)", "(secret)")
    ]
    assert "hunter" not in json.dumps([old, new])
