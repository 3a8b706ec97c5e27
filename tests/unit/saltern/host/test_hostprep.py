"""Settings of a host: set and kept, by whom they are needed, nothing done where nothing differs. Library to state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host import hostprep
from saltern.host.hostprep import Places
from unit.adapters import load

KEY = "net.ipv4.ip_forward"


def spec(name: str, **sysctls: str) -> dict[str, Any]:
    return {"name": name, "host": {"sysctls": {key.replace("__", "."): value for key, value in sysctls.items()}}}


AGENT = spec("agent", net__ipv4__ip_forward="1", net__ipv4__tcp_rmem="1 2 3")
OTHER = spec("other", net__ipv4__ip_forward="1", fs__inotify__max_user_instances="4096")
PLAIN = {"name": "plain"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "proc", tmp_path / "etc" / "60-saltern.conf")
    for key, value in ((KEY, "0\n"), ("net.ipv4.tcp_rmem", "1\t2\t3\n"), ("fs.inotify.max_user_instances", "128\n")):
        path = places.proc.joinpath(*key.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return places


def test_what_differs_is_told_and_nothing_changed(places: Places) -> None:
    assert hostprep.compare([PLAIN, AGENT, OTHER], None, places) == {
        "sysctl fs.inotify.max_user_instances": {
            "kind": "sysctl", "current": "128", "desired": "4096", "containers": ["other"],
        },
        f"sysctl {KEY}": {"kind": "sysctl", "current": "0", "desired": "1", "containers": ["agent", "other"]},
        "sysctl net.ipv4.tcp_rmem": {
            "kind": "sysctl", "current": "1 2 3 until the next boot", "desired": "1 2 3", "containers": ["agent"],
        },
    }  # fmt: skip
    assert not places.file.exists()
    assert (places.proc / "net/ipv4/ip_forward").read_text() == "0\n"


def test_set_and_kept_then_nothing_differs(places: Places) -> None:
    told = hostprep.compare([AGENT, OTHER], ["agent"], places)
    assert hostprep.prepare([AGENT, OTHER], ["agent"], places) == told
    assert (places.proc / "net/ipv4/ip_forward").read_text() == "1"
    assert (places.proc / "fs/inotify/max_user_instances").read_text() == "128\n", "not of this wave"
    text = places.file.read_text()
    assert text.startswith("# Written by Saltern")
    assert f"# agent, other\n{KEY} = 1\n" in text
    assert places.file.stat().st_mode & 0o777 == 0o644
    before = places.file.stat()
    assert hostprep.compare([AGENT, OTHER], ["agent"], places) == {}
    assert hostprep.prepare([AGENT, OTHER], ["agent"], places) == {}
    assert places.file.stat() == before
    assert list(hostprep.compare([AGENT, OTHER], None, places)) == ["sysctl fs.inotify.max_user_instances"]


def test_what_nobody_needs_any_more_leaves_the_file(places: Places) -> None:
    hostprep.prepare([AGENT, OTHER], None, places)
    assert list(hostprep.prepare([OTHER], None, places)) == [str(places.file)]
    assert "tcp_rmem" not in places.file.read_text()
    assert list(hostprep.prepare([PLAIN], [], places)) == [str(places.file)]
    assert not places.file.exists()
    assert hostprep.prepare([PLAIN], None, places) == {}


def test_a_host_that_needs_nothing_has_no_file(places: Places) -> None:
    assert hostprep.prepare([PLAIN], None, places) == {}
    assert not places.file.parent.exists()


def test_errors_name_setting_and_containers(places: Places) -> None:
    with pytest.raises(SalternError, match=r"sysctl net\.no: this kernel does not have it \(needed by agent\)"):
        hostprep.compare([spec("agent", net__no="1")], None, places)
    broken = places.proc / "net" / "broken"
    broken.mkdir()
    with pytest.raises(SalternError, match=r"sysctl net\.broken: cannot be read"):
        hostprep.prepare([spec("agent", net__broken="1")], None, places)


def test_a_value_that_the_kernel_changes_is_an_error(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 1)
    with pytest.raises(SalternError, match="the kernel made 0 of 1"):
        hostprep.prepare([AGENT], None, places)


@pytest.mark.parametrize("test", [True, False])
def test_the_state(places: Places, monkeypatch: pytest.MonkeyPatch, test: bool) -> None:
    monkeypatch.setattr(hostprep, "PLACES", places)
    module = load("modules", "openstack_host", pillar={"saltern": {"containers": [AGENT, OTHER], "errors": []}})
    salt = {f"openstack_host.{name}": getattr(module, name) for name in ("compare", "prepare")}
    prepared = load("states", "openstack_host", salt=salt, opts={"test": test}).prepared
    ret = prepared("x", containers=["agent"])
    assert ret["result"] is (None if test else True)
    assert f"sysctl {KEY}: 0 → 1" in ret["comment"]
    assert places.file.exists() is not test
    module.prepare()
    ret = prepared("x")
    assert (ret["result"], ret["changes"], ret["comment"]) == (True, {}, "As its containers need")


def test_the_state_is_red_without_a_model(places: Places) -> None:
    module = load("modules", "openstack_host", pillar={})
    salt = {"openstack_host.prepare": module.prepare}
    ret = load("states", "openstack_host", salt=salt, opts={"test": False}).prepared("x")
    assert ret["result"] is False
    assert "no model of the cloud for this host" in ret["comment"]
