"""``openstack.setup`` on a master and a minion that somebody else configured, for real, with their daemons running."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from allinone import daemons, keys, saltconf
from allinone.layout import Layout
from allinone.made import Made

pytestmark = [pytest.mark.slow]

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SYNC = "Bring modules, states and engines to the minions"


@dataclass(frozen=True)
class Theirs(Layout):
    """Daemons in a directory of their own, out of the environment that runs the tests."""

    @property
    def venv(self) -> Path:
        return Path(sys.prefix)


def configure(layout: Layout, kind: str, settings: dict[str, Any]) -> None:
    (layout.config / f"{kind}.d").mkdir(parents=True, exist_ok=True)
    (layout.config / kind).write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))


@pytest.fixture(scope="module")
def theirs() -> Iterator[Theirs]:
    # Not pytest's directory: a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="f-", dir="/tmp"))
    layout = Theirs(folder)
    layout.make()
    (layout.config / "cache" / "master" / "proc").mkdir(parents=True)
    # A copy: the code must not change under the daemons while somebody edits the checkout.
    for name in ("salt", "states"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "formulas").mkdir()
    (folder / "formulas" / "theirs.sls").write_text("theirs:\n  test.nop: []\n")
    port = saltconf.ports(Made(layout.dot / "made.json"))
    master = saltconf.master(layout, port)
    # The few lines that README shows, besides what the operator had before.
    ours = [str(folder / "states"), str(folder / "salt")]
    del master["saltern_checkout"]
    configure(
        layout,
        "master",
        {
            **master,
            "saltern_state_dir": str(folder / "state"),
            "file_roots": {"base": [str(folder / "formulas"), *ours]},
            "module_dirs": [str(folder / "salt")],
            "pillar_roots": {"base": [str(folder / "pillar")]},
            "ext_pillar": [{"cmd_yaml": "echo 'theirs: kept'"}],
        },
    )
    configure(layout, "minion", saltconf.minion(layout, port))
    try:
        for kind in daemons.KINDS:
            daemons.start(layout, kind)
        keys.accept(layout, layout.log / "keys.log")
        answers = CHECKOUT / "tools" / "allinone" / "helpers" / "answers.py"
        subprocess.run([sys.executable, answers, layout.config, "90", saltconf.minion_id()], check=True)
        yield layout
    finally:
        for kind in reversed(daemons.KINDS):
            daemons.stop(layout, kind)
        shutil.rmtree(folder, ignore_errors=True)


def run(layout: Layout, *words: str) -> Any:
    command = [BIN / "salt-run", "-c", layout.config, "--log-file-level=error", "--out=json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip(), done.stderr
    return json.loads(done.stdout)


def setup(layout: Layout, *words: str) -> dict[str, dict[str, Any]]:
    """State results of ``openstack.setup`` by their sentences."""
    pillar = json.dumps({"minions": [saltconf.minion_id()]})
    answer = run(layout, "state.orch", "openstack.setup", f"pillar={pillar}", *words)
    return {state["__id__"]: state for states in answer["data"].values() for state in states.values()}


def ask_minion(layout: Layout, *words: str) -> Any:
    command = [BIN / "salt", "-c", layout.config, "--log-file-level=error", "--out=json", saltconf.minion_id(), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)[saltconf.minion_id()]


def ours(layout: Layout, kind: str) -> Path:
    return layout.config / f"{kind}.d" / "openstack.conf"


def test_setting_up_a_salt_that_is_there(theirs: Theirs) -> None:
    """One walk, since each step is the ground of the next: test mode, set-up, restart of the master, nothing to do."""
    before = daemons.pid(theirs, "master")
    would = setup(theirs, "test=True")
    assert would["Write the master's configuration"]["result"] is None
    assert not ours(theirs, "master").exists() and not ours(theirs, "minion").exists()

    old = daemons.pid(theirs, "minion")
    first = setup(theirs)
    assert all(state["result"] for state in first.values()), first
    assert daemons.pid(theirs, "minion") not in (0, old), "the minion was restarted and runs"
    assert daemons.pid(theirs, "master") == before, "the master it runs on is not restarted"
    last = first["The running master has its configuration"]
    assert "systemctl restart salt-master" in last["comment"]
    assert run(theirs, "salt.cmd", "openstack_setup.master_check"), "runs are refused until somebody restarts it"

    daemons.restart(theirs, "master")
    assert run(theirs, "salt.cmd", "openstack_setup.master_check") == []

    pillar = ask_minion(theirs, "pillar.items")
    assert "theirs" in pillar, "the operator's ext_pillar is still asked"
    assert ask_minion(theirs, "cp.list_states").count("theirs") == 1, "and their formulas are still served"
    files = ask_minion(theirs, "cp.list_master")
    assert not [name for name in files if name.startswith(("pillar/", "README", ".git", "tools/"))]

    running = daemons.pid(theirs, "minion")
    again = setup(theirs)
    assert {name for name, state in again.items() if state["changes"] and name != SYNC} == set()
    assert all(state["result"] for state in again.values()), again
    assert daemons.pid(theirs, "minion") == running
