"""Images as states: a missing one names the command that makes it; absent honours test mode."""

from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from unit.adapters import load

HERE = {"saltern/keystone:1": "sha256:1", "saltern/glance-api:1": None}


def state(test: bool = False, error: bool = False) -> tuple[Any, list[str]]:
    removed: list[str] = []

    def present(references: list[str]) -> dict[str, str | None]:
        if error:
            raise CommandExecutionError("no engine answers")
        return {reference: HERE.get(reference) for reference in references}

    salt = {"openstack_image.present": present, "openstack_image.remove": removed.append}
    return load("states", "openstack_image", salt=salt, opts={"test": test}), removed


@pytest.mark.parametrize("test", [True, False])
def test_present(test: bool) -> None:
    module, _ = state(test)
    assert module.present("saltern/keystone:1")["result"] is True
    ret = module.present("All", images=list(HERE))
    assert ret["result"] is False
    assert "saltern/glance-api:1" in ret["comment"]
    assert "salt-run openstack.build names=glance-api;" in ret["comment"]


@pytest.mark.parametrize("test", [True, False])
def test_absent(test: bool) -> None:
    module, removed = state(test)
    ret = module.absent("saltern/keystone:1")
    assert ret["result"] is (None if test else True)
    assert ret["changes"] == {"saltern/keystone:1": {"old": "sha256:1", "new": None}}
    assert removed == ([] if test else ["saltern/keystone:1"])
    assert module.absent("saltern/glance-api:1") == {
        "name": "saltern/glance-api:1", "result": True, "changes": {}, "comment": "It is not here",
    }  # fmt: skip


def test_an_engine_that_is_away() -> None:
    module, _ = state(error=True)
    for function in (module.present, module.absent):
        assert function("saltern/keystone:1")["result"] is False
