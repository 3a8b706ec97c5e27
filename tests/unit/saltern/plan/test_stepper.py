"""The steps of a run, with a pretended Salt: what is asked, written, fired, returned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import LockHeld, SalternError
from saltern.plan import lock as locks
from saltern.plan import runs, session
from saltern.plan.ask import Answers
from saltern.plan.lock import RunLock
from saltern.plan.stepper import Order, Stepper

from .planmaker import MODEL, container_state, make_plan, toolbox_state

NEW = {"action": "create", "reasons": [], "files": []}
ALL_NEW = {
    "ctl1": {**container_state({"mariadb": NEW, "kolla_toolbox": NEW, "keystone": NEW}), **toolbox_state({}, False)},
    "ctl2": container_state({"keystone": NEW}),
}
NOTHING = {"ctl1": {**container_state({}), **toolbox_state({})}, "ctl2": container_state({})}


class FakeSalt:
    """Answers as it is told, remembers what it was asked."""

    def __init__(self) -> None:
        self.returns: dict[str, Any] = NOTHING
        self.failing: set[str] = set()
        self.model = MODEL
        self.calls: list[tuple[str, list[str], dict[str, Any]]] = []
        self.asked: list[tuple[str, list[str], dict[str, Any]]] = []
        self.fired: list[tuple[str, dict[str, Any]]] = []
        self.switched: list[str] = []
        self.refreshed: list[list[str]] = []

    def call(self, sls: str, hosts: Sequence[str], step: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((sls, list(hosts), dict(step)))
        bad = self.failing & set(hosts)
        failure = {"action": "create", "failure": {"message": "not healthy"}}
        returns = {host: container_state({"keystone": failure if host in bad else NEW}) for host in hosts}
        return {"result": not bad, "changes": {"ret": returns}, "comment": ""}

    def ask(self, sls: str, hosts: Sequence[str], step: Mapping[str, Any]) -> Answers:
        self.asked.append((sls, list(hosts), dict(step)))
        return Answers(returns=self.returns, silent=sorted(set(hosts) - set(self.returns)))

    def fire(self, tag: str, data: Mapping[str, Any]) -> None:
        self.fired.append((tag, dict(data)))

    def switch(self, root: Path, model: str) -> None:
        self.switched.append(model)

    def refresh(self, hosts: Sequence[str]) -> None:
        self.refreshed.append(list(hosts))

    def digest(self) -> str:
        return self.model


@pytest.fixture
def salt() -> FakeSalt:
    return FakeSalt()


@pytest.fixture
def stepper(tmp_path: Path, salt: FakeSalt) -> Iterator[Stepper]:
    ticks = iter(range(1_700_000_000, 1_800_000_000))
    yield Stepper(tmp_path, salt, lambda: float(next(ticks)))
    locks.release()
    session.end()


def run_all(stepper: Stepper, order: Order | None = None, *, test: bool = False) -> dict[str, dict[str, Any]]:
    results = {"begin": stepper.begin(make_plan(), order or Order("deploy", "deploy"), test=test)}
    results["compare"] = stepper.compare()
    if results["compare"]["result"] is not False:
        for step in [*make_plan()["steps"], session.REMOVE]:
            results[step["id"]] = stepper.act(step["id"])
            if results[step["id"]]["result"] is False:
                break
    results["finish"] = stepper.finish()
    return results


def journal(stepper: Stepper) -> list[dict[str, Any]]:
    return runs.find(stepper.root).journal.read()


def test_a_first_deploy(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns = ALL_NEW
    results = run_all(stepper)
    assert all(result["result"] for result in results.values())
    assert [(sls, hosts) for sls, hosts, _ in salt.calls] == [
        ("openstack.host.converge", ["ctl1"]),
        ("openstack.host.converge", ["ctl1"]),
        ("openstack.host.prepare", ["ctl1"]),
        ("openstack.host.converge", ["ctl1"]),
        ("openstack.host.converge", ["ctl2"]),
        ("openstack.host.register", ["ctl1"]),
    ]
    run = runs.find(stepper.root)
    _, _, step = salt.calls[3]
    assert step == {
        "run": run.id, "model": MODEL, "verb": "deploy", "mode": "deploy",
        "containers": ["keystone"], "service": "keystone", "now": step["now"],
    }  # fmt: skip
    assert salt.switched == [MODEL]
    assert results["finish"]["comment"].startswith("Deployed in ")
    assert run.document()["steps"][0]["id"] == "compare"
    assert RunLock(stepper.root).read() is None, "the run is closed"


def test_events_carry_run_and_cloud_and_no_detail(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns = ALL_NEW
    run_all(stepper)
    run = runs.find(stepper.root).id
    tags = [tag for tag, _ in salt.fired]
    assert tags[0] == f"openstack/run/{run}/begin"
    assert tags[-1] == f"openstack/run/{run}/end"
    assert tags.count(f"openstack/run/{run}/step/start") == tags.count(f"openstack/run/{run}/step/end") == 6
    for _, data in salt.fired:
        assert data["cloud"] == "saltern"
        assert "at" in data
        assert "detail" not in data
        json.dumps(data)


def test_nothing_to_do_asks_once_and_calls_nothing(stepper: Stepper, salt: FakeSalt) -> None:
    results = run_all(stepper)
    assert salt.calls == []
    assert len(salt.asked) == 1
    assert not any(result["changes"] for result in results.values())
    assert "Nothing to do: 2 hosts, 4 containers" in results["finish"]["comment"]
    skipped = [line["step"] for line in journal(stepper) if line.get("result") == "skipped"]
    assert len(skipped) == 6


def test_the_first_failing_host_of_a_serial_step_is_the_last(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns, salt.failing = ALL_NEW, {"ctl1"}
    session_step = "start keystone"
    stepper.begin(make_plan(), Order("deploy", "deploy"), test=False)
    stepper.compare()
    result = stepper.act(session_step)
    assert result["result"] is False
    assert "keystone on ctl1: not healthy" in result["comment"]
    assert [hosts for _, hosts, _ in salt.calls] == [["ctl1"]]
    ended = [line for line in journal(stepper) if line.get("step") == session_step][-1]
    assert ended["untouched"] == ["ctl2"]
    assert stepper.finish()["result"] is False
    assert journal(stepper)[-1]["result"] == "failed"


def test_a_step_that_never_ended_fails_the_run(stepper: Stepper, salt: FakeSalt) -> None:
    stepper.begin(make_plan(), Order("deploy", "deploy"), test=False)
    stepper.compare()
    result = stepper.finish()
    assert result["result"] is False
    assert "start mariadb" in result["comment"]


def test_a_silent_host_fails_the_comparison(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns = {"ctl1": NOTHING["ctl1"]}
    results = run_all(stepper)
    assert results["compare"]["result"] is False
    assert "no answer from ctl2" in results["compare"]["comment"]
    assert salt.calls == []


def test_test_mode_writes_nothing(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns = ALL_NEW
    results = run_all(stepper, test=True)
    assert results["start keystone"]["result"] is None
    assert results["start keystone"]["changes"] == {"ctl1": {"keystone": NEW}, "ctl2": {"keystone": NEW}}
    assert results["remove"]["result"] is True
    assert (salt.calls, salt.fired, salt.switched) == ([], [], [])
    assert list(stepper.root.iterdir()) == []
    assert salt.asked[0][2]["run"] == ""


@pytest.mark.parametrize("mode", ["reconfigure", "stop"])
def test_only_deploy_prepares_and_registers(stepper: Stepper, salt: FakeSalt, mode: str) -> None:
    salt.returns = ALL_NEW
    stepper.begin(make_plan(), Order(mode, mode), test=False)
    stepper.compare()
    if mode == "reconfigure":
        assert stepper.act("prepare keystone")["comment"] == "nothing to do"
    stepper.act("start keystone")
    sls = "openstack.host.converge" if mode == "reconfigure" else "openstack.host.stop"
    assert {call[0] for call in salt.calls} == {sls}
    assert {call[2]["mode"] for call in salt.calls} == {mode}


def test_a_pillar_edited_meanwhile_is_named(stepper: Stepper, salt: FakeSalt) -> None:
    salt.model = "7be2100000000000"
    assert "The pillar was edited meanwhile (model 7be210)" in run_all(stepper)["finish"]["comment"]


def test_apply_refuses_another_model_and_hosts_that_moved(stepper: Stepper, salt: FakeSalt) -> None:
    with pytest.raises(SalternError, match="pillar has changed"):
        stepper.begin(make_plan(), Order("apply", "deploy", model="7be210"), test=False)
    results = run_all(stepper, Order("apply", "deploy", model=MODEL, found="not this"))
    assert results["compare"]["result"] is False
    assert "not as the plan showed them" in results["compare"]["comment"]


def test_minions_are_told_once_of_a_new_model(stepper: Stepper, salt: FakeSalt) -> None:
    run_all(stepper, test=True)
    assert salt.refreshed == [], "a test tells nobody"
    run_all(stepper)
    run_all(stepper)
    assert salt.refreshed == [["ctl1", "ctl2"]]


def test_destroy_wants_the_name(stepper: Stepper) -> None:
    with pytest.raises(SalternError) as error:
        stepper.begin(make_plan(), Order("destroy", "destroy", confirm="other"), test=False)
    assert """pillar='{"confirm": "saltern"}'""" in str(error.value)
    stepper.begin(make_plan(), Order("destroy", "destroy", confirm="saltern", volumes=True), test=False)


def test_a_run_without_containers_says_what_it_made(stepper: Stepper, salt: FakeSalt) -> None:
    due = {"keystone": {"identity": [{"kind": "endpoint", "name": "glance", "what": "create"}]}}
    salt.returns = {"ctl1": {**container_state({}), **toolbox_state(due, None)}, "ctl2": container_state({})}
    made = {"openstack_toolbox_|-x_|-x_|-registered": {"result": True, "changes": due["keystone"]}}
    salt.call = lambda sls, hosts, step: {"result": True, "changes": {"ret": {"ctl1": made}}}  # type: ignore[method-assign]
    assert re.fullmatch(r"Deployed in [\d.]+ s: 1 step, 1 endpoint, 0 failed\.", run_all(stepper)["finish"]["comment"])


def test_a_second_run_is_refused(stepper: Stepper) -> None:
    stepper.begin(make_plan(), Order("deploy", "deploy"), test=False)
    with pytest.raises(LockHeld):
        stepper.begin(make_plan(), Order("deploy", "deploy"), test=False)


def test_a_bus_that_is_away_fails_no_step(stepper: Stepper, salt: FakeSalt, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(tag: str, data: Mapping[str, Any]) -> None:
        raise OSError("no bus")

    monkeypatch.setattr(salt, "fire", away)
    assert run_all(stepper)["finish"]["result"] is True


def test_steps_need_a_run(stepper: Stepper) -> None:
    with pytest.raises(SalternError, match=r"openstack_step\.begin"):
        stepper.act("start keystone")


def test_stop_takes_the_waves_backwards() -> None:
    found = session.steps(make_plan(), "stop")
    assert [step["title"] for step in found[1:]] == ["Stop keystone", "Stop kolla_toolbox", "Stop mariadb"]


def test_who_is_started_first_is_stopped_last(stepper: Stepper, salt: FakeSalt) -> None:
    salt.returns = ALL_NEW
    for mode, hosts in (("deploy", [["ctl1"], ["ctl2"]]), ("stop", [["ctl2"], ["ctl1"]])):
        salt.calls.clear()
        stepper.begin(make_plan(), Order(mode, mode), test=False)
        stepper.compare()
        stepper.act("start keystone")
        assert [called for _, called, _ in salt.calls] == hosts
        stepper.finish()
