"""The verb that maps compute hosts, with the toolbox host pretended; and the reaction that calls it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from saltern.plan.ask import Answers
from saltern.terminal import render
from saltern_front import front

CHECKOUT = Path(__file__).resolve().parents[3]
PLAN = {
    "toolbox_host": "ctl1",
    "containers": {"nova_conductor": {"hosts": ["ctl1"]}, "nova_compute": {"hosts": ["cmp1", "cmp2"]}},
}


class Asked:
    """The runner, over answers of our own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any], answers: Answers) -> None:
        spec = importlib.util.spec_from_file_location("verbs", CHECKOUT / "salt/_runners/openstack_compute.py")
        assert spec and spec.loader
        self.verbs: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.verbs)
        self.verbs.__opts__, self.verbs.__salt__ = {}, {}
        self.asked: list[Any] = []

        def ask(_: Any, hosts: list[str], function: str, args: Any, kwargs: Any, **options: Any) -> Answers:
            if function == "saltutil.refresh_pillar":
                assert not self.asked and kwargs == {"wait": True}, "before the job, which looks into it"
                return Answers(returns={"ctl1": True})
            self.asked.append((hosts, function, args, kwargs))
            assert options["limit"] > 900, "longer than the job may take"
            return answers

        monkeypatch.setattr(front.Front, "ask", ask)
        monkeypatch.setattr(front.Front, "deployed", lambda _: (plan, None))


def test_it_runs_the_job_of_every_deploy_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Asked(monkeypatch, PLAN, Answers(returns={"ctl1": {"name": "discover_hosts", "result": "ran"}}))
    answer = runner.verbs.hosts_discover()
    assert runner.asked == [(["ctl1"], "openstack_toolbox.run_job", ["nova", "discover_hosts"], {"force": True})]
    assert answer["data"]["retcode"] == 0
    assert render(answer["data"]).startswith("● Compute hosts are mapped: cmp1, cmp2")


@pytest.mark.parametrize(
    "answers, code, text",
    [
        (Answers(returns={"ctl1": "cmp2: no compute node"}, failed={"ctl1"}), 1, "cmp2: no compute node"),
        (Answers(silent=["ctl1"]), 5, "ctl1 does not answer"),
    ],
)
def test_what_goes_wrong_is_said(monkeypatch: pytest.MonkeyPatch, answers: Answers, code: int, text: str) -> None:
    answer = Asked(monkeypatch, PLAN, answers).verbs.hosts_discover()
    assert answer["data"]["retcode"] == code and text in render(answer["data"])


def test_a_cloud_without_compute_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Asked(monkeypatch, {"toolbox_host": "ctl1", "containers": {}}, Answers())
    assert runner.verbs.hosts_discover()["data"]["retcode"] == 1
    assert runner.asked == []


@pytest.mark.parametrize("container, calls", [("nova_compute", 1), ("keystone", 0)])
def test_only_a_compute_service_that_is_healthy_again_leads_to_a_look(container: str, calls: int) -> None:
    text = (CHECKOUT / "states/openstack/reactor/healthy.sls").read_text()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    found = yaml.safe_load(environment.from_string(text).render(data={"id": "cmp1", "data": {"container": container}}))
    reactions = [next(iter(body.items())) for body in found.values()]
    assert reactions == [("runner.openstack.hosts_discover", [{"args": [{"force": False}]}])] * calls
