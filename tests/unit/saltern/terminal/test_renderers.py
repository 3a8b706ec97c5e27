"""Answers as a person reads them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from saltern import terminal
from saltern.plan import compared, view
from saltern.terminal import instances, status

from ..plan.planmaker import MODEL, container_state, host_state, make_plan, toolbox_state
from . import golden

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FAILURE = {
    "host": "ctl2",
    "container": "keystone",
    "image": "saltern/keystone:2025.2",
    "exit_code": 1,
    "restarts": 3,
    "probe": "GET http://10.0.0.12:15000/v3 → connection refused",
    "log": ["2026-11-22 19:07:12 CRITICAL keystone: Unable to open /etc/keystone/fernet-keys: permission denied"],
    "former": "back and healthy",
    "message": "not healthy after 30 s; the former container is back and healthy",
}


def plan_answer() -> dict[str, Any]:
    change = {
        "action": "replace",
        "reasons": [{"field": "configuration", "current": "former", "desired": "new"}],
        "files": [{"name": "keystone.conf", "diff": ["  [DEFAULT]", "- debug = False", "+ debug = True"]}],
    }
    returns = {
        "ctl1": {
            **container_state({"keystone": change}),
            **toolbox_state({"keystone": {"database": [{"what": "create", "kind": "user", "name": "glance"}]}}, None),
        },
        "ctl2": container_state({"keystone": change, "old_api": {"action": "remove", "reasons": [], "files": []}}),
    }
    found = compared.document(returns, ["ctl1", "ctl2"], model=MODEL, mode="deploy", seconds=1.9)
    because = [
        {"key": "openstack:debug", "file": "pillar/openstack/init.sls", "line": 14, "old": "unset", "new": "True"}
    ]
    estimates = {"start keystone": 12.0}
    return view.view(make_plan(), found, current="7be2100000000000", because=because, estimates=estimates)


def run_answer(*, failed: bool, every: bool = False) -> dict[str, Any]:
    steps = [{"id": "compare", "title": "Compare every host with the model"}, *make_plan()["steps"]]
    document: dict[str, Any] = {
        "run": "20261122-190400-abcd",
        "verb": "deploy",
        "mode": "deploy",
        "model": MODEL,
        "hosts": ["a", "b"],
    }
    lines: list[dict[str, Any]] = []
    for step in steps[:4]:
        lines.append(
            {"event": "step_end", "step": step["id"], "title": step["title"], "result": "changed", "seconds": 31.0,
             "hosts": ["ctl1"], "summary": "1 started"}
        )  # fmt: skip
    if failed:
        lines.append(
            {"event": "step_end", "step": "start keystone", "title": "Start keystone", "result": "failed",
             "seconds": 33.0, "hosts": ["ctl1", "ctl2"], "failures": [FAILURE], "untouched": ["ctl3"]}
        )  # fmt: skip
        end = {"event": "end", "result": "failed", "summary": "Deploy failed after 1 m 12 s: Start keystone"}
    else:
        end = {"event": "end", "result": "ok", "summary": "Deployed in 1 m 12 s: 4 steps, 12 started, 0 failed."}
    state = "failed" if failed else "ok"
    return {
        "kind": "run",
        "document": {**document, "steps": steps},
        "lines": [*lines, end],
        "state": state,
        "all": every,
    }


def status_answer() -> dict[str, Any]:
    good = {"state": "running", "healthy": True, "desired": "running"}
    answers = {
        "ctl1": {"containers": {"mariadb": good, "kolla_toolbox": good, "keystone": good}},
        "ctl2": {"containers": {"keystone": {**good, "healthy": False}, "old_api": good}},
    }
    return status.assemble(
        make_plan(), answers, silent=[], healed={("ctl1", "keystone"): 2}, applied=250.0, healing="on"
    )


def told(**more: Any) -> dict[str, Any]:
    """What the cloud says: one agent that is gone, one service that is disabled, three instances on two hosts."""
    size = {"vcpus": 8, "memory_mb": 16384, "type": "QEMU"}
    answer = {
        "agents": [
            {"host": "ctl1", "binary": "neutron-l3-agent", "topic": "l3_agent", "alive": True, "enabled": True},
            {"host": "ctl2", "binary": "neutron-openvswitch-agent", "topic": "N/A", "alive": False, "enabled": True},
        ],
        "services": [
            {"host": "ctl1", "binary": "nova-conductor", "up": True, "enabled": True},
            {"host": "ctl2", "binary": "nova-compute", "up": False, "enabled": False},
        ],
        "hypervisors": [
            {"host": "ctl1", "vcpus_used": 2, "memory_mb_used": 1152, "running": 2, **size},
            {"host": "ctl2", "vcpus_used": 0, "memory_mb_used": 512, "running": 0, **size},
        ],
        "instances": [
            {"id": "1", "name": "first", "host": "ctl1", "status": "ACTIVE", "addresses": ["10.9.0.5", "172.29.0.100"]},
            {"id": "2", "name": "web", "host": "ctl1", "status": "SHUTOFF", "addresses": ["10.9.0.7"]},
            {"id": "3", "name": "bad", "host": None, "status": "ERROR", "addresses": []},
        ],
        "errors": [],
        **more,
    }
    facts = {"libvirt": {"acceleration": {"value": "qemu", "reason": "a guest does not boot with KVM", "at": 1}}}
    return instances.assemble(answer, {"ctl1": {"facts": facts}, "ctl2": {}})


def status_of_instances(cloud: Any) -> dict[str, Any]:
    return {**status_answer(), "cloud_tells": cloud}


ANSWERS = {
    "plan": plan_answer(),
    "plan_nothing": view.view(
        make_plan(),
        compared.document(
            {"ctl1": {**container_state({}), **toolbox_state({})}, "ctl2": {}},
            ["ctl1", "ctl2"], model=MODEL, mode="deploy", seconds=1.9,
        ),
        current=MODEL,
    ),
    "plan_problem": view.view(
        make_plan(), compared.document({"ctl1": {}}, ["ctl1", "ctl2"], model=MODEL, mode="deploy", seconds=1.9)
    ),
    "run": run_answer(failed=False),
    "run_failed": run_answer(failed=True),
    "show": run_answer(failed=True, every=True),
    "status": status_answer(),
    "status_instances": status_of_instances(told()),
    "status_untold": status_of_instances(instances.assemble("the toolbox does not run", {})),
    "runs": {"kind": "runs", "runs": [
        {"run": "20261122-190400-abcd", "verb": "deploy", "model": MODEL, "state": "ok", "started": 0.0,
         "seconds": 72.0, "summary": "Deployed in 1 m 12 s"},
    ]},
    "error": {"kind": "error", "message": "deploy run x is open", "where": "run.lock", "hint": "Watch it"},
    "logs": {"kind": "logs", "container": "keystone", "hosts": {"ctl1": ["a", "b"]}, "errors": {"ctl2": "no answer"}},
    "message": {"kind": "message", "title": "2 secrets made", "result": "ok", "lines": ["a", "b"], "next": "plan"},
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "runs"])
def test_as_the_golden_file_says(name: str) -> None:
    golden.check(name, terminal.render(ANSWERS[name], width=100))


@pytest.mark.parametrize("name", ANSWERS)
def test_colour_only_repeats_what_marks_say(name: str) -> None:
    plain, painted = (terminal.render(ANSWERS[name], width=100, colour=colour) for colour in (False, True))
    assert ANSI.sub("", painted) == plain


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("width", [40, 60, 200])
def test_any_width(name: str, width: int) -> None:
    assert terminal.render(ANSWERS[name], width=width)


def test_an_answer_without_renderer_is_shown_as_data() -> None:
    assert '"x": 1' in terminal.render({"kind": "nobody_knows", "x": 1})
    assert '"x": 1' in terminal.render({"kind": "../marks", "x": 1})


def test_many_hosts_wrap_into_blocks() -> None:
    plan = make_plan()
    hosts = [f"cmp{number:03}" for number in range(20)]
    plan["hosts"] = {host: {"containers": ["nova_compute"]} for host in hosts}
    plan["containers"] = {"nova_compute": {"service": "nova", "hosts": hosts}}
    answers = {host: {"containers": {"nova_compute": {"state": "running", "healthy": True}}} for host in hosts}
    data = status.assemble(plan, answers, silent=[], healed={}, applied=None, healing="on")
    text = terminal.render(data, width=80)
    assert text.count("nova_compute") == 5
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_plan_shows_what_its_hosts_lack() -> None:
    change = {"kind": "sysctl", "current": "0", "desired": "1", "containers": ["keystone"]}
    returns = {"ctl1": container_state({}), "ctl2": {**container_state({}), **host_state({"sysctl net.x": change})}}
    found = compared.document({**returns}, ["ctl1", "ctl2"], model=MODEL, mode="reconfigure", seconds=1.0)
    text = terminal.render(view.view(make_plan(), found))
    assert re.search(r"keystone on ctl2 +its host is prepared, no interruption", text)
    assert "  sysctl net.x: 0 → 1" in text
    assert "1 container whose host is prepared, 4 untouched" in text


def test_status_is_good_when_agents_report() -> None:
    data = status_answer()
    data["containers"] = {}
    alive = told(agents=[], services=[])
    for cloud, good in (
        (None, True),
        (alive, True),
        (told(), False),
        (instances.assemble(None, {}, silent=True), False),
    ):
        assert status.good({**data, "cloud_tells": cloud}) is good


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"a": ("kvm", "Old (6-1-1)"), "b": ("kvm", "New (6-2-1)"), "c": ("kvm", "Old (6-1-1)")}, True),
        ({"a": ("kvm", "Old (6-1-1)"), "b": ("kvm", "Old (6-1-1)")}, False),
        ({"a": ("kvm", "Old (6-1-1)"), "b": ("qemu", "New (6-2-1)")}, False),
    ],
)
def test_processors_that_differ_are_told_where_instances_see_them(
    found: dict[str, tuple[str, str]], told: bool
) -> None:
    sizes = {"type": "QEMU", "vcpus": 2, "vcpus_used": 0, "memory_mb": 1024, "memory_mb_used": 0, "running": 0}
    answer = {"hypervisors": [{"host": host, **sizes} for host in found]}
    facts = {
        host: {"facts": {"libvirt": {"acceleration": {"value": value, "reason": "", "cpu": cpu}}}}
        for host, (value, cpu) in found.items()
    }
    shown = "\n".join(instances.lines(instances.assemble(answer, facts), width=100, colour=False))
    assert ("their processors differ" in shown) is told
    if told:
        assert "New (6-2-1) on b" in shown and "Old (6-1-1) on a, c" in shown


def test_only_some_of_many_instances_are_shown_the_broken_ones_first() -> None:
    many = [
        {"id": str(n), "name": f"vm{n:02}", "host": "ctl1", "status": "ERROR" if n == 50 else "ACTIVE", "addresses": []}
        for n in range(60)
    ]
    text = terminal.render(status_of_instances(told(instances=many)))
    assert "Instances   ✗ vm50  ERROR" in text and "and 50 more: openstack server list" in text


def test_a_model_without_compute_is_not_asked() -> None:
    plan = make_plan()
    assert instances.asked_of(plan) is None
    plan["containers"]["nova_api"] = {"service": "nova", "hosts": ["ctl1"]}
    assert instances.asked_of({**plan, "toolbox_host": "ctl1"}) == "ctl1"
