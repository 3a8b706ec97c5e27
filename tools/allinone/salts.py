"""The phase "Salt": environment, configuration, daemons, key, first answer; and calls of Salt's commands afterwards."""

from __future__ import annotations

from allinone import daemons, keys, saltconf, shell, venvs
from allinone.console import Phase
from allinone.layout import Layout
from allinone.made import Made

ANSWER_TIMEOUT = 90


def locks(layout: Layout) -> list:  # type: ignore[type-arg]
    """Of the environment of master and minion, in the order of installation."""
    return [layout.requirements / "build.txt", layout.requirements / "salt.txt"]


def ensure(layout: Layout, made: Made, phase: Phase) -> None:
    """Make our master and minion run by the present configuration and answer each other.

    Raises ``Stop`` when one does not start, the key is a stranger's, or no answer comes.
    """
    venvs.ensure(layout.venv, locks(layout), phase, layout.log / "pip.log")
    phase.title = f"Salt {venvs.locked(layout.requirements / 'salt.txt', 'salt')}"
    for kind in saltconf.write(layout, made):
        if daemons.stop(layout, kind):
            phase.step(f"salt-{kind} stopped: its configuration changed")
    started = [kind for kind in daemons.KINDS if daemons.start(layout, kind)]
    if started:
        phase.step(f"{' and '.join(f'salt-{kind}' for kind in started)} started")
    if keys.accept(layout, layout.log / "salt.log"):
        phase.step(f"key of {saltconf.minion_id()} accepted: its fingerprint is the minion's own")
    answers(layout, phase)
    port = saltconf.ports(made)["publish"]
    phase.detail = f"own master and minion, {saltconf.INTERFACE}:{port}"


def answers(layout: Layout, phase: Phase) -> None:
    """Wait until our minion answers our master."""
    phase.step("waiting for the minion's answer")
    shell.run(
        [
            layout.venv / "bin" / "python",
            layout.checkout / "tools" / "allinone" / "helpers" / "answers.py",
            layout.config,
            str(ANSWER_TIMEOUT),
            saltconf.minion_id(),
        ],
        layout.log / "salt.log",
        what="The minion does not answer its master",
        advice=f"look at {layout.log / 'salt-minion.log'}, then ./saltern up",
        code=5,
    )
