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
