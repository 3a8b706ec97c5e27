"""A swap whose process is killed at every possible step ends where an uninterrupted one does, or where it began."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import EngineUnavailable
from saltern.host.converge import converge, failed
from saltern.host.heal import heal
from unit.saltern.host.fake_engine import FakeEngine, Killed, kill_at, make_host, web

STEPS = range(52)  # more than any of these runs has; asserted below
CHANGED = {"environment": {"A": "b"}, "content": "setting = 2"}


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs: what a power cut would do to the disk is not the question here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def began(tmp_path: Path, **more: Any) -> tuple[Any, FakeEngine]:
    engine = FakeEngine()
    host = make_host(tmp_path, engine)
    assert failed(converge(host, [web(**more)])) == []
    return host, engine


def killed_swap(
    monkeypatch: pytest.MonkeyPatch, host: Any, engine: FakeEngine, spec: dict[str, Any], step: int
) -> bool:
    """Run the swap and kill it at ``step``; False when it ended before."""
    with monkeypatch.context() as patch:
        kill_at(patch, engine, step)
        try:
            converge(host, [spec])
        except Killed:
            return True
    return False


@pytest.mark.parametrize("step", STEPS)
def test_run_again_ends_with_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    host, engine = began(tmp_path)
    killed_swap(monkeypatch, host, engine, web(**CHANGED), step)
    assert failed(converge(host, [web(**CHANGED)])) == []
    assert engine.names() == {"web": "running"}
    assert "A=b" in engine.get("web")["Config"]["Env"]
    assert engine.get("web")["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}
    assert host.store.journal.names() == []
    assert len(list((tmp_path / "config" / "web").glob("*.masked.json"))) == 1
    assert converge(host, [web(**CHANGED)]) == {}


@pytest.mark.parametrize("step", STEPS)
def test_healed_without_a_master_one_of_them_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    host, engine = began(tmp_path)
    killed_swap(monkeypatch, host, engine, web(**CHANGED), step)
    assert heal(host, "web")["result"] in ("healed", "nothing")
    document = host.store.desired.get("web")
    container = engine.get("web")
    assert container["State"]["Running"]
    assert container["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}
    assert container["Config"]["Labels"]["saltern.spec"] == document["label"]
    mounted = Path(container["HostConfig"]["Mounts"][0]["Source"])
    assert (mounted / "web.conf").read_text() in ("setting = 1", "setting = 2")


@pytest.mark.parametrize("step", STEPS)
def test_a_bad_new_one_never_costs_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    host, engine = began(tmp_path)
    old = engine.get("web")["Id"]
    bad = web(environment={"BAD": "1"})
    killed_swap(monkeypatch, host, engine, bad, step)
    changes = converge(host, [bad])
    assert changes["web"]["failure"]["former"] == "back and healthy"
    assert changes["web"]["failure"]["probe"] == "GET http://x/ → connection refused"
    assert engine.names() == {"web": "running"}
    assert engine.get("web")["Id"] == old
    assert engine.get("web")["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}
    assert converge(host, [web()]) == {}


@pytest.mark.parametrize("step", STEPS)
def test_the_old_one_comes_back_to_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Also to those that a reload would change in place."""
    host, engine = began(tmp_path)
    bad = web(environment={"BAD": "1"}, reload_content="list = broken")
    killed_swap(monkeypatch, host, engine, bad, step)
    if step % 2:
        heal(host, "web")
    assert converge(host, [bad])["web"]["failure"]["former"] == "back and healthy"
    mounted = Path(engine.get("web")["HostConfig"]["Mounts"][0]["Source"])
    assert (mounted / "list" / "a").read_text() == "list = 1"
    assert converge(host, [web()]) == {}
    good = web(environment={"A": "b"}, reload_content="list = 2")
    assert failed(converge(host, [good])) == []
    assert converge(host, [good]) == {}
    assert converge(host, [web(environment={"A": "b"}, reload_content="list = 3")])["web"]["action"] == "reload"
    mounted = Path(engine.get("web")["HostConfig"]["Mounts"][0]["Source"])
    assert (mounted / "list" / "a").read_text() == "list = 3"
    assert len(list((tmp_path / "config" / "web").glob("*.masked.json"))) == 1


@pytest.mark.parametrize("step", STEPS)
def test_no_old_version_on_data_of_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    host, engine = began(tmp_path, rollback=False)
    old = engine.get("web")["Id"]
    killed_swap(monkeypatch, host, engine, web(image="saltern/web:2", environment={"BAD": "1"}, rollback=False), step)
    heal(host, "web")
    converge(host, [web(image="saltern/web:2", environment={"BAD": "1"}, rollback=False)])
    new = [id_ for id_ in engine.log if id_ != old]
    assert new
    assert old not in engine.log[engine.log.index(new[0]) :]
    assert failed(converge(host, [web(image="saltern/web:2", rollback=False)])) == []
    assert engine.names() == {"web": "running"}


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_it_is_created_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    engine = FakeEngine()
    host = make_host(tmp_path, engine)
    killed_swap(monkeypatch, host, engine, web(), step)
    assert failed(converge(host, [web()])) == []
    assert engine.names() == {"web": "running"}
    assert converge(host, [web()]) == {}


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    host, engine = began(tmp_path)
    with monkeypatch.context() as patch:
        kill_at(patch, engine, step)
        try:
            converge(host, [], mode="destroy")
        except Killed:
            heal(host, "web")  # what healing sees meanwhile must not bring it back for good
    converge(host, [], mode="destroy")
    assert engine.names() == {}
    assert host.store.desired.names() == host.store.records.names() == []
    assert not (tmp_path / "config" / "web").exists()


def test_the_steps_cover_the_longest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, engine = began(tmp_path)
    counted = kill_at(monkeypatch, engine, 10_000)
    converge(host, [web(environment={"BAD": "1"})])
    assert 20 < counted() < max(STEPS)


def test_an_engine_that_goes_away_leaves_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, engine = began(tmp_path)

    def away(*_: Any, **__: Any) -> None:
        raise EngineUnavailable("no Docker Engine answers", where="unix:///x")

    with monkeypatch.context() as patch:
        for name in ("rename", "start", "remove", "inspect", "logs"):
            patch.setattr(engine, name, away if name != "inspect" else getattr(engine, name))
        failure = converge(host, [web(**CHANGED)])["web"]["failure"]
    assert "no Docker Engine answers" in failure["message"]
    assert failed(converge(host, [web(**CHANGED)])) == []
    assert engine.names() == {"web": "running"}


def test_leftovers_without_a_journal_are_put_right(tmp_path: Path) -> None:
    host, engine = began(tmp_path)
    engine.stop("web")
    engine.rename("web", "web--former")
    assert failed(converge(host, [web()])) == []
    assert engine.names() == {"web": "running"}
