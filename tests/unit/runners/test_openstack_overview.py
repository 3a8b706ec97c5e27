"""The verb ``images``: one question to the builder, exit codes, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from saltern import terminal
from saltern.plan.ask import Answers
from saltern_front import front
from unit.adapters import load

from ..saltern.images import trees

CHOSEN = {"release": "1.0", "images": {}, "hosts": {"ctl1": ["control", "builder"]}}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    trees.write(tmp_path / "images")
    opts = {"saltern_state_dir": str(tmp_path / "state"), "saltern_checkout": str(tmp_path)}
    loaded = load("runners", "openstack_overview", opts=opts, salt={})
    loaded.asked = mock.Mock(return_value=Answers(returns={"ctl1": []}))
    monkeypatch.setattr(front.Front, "plan_module", mock.Mock(return_value=CHOSEN))
    monkeypatch.setattr(front.Front, "ask", loaded.asked)
    return loaded


def read(answer: dict[str, Any]) -> tuple[int, str]:
    json.dumps(answer)
    return answer["data"]["retcode"], terminal.render(answer["data"])


def test_it_asks_the_builder_once(module: Any) -> None:
    code, text = read(module.images())
    assert code == 0
    assert "5 images of 1.0 on ctl1: 5 missing." in text
    module.asked.assert_called_once_with(["ctl1"], "openstack_image.list")


def test_a_name_that_no_image_has_is_2_and_nobody_is_asked(module: Any) -> None:
    code, text = read(module.images(names="othre"))
    assert code == 2
    assert "other" in text
    module.asked.assert_not_called()


def test_a_silent_builder_is_5(module: Any) -> None:
    module.asked.return_value = Answers(returns={}, silent=["ctl1"])
    code, text = read(module.images())
    assert code == 5
    assert "ctl1 does not answer" in text


def test_of_two_builders_the_silent_one_is_named(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"ctl1": ["builder"], "ctl2": ["builder"]}
    monkeypatch.setattr(front.Front, "plan_module", mock.Mock(return_value={**CHOSEN, "hosts": hosts}))
    module.asked.return_value = Answers(returns={"ctl1": []}, silent=["ctl2"])
    code, text = read(module.images())
    assert code == 0
    assert "on ctl1: 5 missing." in text
    assert "– ctl2 does not answer; it took no part" in text


def test_the_profile_enabled_is_what_the_model_needs(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"plan": {"images": ["saltern/other:1.0"]}}
    monkeypatch.setattr(front.Front, "compiled", lambda self: (made, None))
    code, text = read(module.images(profile="enabled"))
    assert code == 0
    assert "other" in text and "app" not in text


def test_the_profile_enabled_needs_a_model_without_errors(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front.Front, "compiled", lambda self: ({}, front.answer("validate", {"errors": []})))
    code, text = read(module.images(profile="enabled"))
    assert code == 2
    assert "salt-run openstack.validate" in text
