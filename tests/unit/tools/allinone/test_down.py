"""What ``down`` stops and removes, and what it leaves alone."""

import io
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from allinone import cloud, daemons, down, engine, leftovers, objects
from allinone.console import Console, Stop
from allinone.layout import Layout
from allinone.made import Made


@pytest.fixture
def world(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine without engine or daemons, whose state lies in a temporary directory."""
    layout.make()
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setattr(cloud, "OWNER", state / "owner")
    monkeypatch.setattr(cloud, "STATE_ROOT", state)
    monkeypatch.setattr(down, "STATE_ROOT", state)
    monkeypatch.setattr(engine, "version", lambda: "20.10")
    fake = SimpleNamespace(state=state, calls=[], running=[{"Id": "c1", "State": "running"}])
    monkeypatch.setattr(objects, "containers", lambda name: fake.running)
    monkeypatch.setattr(objects, "running", lambda: ["other"])
    for name in ("stop", "remove_containers", "remove_volumes", "remove_images", "remove_networks"):
        monkeypatch.setattr(objects, name, lambda *a, name=name: fake.calls.append(name) or 1)
    monkeypatch.setattr(objects, "volumes", lambda *a: ["v"])
    monkeypatch.setattr(objects, "images", lambda: {"still used"})
    monkeypatch.setattr(leftovers, "instances", lambda volumes: fake.instances)
    fake.instances = []
    for name in ("end", "remove_bridges", "remove_namespaces", "remove_taps", "remove_directories", "remove_settings"):
        monkeypatch.setattr(leftovers, name, lambda *a, name=name: fake.calls.append(name) or 1)
    return fake


def test_stopping_keeps_everything(layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    assert down.run(layout, console, purge=False, yes=False) == 0
    assert world.calls == ["stop"]
    assert world.state.is_dir() and layout.dot.is_dir()
    assert "Start again: ./saltern up" in out.getvalue()


def test_instances_are_switched_off_and_told(
    layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace
) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    world.instances = [4711]
    down.run(layout, console, purge=False, yes=False)
    assert world.calls == ["end", "stop"] and "1 switched off" in out.getvalue()


def test_purge_removes_all_and_names_the_packages(
    layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace
) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    Made(layout.dot / "made.json").add("packages", ["docker.io", "iptables"])
    layout.pillar.mkdir(parents=True)
    down.run(layout, console, purge=True, yes=True)
    assert {"remove_containers", "remove_volumes", "remove_images", "remove_networks"} < set(world.calls)
    assert not world.state.exists() and not layout.dot.exists() and not layout.pillar.exists()
    assert {"remove_namespaces", "remove_taps", "remove_directories", "remove_settings"} < set(world.calls)
    assert world.calls.index("remove_bridges") < world.calls.index("stop"), "the switch removes its own interfaces"
    assert "1 image kept: containers of others use them" in out.getvalue()
    assert "apt-get purge --autoremove docker.io iptables" in out.getvalue()


def test_purge_starts_an_engine_that_an_earlier_down_stopped(
    layout: Layout, console: Console, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    monkeypatch.setattr(engine, "ensure", lambda *a: world.calls.append("ensure"))
    down.run(layout, console, purge=True, yes=True)
    assert world.calls.index("ensure") < world.calls.index("remove_containers")


@pytest.mark.parametrize("owner", ["", "/srv/another"])
def test_a_cloud_that_is_not_ours_is_left_alone(
    layout: Layout, console: Console, world: SimpleNamespace, owner: str
) -> None:
    if owner:
        cloud.OWNER.write_text(owner)
    down.run(layout, console, purge=True, yes=True)
    assert world.calls == [] and world.state.is_dir()


def test_purge_without_a_terminal_wants_yes(layout: Layout, console: Console, world: SimpleNamespace) -> None:
    with mock.patch("sys.stdin", io.StringIO("saltern\n")), pytest.raises(Stop, match="nobody can type") as caught:
        down.run(layout, console, purge=True, yes=False)
    assert caught.value.code == 4 and world.calls == []


@pytest.mark.parametrize(("typed", "goes_on"), [("saltern", True), ("yes", False)])
def test_purge_wants_the_clouds_name(
    layout: Layout, console: Console, world: SimpleNamespace, typed: str, goes_on: bool
) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    terminal = mock.Mock(isatty=lambda: True)
    with mock.patch("sys.stdin", terminal), mock.patch("builtins.input", lambda text: typed):
        if goes_on:
            down.run(layout, console, purge=True, yes=False)
        else:
            with pytest.raises(Stop, match="nothing was removed"):
                down.run(layout, console, purge=True, yes=False)
    assert bool(world.calls) is goes_on


def test_an_engine_of_ours_stays_while_others_use_it(
    layout: Layout, console: Console, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "running", lambda layout: 4711)
    stopped = mock.create_autospec(engine.stop)
    monkeypatch.setattr(engine, "stop", stopped)
    made = Made(layout.dot / "made.json")
    assert down.stop_engine(layout, made) == "left running for 1 container of others (pid 4711)"
    monkeypatch.setattr(objects, "running", lambda: [])
    assert down.stop_engine(layout, made) == "stopped (up had started it)"
    stopped.assert_called_once()


def test_a_failing_stop_is_told_and_the_engine_stops_the_rest(
    layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.OWNER.write_text(f"{layout.checkout}\n")
    monkeypatch.setattr(daemons, "pid", lambda layout, kind: 4711)
    monkeypatch.setattr(daemons, "stop", lambda layout, kind: True)
    monkeypatch.setattr(cloud, "stop", mock.Mock(side_effect=Stop("openstack.stop failed", log="x.log")))
    down.run(layout, console, purge=False, yes=False)
    assert world.calls == ["stop"]
    assert "openstack.stop failed (x.log): stopping containers by the engine" in out.getvalue()


def test_this_machine_is_claimed_once(layout: Layout, world: SimpleNamespace, tmp_path: Path) -> None:
    cloud.claim(layout)
    cloud.claim(layout)
    assert cloud.owner() == str(layout.checkout)
    other = Layout(tmp_path / "other")
    Made(layout.dot / "made.json").put("ports", {})
    with pytest.raises(Stop, match="already has a cloud"):
        cloud.claim(other)


def test_a_host_of_another_cloud_is_not_taken_over(layout: Layout, world: SimpleNamespace) -> None:
    (world.state / "desired").mkdir()
    with pytest.raises(Stop, match="host of another Saltern cloud"):
        cloud.claim(layout)
