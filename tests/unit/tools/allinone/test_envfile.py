""".saltern/env in the shells people use; no password anywhere in it."""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from allinone import envfile
from allinone.layout import Layout

SHELLS = [name for name in ("sh", "bash", "zsh") if shutil.which(name)]


@pytest.fixture
def spaced(layout_in: Callable[[str], Layout]) -> Layout:
    made = layout_in("it's a checkout")
    made.make()
    envfile.write(made)
    for program in ("venv/bin/salt-run", "venv-openstack/bin/openstack"):
        path = made.dot / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\nfor word in "$@"; do printf "[%s]" "$word"; done\n')
        path.chmod(0o755)
    return made


def ask(shell: str, layout: Layout, script: str) -> str:
    text = f'. "{layout.env}"; {script}'
    environment = {**os.environ, "OS_AUTH_URL": "http://elsewhere", "OS_PASSWORD": "theirs"}
    return subprocess.run(
        [shell, "-euc", text], capture_output=True, text=True, check=True, cwd="/", env=environment
    ).stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_work_from_any_directory(shell: str, spaced: Layout) -> None:
    words = ask(shell, spaced, "salt-run state.orch 'a b' x=1")
    assert words == f"[-c][{spaced.config}][--log-file-level=error][state.orch][a b][x=1]"
    assert ask(shell, spaced, "openstack token issue") == "[token][issue]"


@pytest.mark.parametrize("shell", SHELLS)
def test_it_may_be_read_twice(shell: str, spaced: Layout) -> None:
    twice = ask(shell, spaced, f'. "{spaced.env}"; echo "$PATH"')
    assert twice.count(str(spaced.bin)) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_the_client_reads_clouds_yaml_and_nothing_of_another_cloud(shell: str, spaced: Layout) -> None:
    shown = ask(shell, spaced, "env")
    assert f"OS_CLIENT_CONFIG_FILE={spaced.clouds}" in shown and "OS_CLOUD=saltern" in shown
    assert "OS_PASSWORD" not in shown and "elsewhere" not in shown


def test_writing_it_again_changes_nothing(spaced: Layout) -> None:
    before = {path: path.read_bytes() for path in (spaced.env, *spaced.bin.iterdir())}
    envfile.write(spaced)
    assert {path: path.read_bytes() for path in (spaced.env, *spaced.bin.iterdir())} == before
