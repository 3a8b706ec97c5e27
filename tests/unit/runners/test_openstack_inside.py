"""Verbs about what is inside images: whom they ask, what they answer, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern import terminal
from saltern.images.front import folder
from saltern.plan.ask import Answers
from saltern_front import front
from unit.adapters import load

PACKAGES = {"distribution": {"libc6": {"version": "1", "license": "LGPL-2.1+"}}, "python": {}}
IMAGE = {"id": "sha256:" + "a" * 64, "size": 5, "created": "2025-01-01T00:00:00Z", "config": {"labels": {}}, **PACKAGES}
NOTHING = {"count": 0, "bytes": 0, "biggest": []}
CHOSEN = {"release": "2025.2", "hosts": {"b1": ["builder"], "ctl1": ["control"]}, "images": {}}


class Asked:
    """Minions that answer what they are told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answer: Any = None
        self.silent: list[str] = []

    def __call__(self, hosts: list[str], function: str, args: Any = (), kwargs: Any = None, **_: Any) -> Answers:
        self.calls.append((hosts, function, kwargs))
        return Answers(returns={} if self.silent else {hosts[0]: self.answer})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(front.Front, "ask", lambda self, *args, **kwargs: asked(*args, **kwargs))
    return asked


@pytest.fixture
def module(tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Any:
    opts = {"saltern_state_dir": str(tmp_path), "user": "root", "saltern_checkout": str(folder(None).parent)}
    module = load("runners", "openstack_inside", opts=opts, salt={})
    monkeypatch.setattr(front.Front, "plan_module", lambda self, *args, **kwargs: CHOSEN)
    return module


def test_a_difference_is_3_and_equality_is_0(module: Any, asked: Asked) -> None:
    files = {"added": NOTHING, "removed": NOTHING, "changed": NOTHING}
    asked.answer = {"a": IMAGE, "b": {**IMAGE, "id": "sha256:" + "b" * 64}, "files": files}
    data = module.images_diff("keystone", "x/y:1")["data"]
    assert (data["retcode"], data["kind"]) == (0, "images_diff")
    assert asked.calls == [(["b1"], "openstack_image.compared", {"a": "saltern/keystone:2025.2", "b": "x/y:1"})]
    asked.answer["files"]["added"] = {"count": 1, "bytes": 3, "biggest": [["/a", None, ["file", 420, 0, 0, 3, "x"]]]}
    data = module.images_diff("keystone", "x/y:1", host="ctl1")["data"]
    assert data["retcode"] == 3
    assert asked.calls[-1][0] == ["ctl1"]
    assert "Files: 1 added" in terminal.render(data)


def test_a_bill_is_made_once(module: Any, asked: Asked, tmp_path: Path) -> None:
    asked.answer = IMAGE
    data = module.images_sbom("keystone")["data"]
    assert (data["retcode"], data["how"], data["licenses"]) == (0, "made", [["LGPL-2.1-or-later", 1]])
    assert Path(data["path"]).parent == tmp_path / "sbom"
    assert "saltern/keystone:2025.2: 1 package" in terminal.render(data)
    assert module.images_sbom("keystone")["data"]["how"] == "found"
    assert len(asked.calls) == 1


@pytest.mark.parametrize(("name", "says"), [("keystnoe", "Did you mean keystone"), ("glance-ap", "glance-api")])
def test_a_wrong_name_is_2_with_the_nearest(module: Any, asked: Asked, name: str, says: str) -> None:
    data = module.images_sbom(name)["data"]
    assert data["retcode"] == 2
    assert says in data["hint"]
    assert asked.calls == []


def test_an_image_that_is_missing_and_a_builder_that_is_away(module: Any, asked: Asked) -> None:
    asked.answer = "ERROR: x/y:1: there is no such image on this host. Look: salt-run openstack.images"
    data = module.images_diff("x/y:1", "keystone")["data"]
    assert (data["retcode"], data["where"]) == (2, "b1")
    assert "no such image" in data["message"]
    asked.silent = ["b1"]
    assert module.images_diff("x/y:1", "keystone")["data"]["retcode"] == 5


def test_a_pillar_that_cannot_be_read_is_said(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front.Front, "plan_module", lambda self, *args, **kwargs: "no pillar")
    assert module.images_diff("a", "b")["data"]["retcode"] == 2

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise CommandExecutionError("it burns")

    monkeypatch.setattr(front.Front, "plan_module", broken)
    assert module.images_diff("a", "b")["data"]["message"] == "it burns"
