"""The ext_pillar: who gets what of which model, and that it never takes a lock away or raises."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from saltern.model.store import Store
from saltern.plan import lock
from saltern.plan.lock import Holder, RunLock

OLD, NEW, MASTER = "a" * 16, "b" * 16, "m_master"
FILE = Path(__file__).resolve().parents[3] / "salt/_pillar/openstack.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path)
    for digest in (OLD, NEW):
        store.write(digest, {"plan.json": {"digest": digest}, "hosts/ctl1.json": {"model": digest}})
    (store.compiled / "current").symlink_to(OLD)
    return tmp_path


@pytest.fixture
def module(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("openstack_ext_pillar", FILE)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.__dict__["log"] = mock.create_autospec(logging.Logger, instance=True)
    loaded.__dict__["__opts__"] = {"id": MASTER, "saltern_state_dir": str(root)}
    return loaded


@pytest.fixture
def held_elsewhere(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run's lock, as salt-run does."""
    code = (
        "import sys, pathlib; from saltern.plan.lock import *;"
        f"RunLock(pathlib.Path({str(root)!r})).take(Holder('run-1', os.getpid(), {NEW!r}, 'deploy'));"
        "print('held', flush=True); sys.stdin.read()"
    )
    path = os.pathsep.join(sys.path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import os;" + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdout and child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def test_a_minion_gets_its_slice_of_the_current_model(module: Any) -> None:
    assert module.ext_pillar("ctl1", {}) == {"saltern": {"model": OLD}}


def test_an_unknown_minion_gets_nothing(module: Any) -> None:
    assert module.ext_pillar("stranger", {}) == {}


def test_the_master_gets_the_plan(module: Any) -> None:
    assert module.ext_pillar(MASTER, {}) == {"saltern_plan": {"digest": OLD}}


def test_a_step_names_its_model(module: Any) -> None:
    assert module.ext_pillar("ctl1", {"saltern_step": {"model": NEW}}) == {"saltern": {"model": NEW}}


@pytest.mark.parametrize("model", ["../current", "", 5, "z" * 16, "c" * 16])
def test_a_step_with_a_wrong_model_gets_nothing(module: Any, model: Any) -> None:
    assert module.ext_pillar("ctl1", {"saltern_step": {"model": model}}) == {}


@pytest.mark.parametrize("minion", ["../../../etc/passwd", "a/b", "", "..", "a..b", "x\n"])
def test_what_is_no_minion_id_gets_nothing(module: Any, minion: str) -> None:
    assert module.ext_pillar(minion, {}) == {}
    module.log.warning.assert_called_once()


def test_an_open_run_pins_its_model_and_is_named(module: Any, held_elsewhere: Any) -> None:
    assert module.ext_pillar("ctl1", {}) == {"saltern": {"model": NEW}, "saltern_run": "run-1"}
    assert module.ext_pillar("stranger", {}) == {}


def test_a_killed_run_is_over_at_once(module: Any, held_elsewhere: subprocess.Popen[str]) -> None:
    held_elsewhere.kill()
    held_elsewhere.wait()
    assert module.ext_pillar("ctl1", {}) == {"saltern": {"model": OLD}}


def test_a_closed_run_is_over_while_its_process_lives(module: Any, root: Path, held_elsewhere: Any) -> None:
    RunLock(root).close("run-1")
    assert module.ext_pillar("ctl1", {}) == {"saltern": {"model": OLD}}


def test_the_holder_itself_keeps_its_lock(module: Any, root: Path) -> None:
    RunLock(root).take(Holder("run-2", os.getpid(), NEW, "deploy"))
    try:
        assert module.ext_pillar(MASTER, {}) == {"saltern_plan": {"digest": NEW}, "saltern_run": "run-2"}
        probe = (
            f"import pathlib; from saltern.plan.lock import *; print(RunLock(pathlib.Path({str(root)!r})).holder_pid())"
        )
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        seen = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=env)
        assert seen.stdout.strip() == str(os.getpid())
    finally:
        lock.release()


@pytest.mark.parametrize("name", ["run.open", "run.lock", "compiled/" + OLD + "/hosts/ctl1.json"])
def test_broken_files_raise_nothing(module: Any, root: Path, name: str) -> None:
    (root / name).write_bytes(b"\xff{")
    assert module.ext_pillar("ctl1", {}) in ({}, {"saltern": {"model": OLD}})


def test_nothing_compiled_yet_is_an_empty_answer(module: Any, tmp_path: Path) -> None:
    module.__dict__["__opts__"]["saltern_state_dir"] = str(tmp_path / "none")
    assert module.ext_pillar("ctl1", {}) == {}
    assert json.dumps(module.ext_pillar("ctl1", None)) == "{}"
