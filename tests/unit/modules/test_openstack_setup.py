"""The adapter on real files, read back by Salt's own configuration code."""

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import salt.config
import yaml
from salt.exceptions import CommandExecutionError

from saltern.host import processes

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "openstack_setup_module", CHECKOUT / "salt/_modules/openstack_setup.py"
    )
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Place:
    """A configuration directory, and the module working on it."""

    def __init__(self, folder: Path, module: ModuleType, kind: str) -> None:
        self.folder, self.module, self.kind = folder, module, kind
        self.main({})

    def main(self, data: dict[str, Any]) -> None:
        (self.folder / self.kind).write_text(yaml.safe_dump(data))

    def other(self, name: str, data: dict[str, Any]) -> None:
        (self.folder / f"{self.kind}.d").mkdir(exist_ok=True)
        (self.folder / f"{self.kind}.d" / name).write_text(yaml.safe_dump(data))

    @property
    def ours(self) -> Path:
        return self.folder / f"{self.kind}.d" / "openstack.conf"

    def opts(self, **extra: Any) -> dict[str, Any]:
        read = salt.config.master_config if self.kind == "master" else salt.config.minion_config
        made = dict(read(str(self.folder / self.kind)))
        self.module.__dict__["__opts__"] = {**made, "extension_modules": str(self.folder), **extra}
        return self.module.__dict__["__opts__"]  # type: ignore[no-any-return]


@pytest.fixture
def master(tmp_path: Path, module: ModuleType) -> Place:
    place = Place(tmp_path, module, "master")
    place.main({"module_dirs": [str(CHECKOUT / "salt")], "pidfile": str(tmp_path / "master.pid")})
    place.opts()
    return place


@pytest.fixture
def minion(tmp_path: Path, module: ModuleType) -> Place:
    place = Place(tmp_path, module, "minion")
    place.main({"pidfile": str(tmp_path / "minion.pid"), "id": "ctl1"})
    place.opts()
    return place


def test_the_checkout_is_found_by_the_modules_it_was_loaded_from(master: Place) -> None:
    answer = master.module.master()
    assert answer["changed"] and answer["hidden"] == []
    assert master.opts()["saltern_checkout"] == str(CHECKOUT)


def test_a_second_write_changes_nothing(master: Place) -> None:
    master.module.master()
    inode = master.ours.stat().st_ino
    master.opts()
    answer = master.module.master()
    assert not answer["changed"] and answer["diff"] == [] and master.ours.stat().st_ino == inode


def test_in_test_mode_nothing_is_written(master: Place) -> None:
    answer = master.module.master(test=True)
    assert answer["changed"] and any("openstack_recovery" in line for line in answer["diff"])
    assert not master.ours.exists()


def test_the_operators_own_pillar_and_formulas_stay(master: Place) -> None:
    main = yaml.safe_load((master.folder / "master").read_text())
    master.main({**main, "ext_pillar": [{"cmd_yaml": "true"}], "file_roots": {"base": ["/srv/formulas"]}})
    master.opts()
    assert master.module.master()["hidden"] == []
    opts = master.opts()
    assert [*opts["ext_pillar"][0]] == ["cmd_yaml"]
    assert opts["file_roots"]["base"][0] == "/srv/formulas"


def test_a_file_that_hides_ours_is_named(master: Place) -> None:
    master.other("zz.conf", {"saltern_setup": "other"})
    master.opts()
    assert master.module.master()["hidden"] == ["saltern_setup"]


def test_a_master_that_does_not_include_our_directory_is_told(master: Place) -> None:
    main = yaml.safe_load((master.folder / "master").read_text())
    master.main({**main, "default_include": "conf.d/*.conf"})
    master.opts()
    with pytest.raises(CommandExecutionError, match="Mend default_include"):
        master.module.master()


def test_a_broken_file_is_named(master: Place) -> None:
    (master.folder / "master").write_text("a: [")
    with pytest.raises(CommandExecutionError, match="cannot be read"):
        master.module.master()


def test_without_a_checkout_it_says_what_to_set(master: Place) -> None:
    master.main({"pidfile": "/none"})
    master.opts(module_dirs=[], file_roots={"base": []}, saltern_checkout=None)
    with pytest.raises(CommandExecutionError, match="Set saltern_checkout"):
        master.module.master()


@pytest.fixture
def daemon(tmp_path: Path) -> Any:
    """A process that looks like a salt-master that was started just now."""
    child = subprocess.Popen(["sh", "-c", "read x", "salt-master"], stdin=subprocess.PIPE)
    (tmp_path / "master.pid").write_text(str(child.pid))
    yield child
    child.communicate()


def test_a_master_older_than_its_file_refuses_runs(master: Place, daemon: Any) -> None:
    master.module.master()
    master.opts()
    began = processes.started(daemon.pid)
    os.utime(master.ours, (began + 5, began + 5))
    assert master.module.master_check() == [
        f"The running salt-master does not have {master.ours} yet. Run: systemctl restart salt-master"
    ]
    os.utime(master.ours, (began - 5, began - 5))
    assert master.module.master_check() == []


def test_an_edited_file_refuses_runs(master: Place, daemon: Any) -> None:
    assert "is not what openstack.setup writes" in master.module.master_check()[0]


def test_no_master_is_said(master: Place) -> None:
    master.module.master()
    master.opts()
    assert "salt-master does not run" in master.module.master_check()[0]


def test_a_minion_runs_the_health_engine_after_its_restart(minion: Place) -> None:
    answer = minion.module.minion()
    assert answer["changed"] and answer["restart"] and answer["docker_py"]
    opts = minion.opts()
    assert opts["engines"] == [{"openstack_health": {}}]
    assert minion.module.minion()["restart"] == ""


def test_new_code_of_the_engine_asks_for_a_restart(minion: Place) -> None:
    minion.module.minion()
    minion.opts()
    (minion.folder / "engines").mkdir()
    (minion.folder / "engines" / "openstack_health.py").write_text("new = 1\n")
    answer = minion.module.minion()
    assert answer["changed"] and answer["restart"]


@pytest.mark.parametrize(
    ("opts", "unit", "pid", "how", "runs"),
    [
        ({"minion_restart_command": ["/opt/re start", "x"]}, "", 0, "minion_restart_command", "'/opt/re start' x"),
        ({}, "salt-minion.service", 7, "systemd", "systemctl --no-block restart salt-minion.service"),
        ({}, "", 7, "process", "kill 7; wait"),
    ],
)
def test_a_minion_restarts_by_what_runs_it(
    minion: Place, opts: dict[str, Any], unit: str, pid: int, how: str, runs: str
) -> None:
    minion.opts(**opts)
    with (
        mock.patch.object(processes, "from_pid_file", return_value=pid),
        mock.patch.object(processes, "systemd_unit", return_value=unit),
        mock.patch.object(processes, "restart_script", return_value="kill 7; wait"),
        mock.patch.object(subprocess, "Popen") as popen,
    ):
        assert minion.module.minion_restart() == how
    command, options = popen.call_args
    assert command[0][2] == f"sleep 1; {runs}"
    assert options["start_new_session"] is True


def test_a_minion_that_nobody_can_find_is_not_restarted(minion: Place) -> None:
    with pytest.raises(CommandExecutionError, match="Restart it by hand"):
        minion.module.minion_restart()
