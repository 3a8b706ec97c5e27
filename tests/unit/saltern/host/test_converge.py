"""Converging a host in memory: what is asked of the engine, what is refused before anything changes, who may act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import EngineRefused, ImageMissing, SalternError
from saltern.host import files, heal, report
from saltern.host.compare import compare
from saltern.host.converge import converge, failed
from saltern.host.lock import ContainerLock
from unit.saltern.host.fake_engine import FakeEngine, make_host, web


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def host(tmp_path: Path, engine: FakeEngine) -> Any:
    return make_host(tmp_path, engine)


def action(changes: dict[str, Any], name: str = "web") -> str:
    return str(changes[name]["action"])


def test_nothing_differs_is_two_reads(host: Any, engine: FakeEngine) -> None:
    converge(host, [web()])
    engine.calls.clear()
    assert converge(host, [web()]) == {}
    assert engine.calls == ["containers", "images"]


def test_probes_and_time_outs_are_recorded_without_a_restart(host: Any, engine: FakeEngine) -> None:
    converge(host, [web()])
    changes = converge(host, [web(start_timeout=99, liveness={"http": "http://y/"})])
    assert action(changes) == "equivalent"
    assert {r["field"] for r in changes["web"]["reasons"]} == {"start_timeout", "liveness"}
    assert len(engine.log) == 1
    assert host.store.desired.get("web")["spec"]["start_timeout"] == 99


def test_keys_that_a_spec_has_learnt_since_are_no_difference(host: Any) -> None:
    converge(host, [web()])
    later = {"device_rules": [], "cgroup_host": False, "host": {}}
    assert converge(host, [web(**later)]) == {}
    changes = converge(host, [web(**later, readiness={"http": "http://y/"})])
    assert [reason["field"] for reason in changes["web"]["reasons"]] == ["readiness"]


def test_a_wrong_mode_and_a_missing_image_change_nothing(host: Any, engine: FakeEngine) -> None:
    with pytest.raises(SalternError, match="no such mode: deplyo"):
        converge(host, [web()], mode="deplyo")
    with pytest.raises(ImageMissing, match=r"names=web;"):
        converge(host, [web(image="saltern/web:3"), web(name="other")])
    assert engine.names() == {}


def test_one_that_fails_does_not_stop_the_others(host: Any, engine: FakeEngine) -> None:
    with ContainerLock(host.store.locks, "web", "maintenance"):
        changes = converge(host, [web(), web(name="other")])
    assert failed(changes) == ["web"]
    assert "maintenance" in changes["web"]["failure"]["message"]
    assert engine.names() == {"other": "running"}


def test_what_healing_did_since_the_list_is_not_done_twice(host: Any, engine: FakeEngine, monkeypatch: Any) -> None:
    converge(host, [web()])
    engine.remove("web")
    images = engine.images

    def meanwhile() -> Any:
        heal.heal(host, "web")
        return images()

    monkeypatch.setattr(engine, "images", meanwhile)
    assert converge(host, [web()]) == {}
    assert engine.names() == {"web": "running"}


def test_another_cloud_s_container_is_not_touched(host: Any, engine: FakeEngine, tmp_path: Path) -> None:
    other = make_host(tmp_path / "other", engine, cloud="elsewhere")
    converge(other, [web(cloud="elsewhere")])
    before = engine.get("web")["Id"]
    for mode in ("deploy", "stop", "destroy"):
        changes = converge(host, [web()], mode=mode, names=["web"])
        if mode == "deploy":
            assert "belongs to cloud elsewhere, not to cloud test" in changes["web"]["failure"]["message"]
    assert engine.get("web")["Id"] == before
    assert engine.get("web")["State"]["Running"]


class TestReload:
    def test_files_check_signal_in_this_order(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.calls.clear()
        changes = converge(host, [web(reload_content="list = 2")])
        assert action(changes) == "reload"
        assert [c for c in engine.calls if " " in c or c.startswith(("kolla", "webcheck"))] == [
            "kolla_set_configs",
            "webcheck",
            "kill USR2",
        ]
        assert converge(host, [web(reload_content="list = 2")]) == {}

    def test_refused_and_put_back(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.answers["webcheck"] = (1, b"", b"line 3: unknown keyword")
        engine.calls.clear()
        failure = converge(host, [web(reload_content="list = ?")])["web"]["failure"]
        assert "said: line 3: unknown keyword" in failure["message"]
        assert engine.calls.count("kolla_set_configs") == 2
        assert "kill USR2" not in engine.calls
        assert files.intact(files.directory(host.store.config, web()), web())
        assert converge(host, [web()]) == {}

    def test_a_new_file_of_the_other_kind_replaces(self, host: Any) -> None:
        converge(host, [web()])
        changes = converge(host, [web(content="setting = 2", reload_content="list = 2")])
        assert action(changes) == "replace"
        assert changes["web"]["reasons"] == [{"field": "configuration", "current": "former", "desired": "new"}]
        assert [f["name"] for f in changes["web"]["files"]] == ["web.conf", "list/a"]

    def test_stopped_it_just_starts_with_the_new_files(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.stop("web")
        engine.calls.clear()
        assert action(converge(host, [web(reload_content="list = 2")])) == "start"
        assert "kolla_set_configs" not in engine.calls
        assert converge(host, [web(reload_content="list = 2")]) == {}


class TestHeal:
    def test_from_what_is_committed_alone(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.remove("web")
        assert heal.heal(host, "web")["result"] == "healed"
        assert converge(host, [web()]) == {}

    @pytest.mark.parametrize(
        ("change", "result", "why"),
        [
            ({"state": "stopped"}, "nothing", "its stop is planned"),
            ({"spec": {**web(), "restart": "none"}}, "refused", "it is only reported"),
            ({"image_id": "sha256:gone"}, "refused", "salt-run openstack.build names=web"),
            ({"config": "gone"}, "refused", "salt-run openstack.deploy writes it again"),
        ],
    )
    def test_refusals(self, host: Any, engine: FakeEngine, change: dict[str, Any], result: str, why: str) -> None:
        converge(host, [web()])
        host.store.desired.put("web", {**host.store.desired.get("web"), **change})
        engine.remove("web")
        outcome = heal.heal(host, "web")
        assert outcome["result"] == result
        assert why in outcome["why"]
        assert engine.names() == {}

    def test_of_nothing_known(self, host: Any) -> None:
        assert heal.heal(host, "nobody")["result"] == "refused"

    def test_a_hold_ends_by_itself(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.stop("web")
        heal.hold(host, "web", host.now() + 10, "wait for the database")
        assert heal.heal(host, "web")["why"] == "wait for the database"
        host.sleep(11)
        assert heal.heal(host, "web")["result"] == "healed"

    def test_restarted_when_it_does_not_answer_and_is_not_just_starting(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        engine.get("web")["Config"]["Env"].append("BAD=1")
        engine.get("web")["State"]["StartedAt"] = "2100-01-01T00:00:00Z"  # a clock that was set back is no new start
        assert heal.heal(host, "web", dry_run=True)["why"].startswith("would be restarted")
        outcome = heal.heal(host, "web")
        assert outcome["result"] == "healed"
        assert "connection refused" in outcome["why"]

    def test_what_the_engine_refuses_is_an_outcome(self, host: Any, engine: FakeEngine, monkeypatch: Any) -> None:
        converge(host, [web()])
        engine.stop("web")

        def refuse(name: str) -> None:
            raise EngineRefused("no space left on device", where=f"start {name}")

        monkeypatch.setattr(engine, "start", refuse)
        outcome = heal.heal(host, "web")
        assert outcome["result"] == "failed"
        assert "no space left on device" in outcome["why"]


class TestReport:
    def test_status(self, host: Any, engine: FakeEngine) -> None:
        converge(host, [web()])
        host.store.desired.put("lost", {**host.store.desired.get("web"), "spec": web(name="lost")})
        host.store.health.put("backoff", {"containers": {"web": {"attempts": 1}}})
        found = report.status(host)
        assert found["host"] == "ctl1"
        assert found["containers"]["web"]["state"] == "running"
        assert found["containers"]["web"]["healthy"] is True
        assert found["containers"]["web"]["backoff"] == {"attempts": 1}
        assert found["containers"]["lost"]["state"] == "missing"
        assert found["containers"]["lost"]["healthy"] is False
        assert 0 < found["memory"]["available"] <= found["memory"]["total"]
        assert 0 < found["disk"]["free"] <= found["disk"]["total"]
        assert set(report.containers(host)) == {"web"}

    def test_a_planned_stop_is_neither_healthy_nor_sick(self, host: Any) -> None:
        converge(host, [web()])
        converge(host, [web()], mode="stop")
        assert report.status(host)["containers"]["web"]["healthy"] is None
        snapshot = report.snapshot(host, boot_id="b", seq=3)
        assert snapshot["containers"]["web"]["state"] == "exited"
        assert (snapshot["boot_id"], snapshot["seq"]) == ("b", 3)


def test_start_brings_back_what_was_stopped(host: Any, engine: FakeEngine) -> None:
    converge(host, [web()])
    converge(host, [web()], mode="stop")
    assert action(converge(host, [web()], mode="start")) == "start"
    assert host.store.desired.get("web")["state"] == "running"


def test_no_secret_leaves(tmp_path: Path, engine: FakeEngine) -> None:
    host = make_host(tmp_path, engine, secrets=("hunter22",))
    converge(host, [web(content="p = hunter22")])
    found = compare(host, [web(content="q = hunter22", environment={"X": "hunter22"})])
    assert action(found["containers"]) == "replace"
    assert "hunter22" not in str(found)
    assert "hunter22" not in "".join(p.read_text() for p in tmp_path.rglob("*.json") if p.name != "config.json")
    assert "hunter22" not in str(converge(host, [web(content="q = hunter22", environment={"BAD": "1"})]))
