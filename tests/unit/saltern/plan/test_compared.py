"""From the hosts' answers to what each step has to do."""

from __future__ import annotations

from typing import Any

import pytest

from saltern.plan import compared

from .planmaker import MODEL, container_state, host_state, make_plan, precheck_state, toolbox_state

NEW = {"action": "create", "reasons": [], "files": []}


def found(returns: dict[str, Any]) -> dict[str, Any]:
    return compared.document(returns, ["ctl1", "ctl2"], model=MODEL, mode="deploy", seconds=1.5)


def due(document: dict[str, Any]) -> dict[str, list[str]]:
    plan = make_plan()
    return {step["id"]: compared.due_hosts(step, document, plan) for step in plan["steps"]}


def test_nothing_differs() -> None:
    document = found({"ctl1": {**container_state({}), **toolbox_state({})}, "ctl2": container_state({})})
    assert compared.problem(document) == ""
    assert not any(due(document).values())
    assert compared.differing(document) == {}


def test_a_wave_is_due_only_where_one_of_its_containers_differs() -> None:
    document = found({"ctl1": {**container_state({}), **toolbox_state({})}, "ctl2": container_state({"keystone": NEW})})
    assert due(document)["start keystone"] == ["ctl2"]
    assert due(document)["start mariadb"] == []


def test_everything_of_the_toolbox_is_due_where_it_could_not_compare() -> None:
    first = {**container_state({"mariadb": NEW}), **toolbox_state({}, False, "kolla_toolbox does not run")}
    document = found({"ctl1": first, "ctl2": container_state({})})
    assert compared.problem(document) == "", "a first deploy is no error"
    assert document["notes"] == ["ctl1: kolla_toolbox does not run"]
    assert due(document)["prepare keystone"] == ["ctl1"]
    assert due(document)["register keystone"] == ["ctl1"]


@pytest.mark.parametrize(
    ("changes", "prepare", "register"),
    [
        ({"database": [{"kind": "user"}]}, True, False),
        ({"identity": [{"kind": "user"}]}, True, True),
        ({"identity": [{"kind": "endpoint"}]}, False, True),
        ({"jobs_due": ["db_sync"]}, True, True),
        ({"database": [], "identity": [], "jobs_due": []}, False, False),
        ({"unknown": True}, True, True),
    ],
)
def test_part_of_a_service(changes: dict[str, Any], prepare: bool, register: bool) -> None:
    document = found({"ctl1": {**container_state({}), **toolbox_state({"keystone": changes}, None)}, "ctl2": {}})
    assert bool(due(document)["prepare keystone"]) is prepare
    assert bool(due(document)["register keystone"]) is register


def test_equivalent_containers_are_recorded_but_nothing_else_is_to_do() -> None:
    document = found({"ctl1": container_state({"keystone": {"action": "equivalent"}}), "ctl2": {}})
    assert due(document)["start keystone"] == ["ctl1"]


SETTING = {"kind": "sysctl", "current": "0", "desired": "1", "containers": ["keystone"]}
REASON = {"field": "sysctl net.x", "current": "0", "desired": "1"}


