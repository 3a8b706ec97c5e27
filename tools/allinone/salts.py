"""The phase "Salt": environment, configuration, daemons, key, first answer; and calls of Salt's commands afterwards.

Master and minion get Saltern's part of their configuration (``openstack.conf``) before they are started, by the same
functions that ``openstack.setup`` calls on a Salt that runs already: a restart would cost twelve seconds.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from allinone import daemons, keys, saltconf, shell, venvs
from allinone.console import Phase, Stop
from allinone.layout import Layout
from allinone.made import Made

ANSWER_TIMEOUT = 90
# Salt logs a warning for every object that its own commands leave open. With this level it does not print them at exit.
QUIET = "--log-file-level=error"


def locks(layout: Layout) -> list[Path]:
    """Of the environment of master and minion, in the order of installation."""
    return [layout.requirements / "build.txt", layout.requirements / "salt.txt"]


def command(layout: Layout, program: str) -> list[str]:
    """The words that start one of Salt's commands on our master or minion."""
    return [str(layout.venv / "bin" / program), "-c", str(layout.config), QUIET]


def ensure(layout: Layout, made: Made, phase: Phase) -> None:
    """Make our master and minion run by the present configuration and answer each other.

    Raises ``Stop`` when one does not start, the key is a stranger's, or no answer comes.
    """
    venvs.ensure(layout.venv, locks(layout), phase, layout.log / "pip.log")
    phase.title = f"Salt {venvs.locked(layout.requirements / 'salt.txt', 'salt')}"
    changed = saltconf.write(layout, made)
    _master(layout, phase)
    _minion(layout, phase, "minion" in changed)
    if keys.accept(layout, layout.log / "salt.log"):
        phase.step(f"key of {saltconf.minion_id()} accepted: its fingerprint is the minion's own")
    answers(layout, phase)
    port = saltconf.ports(made)["publish"]
    phase.detail = f"own master and minion, {saltconf.INTERFACE}:{port}"


def answers(layout: Layout, phase: Phase) -> None:
    """Wait until our minion answers our master."""
    phase.step("waiting for the minion's answer")
    helper = layout.checkout / "tools" / "allinone" / "helpers" / "answers.py"
    shell.run(
        [layout.venv / "bin" / "python", helper, layout.config, str(ANSWER_TIMEOUT), saltconf.minion_id()],
        layout.log / "salt.log",
        what="The minion does not answer its master",
        advice=f"look at {layout.log / 'salt-minion.log'}, then ./saltern up",
        code=5,
    )


def setup(layout: Layout, phase: Phase) -> None:
    """``state.orch openstack.setup`` for our minion: code arrives, and the minion restarts if its engine's changed."""
    mark = layout.run / "setup.done"
    if mark.exists() and mark.read_text() == _state(layout):
        phase.detail = "modules and engines in place"
        return
    phase.step("salt-run state.orch openstack.setup")
    pillar = json.dumps({"minions": [saltconf.minion_id()]})
    text = shell.run(
        [*command(layout, "salt-run"), "--out=json", "state.orch", "openstack.setup", f"pillar={pillar}"],
        layout.log / "setup.log",
        what="openstack.setup failed",
        advice="./saltern up",
    )
    # A change here can only be a file that somebody edited meanwhile; the running master would lack it.
    _master(layout, phase)
    phase.detail = "minion restarted with new code" if '"new": "restarted"' in text else "modules and engines in place"
    mark.write_text(_state(layout))


def _state(layout: Layout) -> str:
    """What a set-up stands for: code and configuration, and the minion that has them."""
    files = [layout.config / "minion", *(layout.config / "minion.d").glob("openstack.conf")]
    text = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return f"{fingerprint(layout)} {text} {daemons.pid(layout, 'minion')}"


def _master(layout: Layout, phase: Phase) -> None:
    """Our master runs by the present code and files: workers keep what they imported until they are restarted."""
    mark = layout.run / "master.code"
    running = daemons.pid(layout, "master")
    if running and mark.exists() and mark.read_text() == fingerprint(layout):
        return
    if running:
        phase.step("restarting salt-master: its code or configuration changed")
        daemons.stop(layout, "master")
    _data(layout, ["salt-run", "salt.cmd", "openstack_setup.master"])
    daemons.start(layout, "master")
    mark.write_text(fingerprint(layout))
    phase.step("salt-master started")


def _minion(layout: Layout, phase: Phase, changed: bool) -> None:
    if changed and daemons.stop(layout, "minion"):
        phase.step("salt-minion stopped: its configuration changed")
    if daemons.pid(layout, "minion"):
        return
    phase.step("bringing modules, states and engines to the minion")
    for words in (["saltutil.sync_all", "saltenv=base", "refresh=False"], ["openstack_setup.minion"]):
        shell.run(
            [*command(layout, "salt-call"), "--local", "--retcode-passthrough", *words],
            layout.log / "salt.log",
            what=f"salt-call --local {words[0]} failed",
            advice="./saltern up",
        )
    daemons.start(layout, "minion")
    phase.step("salt-minion started")


def _data(layout: Layout, words: list[str]) -> Any:
    program, *arguments = words
    text = shell.run(
        [*command(layout, program), "--out=json", *arguments],
        layout.log / "salt.log",
        what=f"{' '.join(words)} failed",
        advice="./saltern up",
    )
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    try:
        return json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        raise Stop(f"{' '.join(words)} gave no data", log=str(layout.log / "salt.log"), advice="./saltern up") from None


def fingerprint(layout: Layout) -> str:
    """Of what a running master has read: our modules, its configuration files."""
    files = [
        *(layout.checkout / "salt").rglob("*.py"),
        *(layout.checkout / "states" / "openstack").glob("setup*.sls"),
        layout.config / "master",
        *(layout.config / "master.d").glob("*.conf"),
    ]
    text = hashlib.sha256()
    for path in sorted(files):
        text.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return text.hexdigest()
