"""What a step did, from the return of ``salt.state``."""

from __future__ import annotations

from typing import Any

from saltern.plan import outcome

from .planmaker import container_state


def ret(result: bool, returns: dict[str, Any], comment: str = "") -> dict[str, Any]:
    return {"result": result, "comment": comment, "changes": {"out": "highstate", "ret": returns} if returns else {}}


def test_changes_are_counted_in_an_operators_words() -> None:
    changes = {"a": {"action": "create"}, "b": {"action": "start"}, "c": {"action": "replace"}}
    done = outcome.from_state(ret(True, {"ctl1": container_state(changes)}), ["ctl1", "ctl2"])
    assert (done.result, done.summary) == ("changed", "2 started, 1 replaced")
    assert done.detail == {"ctl1": changes}


def test_no_change_is_ok() -> None:
    assert outcome.from_state(ret(True, {}), ["ctl1"]).result == "ok"


def test_the_toolbox_counts_what_it_made() -> None:
    changes = {"database": [{"kind": "database"}, {"kind": "user"}, {"kind": "user"}], "jobs": [{"name": "db_sync"}]}
    tag = {"openstack_toolbox_|-x_|-x_|-prepared": {"result": True, "changes": changes}}
    assert outcome.from_state(ret(True, {"ctl1": tag}), ["ctl1"]).summary == "1 database, 2 users, 1 job"


def test_a_failed_container_brings_its_record() -> None:
    failure = {"message": "not healthy after 30 s", "log": ["boom"]}
    changes = {"a": {"action": "create"}, "b": {"action": "replace", "failure": failure}}
    done = outcome.from_state(ret(False, {"ctl1": container_state(changes, False, "b: failed")}), ["ctl1"])
    assert done.result == "failed"
    assert done.failures == [{"host": "ctl1", "container": "b", **failure}]
    assert done.comment == "", "the record says it already"
    assert done.summary == "1 started, 1 failed"


def test_other_failures_are_named_with_their_host() -> None:
    returns = {"ctl1": container_state({}, False, "run x is closed"), "ctl2": False, "ctl3": ["No SLS", "at all"]}
    done = outcome.from_state(ret(False, returns), ["ctl1", "ctl2", "ctl3"])
    assert done.comment.splitlines() == ["ctl1: run x is closed", "ctl2: no answer", "ctl3: No SLS; at all"]


def test_a_failure_without_details_keeps_salts_comment() -> None:
    assert outcome.from_state(ret(False, {}, "No minions returned"), ["ctl1"]).comment == "No minions returned"


def test_hosts_one_after_another_add_up() -> None:
    done = outcome.Outcome()
    done.add(outcome.from_state(ret(True, {"ctl1": container_state({"a": {"action": "create"}})}), ["ctl1"]))
    done.add(outcome.from_state(ret(True, {}), ["ctl2"]))
    assert (done.result, done.summary) == ("changed", "1 started")
    done.add(outcome.from_state(ret(False, {"ctl3": False}), ["ctl3"]))
    assert done.result == "failed"
