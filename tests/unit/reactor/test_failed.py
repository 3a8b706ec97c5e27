"""The reactor's SLS, rendered as the reactor does, strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import salt.utils.json
import yaml

FILE = Path(__file__).resolve().parents[3] / "states" / "openstack" / "reactor" / "failed.sls"


def render(data: dict[str, Any], tag: str = "openstack/health/ctl1/keystone/failed") -> Any:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
    environment.filters["json"] = lambda value: salt.utils.json.dumps(value)
    return yaml.safe_load(environment.from_string(FILE.read_text()).render(data=data, tag=tag))


@pytest.mark.parametrize("text", ["GET http://[::1]/ → 503", "a: b\n- c # d", "{{ x }} \" ' \\", "é", ""])
def test_the_event_reaches_the_runner_as_it_is(text: str) -> None:
    event = {"event": "0a-keystone-1", "container": "keystone", "probe": text, "exit_code": None, "at": 1.5}
    (state,) = render({"id": "ctl1", "data": event}).values()
    ((function, arguments),) = state.items()
    assert function == "runner.openstack.heal_enqueue"
    assert arguments == [{"args": [{"event": event}, {"sender": "ctl1"}]}]


def test_an_event_without_sender_is_not_rendered() -> None:
    with pytest.raises((jinja2.UndefinedError, TypeError)):
        render({"data": {}})
