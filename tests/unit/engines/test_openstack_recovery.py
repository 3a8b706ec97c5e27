"""The master's engine: what it takes off the bus, and how it gives an order."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import salt.client

from saltern.recovery.drivers import Order
from saltern.recovery.joining import Joiner
from saltern.recovery.recoverer import Recoverer

FILE = Path(__file__).resolve().parents[3] / "salt" / "_engines" / "openstack_recovery.py"


@pytest.fixture
def engine() -> Any:
    spec = importlib.util.spec_from_file_location("openstack_recovery", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__opts__ = {"__role": "master"}
    return module


@pytest.fixture
def recoverer() -> Any:
    return create_autospec(Recoverer, instance=True)


@pytest.fixture
def joiner() -> Any:
    return create_autospec(Joiner, instance=True)


def test_only_on_a_master(engine: Any) -> None:
    assert engine.__virtual__() is True
    engine.__opts__ = {"__role": "minion"}
    assert engine.__virtual__()[0] is False


def test_a_minions_event(engine: Any, recoverer: Any, joiner: Any) -> None:
    tag = "openstack/health/ctl1/keystone/failed"
    engine._take(recoverer, joiner, tag, {"id": "ctl1", "data": {"event": "x"}, "tag": tag}, 5.0)
    recoverer.event.assert_called_once_with(tag, {"event": "x"}, "ctl1", 5.0)


def test_the_masters_own_health_events_have_no_sender(engine: Any, recoverer: Any, joiner: Any) -> None:
    engine._take(recoverer, joiner, "openstack/health/ctl1/keystone/healed", {"event": "x"}, 5.0)
    recoverer.event.assert_called_once_with("openstack/health/ctl1/keystone/healed", None, "", 5.0)


def test_returns_runs_and_operators(engine: Any, recoverer: Any, joiner: Any) -> None:
    engine._take(recoverer, joiner, "salt/job/1/ret/ctl1", {"jid": "1", "return": {"result": "healed"}}, 5.0)
    recoverer.returned.assert_called_once_with("1", {"result": "healed"}, 5.0)
    engine._take(recoverer, joiner, "openstack/run/20260101-000000-abcd/step/end", {}, 5.0)
    recoverer.run_ended.assert_not_called()
    engine._take(recoverer, joiner, "openstack/run/20260101-000000-abcd/end", {}, 5.0)
    recoverer.run_ended.assert_called_once_with(5.0)
    joiner.run_ended.assert_called_once_with()
    engine._take(recoverer, joiner, "openstack/heal/verb/resume", {}, 5.0)
    recoverer.resumed.assert_called_once_with(5.0)
    engine._take(recoverer, joiner, "openstack/heal/verb/reset", {"host": "ctl1"}, 5.0)
    recoverer.reset.assert_called_once_with("ctl1", "", 5.0)


@pytest.mark.parametrize("data", [None, "text", [], 5])
def test_an_event_without_data_is_nothing(engine: Any, recoverer: Any, joiner: Any, data: Any) -> None:
    engine._take(recoverer, joiner, "openstack/health/ctl1/keystone/failed", data, 5.0)
    assert recoverer.mock_calls == []


def test_an_order_is_a_job_for_one_host(engine: Any) -> None:
    client = create_autospec(salt.client.LocalClient, instance=True)
    client.run_job.return_value = {"jid": "20260101", "minions": ["ctl1"]}
    order = Order("8e21", "ctl1", "keystone", "heal", {"name": "keystone", "order": "8e21", "event": "x"})
    assert engine._send(client, order) == "20260101"
    (target, function), options = client.run_job.call_args
    assert (target, function) == (["ctl1"], "openstack_container.heal")
    assert options["tgt_type"] == "list" and options["kwarg"] == order.kwargs


@pytest.mark.parametrize("answer", [None, {}, {"jid": 0, "minions": []}])
def test_no_minion_is_an_error(engine: Any, answer: Any) -> None:
    client = create_autospec(salt.client.LocalClient, instance=True)
    client.run_job.return_value = answer
    with pytest.raises(OSError, match="ctl1"):
        engine._send(client, Order("8e21", "ctl1", "keystone", "hold", {}))


def test_a_minion_that_starts_may_be_a_new_host(engine: Any, recoverer: Any, joiner: Any) -> None:
    engine._take(recoverer, joiner, "salt/minion/cmp3/start", {"id": "cmp3"}, 5.0)
    joiner.event.assert_called_once_with("salt/minion/cmp3/start", "cmp3", 5.0)
    assert recoverer.mock_calls == []


def test_joining_is_a_verb_in_a_process_of_its_own(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create_autospec(salt.runner.RunnerClient, instance=True)
    monkeypatch.setattr(engine.salt.runner, "RunnerClient", lambda opts: client)
    monkeypatch.setattr(engine.salt.utils.jid, "gen_jid", lambda opts: "20260101")
    engine._join(["cmp3", "cmp4"])
    (verb, low), options = client.asynchronous.call_args
    assert (verb, low["arg"], options["pub"]["jid"]) == ("openstack.host_join", ["cmp3,cmp4"], "20260101")
