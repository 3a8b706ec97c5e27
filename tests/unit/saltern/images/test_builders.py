"""A minion as a builder, what the verb reads off its answers, and which minion it is."""

from typing import Any

import pytest

from saltern.contract.errors import BuildFailed, SalternError
from saltern.host.build import StepFailed
from saltern.images import front
from saltern.images.options import Options, options_from


class Answers:
    def __init__(self, **returns: Any) -> None:
        self.returns, self.silent, self.lost = returns, [], []


def test_a_minions_failure_is_the_builds() -> None:
    failed = {"result": "failed", "error": "no rule", "where": "app, step 2", "step": "x", "log": ["a"], "hint": "h"}
    builder = front.MinionBuilder(lambda function, kwargs: failed, suite="trixie")
    with pytest.raises(StepFailed) as caught:
        builder.build({"image": "app"})
    assert (caught.value.message, caught.value.log, caught.value.hint) == ("no rule", ["a"], "h")


def test_a_silent_minion_fails_the_image_and_not_the_program() -> None:
    def ask(function: str, kwargs: dict[str, Any]) -> Any:
        raise front.NoAnswer("b1 does not answer", where=function)

    with pytest.raises(BuildFailed, match="does not answer"):
        front.MinionBuilder(ask, suite="trixie").build({"image": "app"})


def test_answers() -> None:
    assert front.answer_of("b1", "f", Answers(b1=[])) == []
    with pytest.raises(front.NoAnswer):
        front.answer_of("b1", "f", Answers())
    with pytest.raises(SalternError, match="no engine"):
        front.answer_of("b1", "f", Answers(b1="ERROR: no engine"))
    with pytest.raises(SalternError) as caught:
        front.answer_of("b1", "f", Answers(b1="'openstack_image.list' is not available."))
    assert "sync_all" in caught.value.hint


@pytest.mark.parametrize(
    ("hosts", "named", "accepted", "builder"),
    [
        ({"a": [], "b": ["builder"]}, None, [], "b"),
        ({"a": [], "b": ["builder"]}, "c", [], "c"),
        ({"a": ["control"], "b": []}, None, ["z"], "a"),
        ({}, None, ["only"], "only"),
    ],
)
def test_the_builder(hosts: dict[str, list[str]], named: str | None, accepted: list[str], builder: str) -> None:
    assert front.builder_of(hosts, Options(builder=named), lambda: accepted) == builder


def test_no_builder() -> None:
    with pytest.raises(SalternError, match="no minion"):
        front.builder_of({}, Options(), lambda: ["a", "b"])


def test_events_come_with_or_without_a_minions_envelope() -> None:
    class Bus:
        def __init__(self, *events: dict[str, Any]) -> None:
            self.events = list(events)

        def get_event(self, wait: float, tag: str, full: bool) -> dict[str, Any] | None:
            return self.events.pop(0) if self.events else None

    tag = "openstack/build/app/step"
    take = front.events_of(
        Bus({"tag": tag, "data": {"data": {"image": "app"}}}, {"tag": tag, "data": {"image": "app"}})
    )
    assert take(0.1) == ("step", {"image": "app"})
    assert take(0.1) == ("step", {"image": "app"})
    assert take(0.1) is None


def test_a_killed_job_is_a_failed_build_and_no_lost_builder() -> None:
    answers = Answers()
    answers.lost = ["b1"]
    with pytest.raises(SalternError, match="killed") as caught:
        front.answer_of("b1", "openstack_image.build", answers)
    assert not isinstance(caught.value, front.NoAnswer)


def test_all_with_the_role_build_unless_one_is_named() -> None:
    hosts = {"c1": ["control"], "b1": ["builder"], "b2": ["builder", "compute"]}
    assert front.builders_of(hosts, Options(), list) == ["b1", "b2"]
    assert front.builders_of(hosts, Options(builder="b2"), list) == ["b2"]
    assert front.builders_of({"c1": ["control"], "c2": []}, Options(), list) == ["c1"]
    assert front.builders_of({}, Options(), lambda: ["m"]) == ["m"]
    with pytest.raises(SalternError, match="no minion is known"):
        front.builders_of({}, Options(), lambda: ["m", "n"])


def test_options_of_the_pillar() -> None:
    tree = {"release": "2026.1", "images": {"registry": None, "tag": None, "namespace": "mine", "prefix": "p-"}}
    assert options_from(tree).reference("glance-api") == "mine/p-glance-api:2026.1"
    assert options_from(tree, release="2025.2").reference("base") == "mine/p-base:2025.2"
    assert options_from({"images": {"tag": "t"}}, release="2025.2").reference("base") == "saltern/base:2025.2"
    with pytest.raises(SalternError, match="password"):
        options_from({"images": {"mirrors": {"pypi": "https://u:p@h/simple"}}})


def test_type_and_distribution_of_the_verb_before_the_pillars() -> None:
    tree = {"images": {"tag": "t", "suite": "bookworm", "mirrors": {"apt": "http://m/debian", "pypi": "http://m/pypi"}}}
    assert options_from(tree).reference("base") == "saltern/base:t"
    binary = options_from(tree, release="2025.1", type="binary")
    assert (binary.reference("base"), binary.suite) == ("saltern/base:2025.1-binary", "bookworm")
    ubuntu = options_from(tree, distro="ubuntu")
    assert ubuntu.reference("base") == "saltern/base:2025.2-ubuntu"
    assert (ubuntu.suite, ubuntu.mirrors) == ("noble", {"pypi": "http://m/pypi"})
    assert options_from({"images": {"distro": "ubuntu", "suite": "noble"}}, distro="ubuntu").suite == "noble"
    with pytest.raises(SalternError, match="'suse' is none of debian"):
        options_from(tree, distro="suse")
