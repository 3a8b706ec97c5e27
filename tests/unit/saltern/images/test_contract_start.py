"""kolla_start and kolla_copy_cacerts as they are, with their fixed places moved below a directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .box import BASE


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[Path]:
    """kolla_start as it is, with its fixed places moved below a directory."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("kolla_start", "kolla_set_configs", "kolla_copy_cacerts", "kolla_extend_start"):
        text = (BASE / name).read_text()
        text = text.replace("for folder in / /run/ /tmp/", f"for folder in {tmp_path}/")
        text = text.replace('PLACES = ("/", "/run/", "/tmp/")', f'PLACES = ("{tmp_path}/",)')
        text = text.replace('"/etc/kolla/defaults"', f'"{tmp_path}/defaults"')
        text = text.replace("/var/lib/kolla/share", f"{tmp_path}/share").replace("/etc/ssl/", f"{tmp_path}/ssl/")
        text = text.replace("/etc/pki/", f"{tmp_path}/pki/")
        text = text.replace("/usr/local/bin/", f"{bin_}/").replace("#!/usr/bin/python3", f"#!{sys.executable}")
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    yield tmp_path


def start(root: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": f"{root}/bin:{os.environ['PATH']}",
        "KOLLA_CONFIG": json.dumps({"command": command}),
        **environment,
    }
    return subprocess.run([str(root / "bin/kolla_start")], env=environ, capture_output=True, text=True)


def test_the_command_is_run_word_by_word_without_expansion(scripts: Path) -> None:
    done = start(scripts, """printf '%s|' 'a b' "c" $HOME *.x \\; d""")
    assert done.stdout == "a b|c|$HOME|*.x|;|d|", done.stderr


def test_the_exit_code_is_the_commands(scripts: Path) -> None:
    assert start(scripts, "sh -c 'exit 7'").returncode == 7


def test_a_service_may_add_arguments_or_end_the_start(scripts: Path) -> None:
    hook = scripts / "bin/kolla_extend_start"
    hook.write_text('[ "$CMD" = "echo a" ]\nARGS="--more words"\n')
    assert start(scripts, "echo a").stdout == "a --more words\n"
    assert start(scripts, "echo a", KOLLA_SKIP_EXTEND_START="").stdout == "a\n"
    hook.write_text('[ -z "${KOLLA_BOOTSTRAP+set}" ] || exit 3\nset -- echo "replaced by hand"\n')
    assert start(scripts, "echo a").stdout == "replaced by hand\n"
    assert start(scripts, "echo a", KOLLA_BOOTSTRAP="").returncode == 3


def test_a_wrong_configuration_starts_nothing(scripts: Path) -> None:
    done = start(scripts, "echo 'open")
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_verb_counts_even_when_it_is_empty(scripts: Path) -> None:
    hook = scripts / "bin/kolla_extend_start"
    hook.write_text("if kolla_asked KOLLA_BOOTSTRAP; then echo bootstrap; exit 0; fi\n")
    assert start(scripts, "echo run").stdout == "run\n"
    assert start(scripts, "echo run", KOLLA_BOOTSTRAP="").stdout == "bootstrap\n"
    assert start(scripts, "echo run", KOLLA_BOOTSTRAP="1").stdout == "bootstrap\n"


SUDO = """#!/bin/sh
echo "sudo $*" >> {log}
[ "$1 $2" != "-n -l" ] || exit {allowed}
while [ "${{1#-}}" != "$1" ]; do shift; done
exec "$@"
"""


@pytest.mark.parametrize("allowed", [True, False])
def test_another_user_than_root_takes_sudo_where_it_may(scripts: Path, allowed: bool) -> None:
    log = scripts / "log"
    (scripts / "bin/sudo").write_text(SUDO.format(log=log, allowed=0 if allowed else 1))
    (scripts / "bin/id").write_text("#!/bin/sh\necho 42457\n")
    for name in ("sudo", "id"):
        (scripts / "bin" / name).chmod(0o755)
    assert start(scripts, "echo run").stdout == "run\n"
    calls = log.read_text()
    assert (f"sudo -n -E {scripts}/bin/kolla_set_configs\n" in calls) == allowed
    assert (f"sudo -n -E {scripts}/bin/kolla_copy_cacerts\n" in calls) == allowed
    assert calls.count("-n -l") == 2


# -- kolla_copy_cacerts ------------------------------------------------------------------------------------------------

OWN = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"


def test_authorities_come_and_go_with_the_directory(scripts: Path) -> None:
    bundle, shared = scripts / "ssl/certs/ca-certificates.crt", scripts / "share/ca-certificates"
    bundle.parent.mkdir(parents=True)
    shared.mkdir(parents=True)
    bundle.write_text(OWN)
    one, two = (OWN.replace("own", name) for name in ("same\none", "same\ntwo"))
    (shared / "one.crt").write_text(one.rstrip("\n"))
    (shared / "two.crt").write_text(two)
    (shared / "three.crt").write_text("no certificate")
    for _ in range(2):
        done = subprocess.run([scripts / "bin/kolla_copy_cacerts"], capture_output=True, text=True, check=True)
        assert bundle.read_text() == f"{OWN}# below: kolla_copy_cacerts\n{one}{two}"
        assert "three.crt holds no certificate" in done.stderr
    for path in shared.iterdir():
        path.unlink()
    subprocess.run([scripts / "bin/kolla_copy_cacerts"], check=True)
    assert bundle.read_text() == OWN


def test_without_a_bundle_it_says_so_and_the_start_goes_on(scripts: Path) -> None:
    (scripts / "share/ca-certificates").mkdir(parents=True)
    (scripts / "share/ca-certificates/one.crt").write_text(OWN)
    done = start(scripts, "echo run")
    assert done.stdout == "run\n"
    assert "cannot be written here" in done.stderr