@pytest.mark.parametrize(
    ("row", "action", "reasons"),
    [
        (None, "prepare", [REASON]),
        ({"action": "equivalent", "reasons": [{"field": "host"}], "files": []}, "prepare", [{"field": "host"}, REASON]),
        (NEW, "create", [REASON]),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_a_host_lacks_makes_the_wave_that_needs_it_due_there(
    row: Any, action: str, reasons: Any, first: bool
) -> None:
    containers, host = container_state({"keystone": row} if row else {}), host_state({"sysctl net.x": SETTING})
    document = found({"ctl1": container_state({}), "ctl2": {**host, **containers} if first else {**containers, **host}})
    assert due(document)["start keystone"] == ["ctl2"]
    assert not due(document)["start mariadb"]
    change = compared.differing(document)["ctl2"]["keystone"]
    assert (change["action"], change["reasons"]) == (action, reasons)
    plain = found({"ctl1": container_state({}), "ctl2": containers})
    assert (compared.fingerprint(document) == compared.fingerprint(plain)) is (row == NEW)


def test_a_setting_that_a_host_cannot_have_is_a_problem() -> None:
    document = found({"ctl1": host_state({}, False, "sysctl net.x: this kernel does not have it"), "ctl2": {}})
    assert compared.problem(document) == "ctl1: sysctl net.x: this kernel does not have it"


def test_problems_name_host_and_cause() -> None:
    returns = {
        "ctl1": {**container_state({}, False, "image missing"), **precheck_state("disk: full\nport 80: taken")},
    }
    assert compared.problem(found(returns)).splitlines() == [
        "no answer from ctl2",
        "ctl1: image missing",
        "ctl1: disk: full",
        "ctl1: port 80: taken",
    ]


@pytest.mark.parametrize("answer", [False, None, ["Rendering SLS failed", "line 3"], "state.sls is not available"])
def test_answers_that_are_no_states_are_errors(answer: Any) -> None:
    document = found({"ctl1": answer, "ctl2": container_state({})})
    assert "ctl1" in document["errors"]
    assert compared.problem(document)


def test_strangers_are_what_the_model_does_not_know_there() -> None:
    changes = {"old_api": {"action": "remove"}, "keystone": {"action": "remove"}}
    document = found({"ctl1": {}, "ctl2": container_state(changes)})
    assert compared.unknown(document, "ctl2", make_plan()) == ["old_api"]
    step = {"id": "remove", "kind": "remove", "hosts": ["ctl1", "ctl2"]}
    assert compared.due_hosts(step, document, make_plan()) == ["ctl2"]


def test_fingerprint_follows_what_would_be_done_and_not_how_long_it_took() -> None:
    one = found({"ctl1": container_state({"keystone": NEW}), "ctl2": {}})
    two = {**found({"ctl1": container_state({"keystone": NEW}), "ctl2": {}}), "seconds": 9.0}
    other = found({"ctl1": container_state({"keystone": {"action": "replace"}}), "ctl2": {}})
    assert compared.fingerprint(one) == compared.fingerprint(two) != compared.fingerprint(other)


def test_a_bridge_that_differs_makes_the_wave_of_the_switch_act_there() -> None:
    change = {"kind": "network", "current": None, "desired": "attached", "containers": ["keystone"]}
    tag = "openstack_network_|-Bridges_|-x_|-present"
    answer = {**container_state({}), tag: {"result": None, "changes": {"uplink eth1 of br-ex": change}, "comment": ""}}
    row = found({"ctl1": answer, "ctl2": {}})["hosts"]["ctl1"]["keystone"]
    assert row["action"] == compared.PREPARE
    assert row["reasons"] == [{"field": "uplink eth1 of br-ex", "current": None, "desired": "attached"}]


def hosts_with(**readings: dict[str, str]) -> dict[str, Any]:
    returns = {host: precheck_state("12 checks passed", result=True, **told) for host, told in readings.items()}
    return compared.document(returns, readings, model=MODEL, mode="deploy", seconds=1.5)


def test_a_host_with_another_processor_is_a_problem_there() -> None:
    one, other = ({"processor": name, "service": "libvirt"} for name in ("Xeon 6 (6-207-2)", "EPYC 3 (25-1-1)"))
    assert compared.problem(hosts_with(cmp1=one, cmp2=one, cmp3={}, cmp4={"emulated": "no KVM"})) == ""
    text = compared.problem(hosts_with(cmp1=other, cmp2=one, cmp3=one, ctl1={}))
    assert text.startswith("cmp1: processor: EPYC 3 (25-1-1), expected Xeon 6 (6-207-2) as on 2 hosts: ")
    assert text.endswith("openstack:services:libvirt:variables:processors: mixed")
    assert "as on cmp1: running" in compared.problem(hosts_with(cmp1=one, cmp2=other))


def test_emulation_is_a_remark() -> None:
    document = hosts_with(cmp1={"emulated": "no /dev/kvm"}, cmp2={"emulated": "no /dev/kvm"}, cmp3={"processor": "x"})
    assert compared.problem(document) == ""
    assert compared.remarks(document) == "cmp1, cmp2: instances are emulated, slowly: no /dev/kvm"
