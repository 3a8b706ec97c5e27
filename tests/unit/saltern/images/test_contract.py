"""The start scripts: set then check passes, any single change makes check fail, set mends it; errors are one line."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .trees import CHECKOUT

BASE = CHECKOUT / "images" / "base"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


def load_script() -> Any:
    loader = SourceFileLoader("kolla_set_configs", str(BASE / "kolla_set_configs"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


class Container:
    """A place in which the script works: sources, destinations, and a root for the command."""

    def __init__(self, root: Path) -> None:
        self.root, self.script = root, load_script()
        self.source, self.etc = root / "config_files", root / "etc"
        self.source.mkdir()
        self.script.PLACES = (f"{root}/",)
        self.config: dict[str, Any] = {"command": "sleep 1", "config_files": []}
        self.environment = {"KOLLA_CONFIG_FILE": str(root / "config.json"), "KOLLA_CONFIG_STRATEGY": "COPY_ALWAYS"}

    def add(self, name: str, content: bytes = b"a = 1\n", perm: str = "0600", **more: Any) -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        dest = self.etc / name
        entry = {"source": str(path), "dest": str(dest), "owner": OWNER, "perm": perm, **more}
        self.config["config_files"].append(entry)
        return dest

    def run(self, *arguments: str) -> int:
        (self.root / "config.json").write_text(json.dumps(self.config))
        return int(self.script.main(list(arguments), self.environment))


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


# -- property: set, check, change, check, set, check -----------------------------------------------------------------

FILES = st.dictionaries(
    st.sampled_from(["a.conf", "b.conf", "keys/0", "keys/1", "deep/er/c"]),
    st.tuples(st.binary(max_size=40), st.sampled_from(["0600", "640", "0o644", "0400"])),
    min_size=1,
)


def _content(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _mode(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) ^ 0o010)


def _gone(path: Path) -> None:
    path.unlink()


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


MUTATIONS: list[Callable[[Path], None]] = [_content, _mode, _gone, _link]


@settings(max_examples=40, deadline=None)
@given(FILES, st.sampled_from(MUTATIONS), st.data())
def test_any_single_change_is_seen_and_mended(
    files: dict[str, tuple[bytes, str]], mutate: Callable[[Path], None], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        container = Container(Path(folder))
        dests = [container.add(name, content, perm) for name, (content, perm) in files.items()]
        assert container.run() == 0
        assert container.run("--check") == 0
        mutate(data.draw(st.sampled_from(dests)))
        assert container.run("--check") == 1
        assert container.run() == 0
        assert container.run("--check") == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12).filter(lambda word: "\x00" not in word), min_size=1, max_size=6))
def test_words_survive_quoting_by_a_shell(words: list[str]) -> None:
    import shlex

    script = load_script()
    assert script.words(shlex.join(words)) == words
    assert shlex.split(script.quoted(words)) == words


# -- single rules ----------------------------------------------------------------------------------------------------


def test_a_directory_with_its_modes_and_without_strays(container: Container) -> None:
    for name in ("one", "sub/two"):
        path = container.source / "dir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    dest = container.etc / "dir"
    entry = {"source": str(container.source / "dir"), "dest": str(dest), "owner": OWNER, "perm": "0640"}
    container.config["config_files"] = [entry]
    assert container.run() == 0
    assert stat.S_IMODE((dest / "sub").stat().st_mode) == 0o750
    assert stat.S_IMODE((dest / "sub/two").stat().st_mode) == 0o640
    (dest / "stray").write_text("")
    assert container.run("--check") == 1
    assert container.run() == 0
    assert not (dest / "stray").exists()
    (dest / "sub").chmod(0o700)
    assert container.run("--check") == 1


def test_a_glob_goes_into_a_directory(container: Container) -> None:
    for name in ("a.pem", "b.pem"):
        (container.source / name).write_text(name)
    dest = container.etc / "certs"
    container.config["config_files"] = [
        {"source": str(container.source / "*.pem"), "dest": f"{dest}/", "owner": OWNER, "perm": "0600"}
    ]
    assert container.run() == 0
    assert sorted(path.name for path in dest.iterdir()) == ["a.pem", "b.pem"]


def test_permissions_with_recursion_and_each_exclusion(container: Container) -> None:
    for name in ("data/keep/x", "data/skip/y", "data/other/z"):
        path = container.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o600)
    container.config["permissions"] = [
        {
            "path": str(container.root / "data"),
            "owner": OWNER,
            "perm": "0640",
            "recurse": True,
            "exclude": ["/skip", "z$"],
        }
    ]
    assert container.run() == 0
    modes = {n: stat.S_IMODE((container.root / "data" / n).stat().st_mode) for n in ("keep/x", "skip/y", "other/z")}
    assert modes == {"keep/x": 0o640, "skip/y": 0o600, "other/z": 0o600}
    assert container.run("--check") == 0
    (container.root / "data/keep/x").chmod(0o644)
    assert container.run("--check") == 1


def test_optional_files_may_be_missing_and_others_not(container: Container, capsys: pytest.CaptureFixture[str]) -> None:
    container.config["config_files"] = [
        {"source": "/nothing/*", "dest": "/etc/x", "owner": OWNER, "perm": "0600", "optional": True}
    ]
    assert container.run() == 0
    container.config["config_files"][0]["optional"] = False
    assert container.run() == 2
    assert "config_files /etc/x: nothing matches /nothing/*" in capsys.readouterr().err


def test_copy_once_leaves_later_changes_alone(container: Container) -> None:
    container.environment["KOLLA_CONFIG_STRATEGY"] = "COPY_ONCE"
    dest = container.add("a.conf", b"first")
    assert container.run() == 0
    (container.source / "a.conf").write_bytes(b"second")
    assert container.run() == 0
    assert dest.read_bytes() == b"first"


def test_a_link_at_the_destination_is_replaced_and_its_target_untouched(container: Container) -> None:
    dest = container.add("a.conf", b"new")
    target = container.root / "precious"
    target.write_text("precious")
    dest.parent.mkdir(parents=True)
    dest.symlink_to(target)
    assert container.run() == 0
    assert target.read_text() == "precious"
    assert dest.read_bytes() == b"new"
    assert not dest.is_symlink()


def test_a_changed_command_is_seen(container: Container) -> None:
    assert container.run() == 0
    container.config["command"] = "sleep 2"
    assert container.run("--check") == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"command": ""}, "'command' is missing or empty"),
        ({"command": "echo 'open"}, "is never closed"),
        ({"config_files": {}}, "'config_files' must be a list"),
        ({"config_files": [{"source": "/a", "dest": "/b", "perm": "0600"}]}, "'owner' is missing"),
        ({"config_files": [{"source": "/a", "dest": "/b", "owner": "absent", "perm": "0600"}]}, "no user 'absent'"),
        ({"config_files": [{"source": "/a", "dest": "/b", "owner": OWNER, "perm": "rw"}]}, "'rw' is no octal mode"),
    ],
)
def test_errors_are_one_line_that_names_the_entry(
    container: Container, change: dict[str, Any], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    container.config |= change
    assert container.run() == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1


def test_an_unknown_strategy_and_broken_json(container: Container, capsys: pytest.CaptureFixture[str]) -> None:
    container.environment["KOLLA_CONFIG_STRATEGY"] = "SOMETIMES"
    assert container.run() == 2
    assert "must be COPY_ALWAYS or COPY_ONCE" in capsys.readouterr().err
    container.environment["KOLLA_CONFIG"] = "{"
    assert int(container.script.main([], container.environment)) == 2
    assert "no JSON" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_an_owner_that_cannot_be_set_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    (tmp_path / "a").write_text("x")
    config = {
        "command": "true",
        "config_files": [
            {"source": f"{tmp_path}/a", "dest": "/tmp/saltern-owner/a", "owner": "root:root", "perm": "0644"}
        ],
    }
    environment = {"KOLLA_CONFIG": json.dumps(config), "PATH": os.environ["PATH"]}
    try:
        result = subprocess.run(
            [sys.executable, "-IS", str(_readable(tmp_path))],
            env=environment,
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree("/tmp/saltern-owner", ignore_errors=True)
    assert result.returncode == 2
    assert "cannot become owned by 0:0" in result.stderr
    assert "Traceback" not in result.stderr


def _readable(folder: Path) -> Path:
    copy = folder / "kolla_set_configs"
    shutil.copy(BASE / "kolla_set_configs", copy)
    copy.chmod(0o755)
    return copy


# -- kolla_start -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[Path]:
    """kolla_start as it is, with its fixed places moved below a directory."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("kolla_start", "kolla_set_configs", "kolla_copy_cacerts", "kolla_extend_start"):
        text = (BASE / name).read_text()
        text = text.replace("for folder in / /run/ /tmp/", f"for folder in {tmp_path}/")
        text = text.replace('PLACES = ("/", "/run/", "/tmp/")', f'PLACES = ("{tmp_path}/",)')
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
