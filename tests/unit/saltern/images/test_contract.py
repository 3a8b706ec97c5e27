"""kolla_set_configs, rule by rule; errors are one line that names the entry. Generated trees: the properties."""

from __future__ import annotations

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .box import BASE, OWNER, Container, snapshot

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


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
        ({"config_files": ["x"]}, "config_files[0]: must have the keys source, dest"),
        ({"config_files": [{"dest": "/b"}]}, "config_files[0] /b: 'source' is missing"),
        ({"config_files": [{"source": "a", "dest": "/b"}]}, "config_files /b: 'source' must begin with /, found 'a'"),
        ({"config_files": [{"source": "/a", "dest": "/b", "merge": "yes"}]}, "'merge' must be true or false"),
        ({"permissions": [{"path": "/a", "owner": OWNER, "exclude": "x"}]}, "'exclude' must be a list of patterns"),
        ({"permissions": [{"path": "/a", "owner": OWNER, "exclude": ["("]}]}, "permissions /a: exclude: '(' is no"),
        ({"permissions": [{"path": "/a", "owner": OWNER, "perm": 640}]}, "must be text in quotes, such as '0640'"),
        ({"directories": [{"path": "/a", "owner": OWNER}]}, "directories[0] /a: 'perm' is missing"),
        ({"files": [{"path": "/a", "owner": "root:absent", "perm": "0600"}]}, "files /a: there is no group 'absent'"),
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


def test_the_three_spellings_of_a_mode_are_one(container: Container) -> None:
    dest = container.add("a.conf", perm="640")
    assert container.run() == 0
    for perm in ("640", "0640", "0o640"):
        container.config["config_files"][0]["perm"] = perm
        assert container.run("--check") == 0
    assert stat.S_IMODE(dest.stat().st_mode) == 0o640


def test_a_preserved_file_needs_no_owner_and_passes_its_own_check(container: Container) -> None:
    (container.source / "tool").write_text("#!/bin/sh")
    (container.source / "tool").chmod(0o750)
    dest = container.etc / "tool"
    container.config["config_files"] = [
        {"source": str(container.source / "tool"), "dest": str(dest), "preserve_properties": True}
    ]
    assert container.run() == 0
    assert stat.S_IMODE(dest.stat().st_mode) == 0o750
    assert container.run("--check") == 0
    dest.chmod(0o755)
    assert container.run("--check") == 1


def test_links_are_kept_with_merge_and_preserve_and_else_followed(container: Container) -> None:
    folder = container.source / "d"
    folder.mkdir()
    (folder / "real").write_text("real")
    (folder / "link").symlink_to("real")
    container.entry(str(folder), str(container.etc / "kept"), merge=True, preserve_properties=True)
    container.entry(str(folder), str(container.etc / "followed"), preserve_properties=True)
    assert container.run() == 0
    assert os.readlink(container.etc / "kept/link") == "real"
    assert not (container.etc / "followed/link").is_symlink()
    assert (container.etc / "followed/link").read_text() == "real"
    assert container.run("--check") == 0
    (container.etc / "kept/link").unlink()
    (container.etc / "kept/link").symlink_to("other")
    assert container.run("--check") == 1


def test_merge_leaves_what_else_is_there_and_takes_back_only_its_own(container: Container) -> None:
    dest = container.etc / "ceph"
    dest.mkdir()
    (dest / "rbdmap").write_text("of the image")
    (dest / "ceph.conf").write_text("of the image")
    (container.source / "ceph").mkdir()
    (container.source / "ceph/ceph.conf").write_text("ours")
    (container.source / "ceph/keyring").write_text("ours")
    container.entry(str(container.source / "ceph"), str(dest), merge=True, perm="0640")
    before = snapshot(container.etc)
    assert container.run() == 0
    (dest / "of-the-service").write_text("")
    assert container.run("--check") == 0
    assert (dest / "rbdmap").read_text() == "of the image"
    (container.source / "ceph/keyring").unlink()
    assert container.run("--check") == 1
    assert container.run() == 0
    assert not (dest / "keyring").exists()
    container.config["config_files"] = []
    assert container.run() == 0
    (dest / "of-the-service").unlink()
    assert snapshot(container.etc) == before


def test_several_sources_need_a_directory_to_go_to(container: Container, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.pem", "b.pem"):
        (container.source / name).write_text(name)
    container.entry(f"{container.source}/*.pem", f"{container.etc}/certs")
    assert container.run() == 2
    assert "2 paths match" in capsys.readouterr().err
    assert not (container.etc / "certs").exists()


def test_an_entry_may_place_a_file_into_a_directory_of_another(container: Container) -> None:
    (container.source / "dir").mkdir()
    (container.source / "dir/one").write_text("1")
    container.entry(str(container.source / "dir"), str(container.etc / "dir"))
    container.add("dir/deep/two")
    shutil.rmtree(container.source / "dir/deep")
    (container.source / "two").write_text("2")
    container.config["config_files"][1]["source"] = str(container.source / "two")
    assert container.run() == 0
    assert container.run("--check") == 0
    assert (container.etc / "dir/deep/two").read_text() == "2"


def test_directories_and_files_are_made_and_what_they_hold_stays(container: Container) -> None:
    folder, log = container.etc / "log/nova", container.etc / "log/nova/nova.log"
    container.config["directories"] = [{"path": str(folder), "owner": OWNER, "perm": "0750"}]
    container.config["files"] = [{"path": str(log), "owner": OWNER, "perm": "0640"}]
    assert container.run() == 0
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(log.stat().st_mode)) == (0o750, 0o640)
    log.write_text("a line")
    assert container.run("--check") == 0
    assert container.run() == 0
    assert log.read_text() == "a line"
    folder.chmod(0o700)
    assert container.run("--check") == 1
    container.config["directories"], container.config["files"] = [], []
    assert container.run() == 0
    assert log.read_text() == "a line"


def test_a_later_permissions_entry_goes_before_an_earlier(container: Container) -> None:
    dest = container.add("a.conf", perm="0600")
    container.config["permissions"] = [
        {"path": str(dest), "owner": OWNER, "perm": "0640"},
        {"path": f"{container.etc}/*", "owner": OWNER},
    ]
    assert container.run() == 0
    assert stat.S_IMODE(dest.stat().st_mode) == 0o640
    assert container.run("--check") == 0


def test_permissions_do_not_follow_links(container: Container) -> None:
    outside = container.root / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    (container.etc / "link").symlink_to(outside)
    container.config["permissions"] = [{"path": str(container.etc), "owner": OWNER, "perm": "0777", "recurse": True}]
    assert container.run() == 0
    assert container.run("--check") == 0
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


def test_a_dropped_entry_gives_the_image_s_own_file_back(container: Container) -> None:
    (container.etc / "a.conf").write_text("of the image")
    (container.etc / "a.conf").chmod(0o604)
    (container.etc / "d/sub").mkdir(parents=True)
    (container.etc / "d/sub/x").write_text("of the image")
    (container.etc / "d/link").symlink_to("sub/x")
    before = snapshot(container.etc)
    container.add("a.conf", b"ours")
    container.add("new/b.conf", b"ours")
    (container.source / "d").mkdir()
    container.entry(str(container.source / "d"), str(container.etc / "d"))
    assert container.run() == 0
    assert not (container.etc / "d/sub").exists()
    assert container.run() == 0, "a restart remembers what the first start found"
    container.config["config_files"] = []
    assert container.run("--check") == 1
    assert container.run() == 0
    assert container.run("--check") == 0
    assert snapshot(container.etc) == before


def test_a_state_of_somebody_else_is_not_believed(container: Container) -> None:
    folder = Path(container.script.DEFAULTS[0])
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "state").write_text('{"/etc/passwd": {"kind": "absent", "merged": false}}')
    container.script.DEFAULTS = (*container.script.DEFAULTS, f"{container.root}/run/next")
    dest = container.add("a.conf")
    assert container.run() == 0
    assert str(dest) in json.loads((container.root / "run/next/state").read_text())
    assert Path("/etc/passwd").exists()


def test_what_is_mounted_is_neither_removed_nor_a_stray(
    container: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    mounts = container.root / "mountinfo"
    volume = container.etc / "dir/my volume"
    mounts.write_text(f"1 1 0:1 / {str(volume).replace(' ', chr(92) + '040')} rw - tmpfs tmpfs rw\n")
    container.script.MOUNTS = str(mounts)
    volume.mkdir(parents=True)
    (volume / "data").write_text("precious")
    (container.source / "dir").mkdir()
    container.entry(str(container.source / "dir"), str(container.etc / "dir"))
    assert container.run() == 0
    assert container.run("--check") == 0
    assert (volume / "data").read_text() == "precious"
    container.config["config_files"] = []
    container.add("file")
    container.config["config_files"][0]["dest"] = str(container.etc / "dir")
    assert container.run() == 2
    assert "something is mounted there" in capsys.readouterr().err
    assert (volume / "data").read_text() == "precious"


@pytest.mark.parametrize("dest", ["/.", "/run", "run/defaults", "config_files"])
def test_a_destination_that_holds_the_contract_s_own_places_is_refused(
    container: Container, dest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    container.add("a.conf")
    target = dest if dest == "/." else f"{container.root}/{dest.strip('/')}"
    container.config["config_files"][0]["dest"] = target
    assert container.run() == 2
    assert f"config_files {target}: would replace " in capsys.readouterr().err


def test_a_loop_of_links_and_a_pipe_are_refused(container: Container, capsys: pytest.CaptureFixture[str]) -> None:
    (container.source / "d").mkdir()
    (container.source / "d/again").symlink_to(".")
    container.entry(str(container.source / "d"), str(container.etc / "d"))
    assert container.run() == 2
    assert "is a link to a directory that holds it" in capsys.readouterr().err
    (container.source / "d/again").unlink()
    os.mkfifo(container.source / "d/pipe")
    assert container.run() == 2
    assert "is neither a file nor a directory" in capsys.readouterr().err


def test_a_yaml_document_goes_before_a_json_one(container: Container) -> None:
    pytest.importorskip("yaml")
    dest = container.add("a.conf")
    (container.root / "config.yaml").write_text(
        f"command: sleep 2\nconfig_files:\n- {{source: {container.source}/a.conf, dest: {dest}, "
        f"owner: '{OWNER}', perm: '0640'}}\n"
    )
    assert container.run() == 0
    assert (container.root / "run/run_command").read_text() == "sleep 2"
    assert container.run("--check") == 0


def test_a_broken_yaml_document_and_one_without_yaml_are_one_line(
    container: Container, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yaml")
    (container.root / "config.yaml").write_text("command: [\n")
    assert container.run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "config.yaml: no YAML: " in line
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert container.run() == 2
    assert "config.yaml: this image has no python3-yaml; give config.json instead" in capsys.readouterr().err


def test_an_octal_of_yaml_is_not_taken_for_another_mode(
    container: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    """YAML reads 0640 as the number 416."""
    container.add("a.conf", perm="0640")
    container.config["config_files"][0]["perm"] = 0o640
    assert container.run() == 2
    assert "'perm' must be text in quotes, such as '0640', found 416" in capsys.readouterr().err


def test_copy_once_keeps_the_command_too(container: Container) -> None:
    container.environment["KOLLA_CONFIG_STRATEGY"] = "COPY_ONCE"
    assert container.run() == 0
    container.config["command"] = "sleep 2"
    assert container.run() == 0
    assert (container.root / "run/run_command").read_text() == "sleep 1"
    assert container.run("--check") == 1


def test_nothing_is_changed_before_the_whole_document_is_good(container: Container) -> None:
    container.add("a.conf")
    container.config["permissions"] = [{"path": str(container.etc), "owner": "absent"}]
    assert container.run() == 2
    assert list(container.etc.iterdir()) == []


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``as_nobody(entries, *arguments)``: the script run as a user other than root, who may write ``run`` only."""
    for parent in [tmp_path, *list(tmp_path.parents)[:-2]]:
        parent.chmod(parent.stat().st_mode | 0o055)
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 65534, 65534)
    text = (BASE / "kolla_set_configs").read_text()
    for line in text.splitlines():
        if line.startswith(("PLACES = ", "DEFAULTS = ")):
            text = text.replace(line, f'{line.split()[0]} = ("{tmp_path}/run/",)')
    (tmp_path / "script").write_text(text)

    def run(entries: list[dict[str, Any]], *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-IS", f"{tmp_path}/script", *arguments],
            env={"KOLLA_CONFIG": json.dumps({"command": "true", "config_files": entries})},
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
        )

    return run


@root_only
def test_an_owner_that_cannot_be_set_is_an_error(
    tmp_path: Path, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "a").write_text("x")
    entry = {"source": f"{tmp_path}/a", "dest": f"{tmp_path}/run/c/a", "owner": "root:root", "perm": "0644"}
    result = as_nobody([entry])
    assert result.returncode == 2
    assert f"{tmp_path}/run/c/a: cannot become owned by 0:0" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list((tmp_path / "run/c").iterdir()) == []


@root_only
def test_a_source_that_cannot_be_read_is_an_error(
    tmp_path: Path, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0o600)
    result = as_nobody([{"source": f"{tmp_path}/a", "dest": "/nowhere/a", "owner": "65534:65534", "perm": "0644"}])
    assert result.returncode == 2
    assert result.stderr.endswith(f"config_files /nowhere/a: {tmp_path}/a cannot be read by user 65534\n")


@root_only
def test_the_service_s_user_writes_where_it_is_a_file_in_a_directory_of_another(
    tmp_path: Path, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "dest").write_text("old")
    os.chown(tmp_path / "dest", 65534, 65534)
    (tmp_path / "dest").chmod(0o640)
    entry = {"source": f"{tmp_path}/a", "dest": f"{tmp_path}/dest", "owner": "65534:65534", "perm": "0640"}
    for arguments in ([], ["--check"]):
        assert as_nobody([entry], *arguments).returncode == 0
    assert (tmp_path / "dest").read_text() == "new"
    assert as_nobody([]).returncode == 0
    assert (tmp_path / "dest").read_text() == "old"


@root_only
def test_what_the_image_had_and_nobody_could_read_is_named_when_it_should_come_back(
    tmp_path: Path, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "run/secret").write_text("of root")
    (tmp_path / "run/secret").chmod(0o600)
    entry = {"source": f"{tmp_path}/a", "dest": f"{tmp_path}/run/secret", "owner": "65534:65534", "perm": "0640"}
    assert as_nobody([entry]).returncode == 0
    result = as_nobody([])
    assert result.returncode == 2
    assert "run/secret: left the configuration, but the image's own was not kept" in result.stderr


def test_it_uses_the_library_of_python3_minimal_alone() -> None:
    """The modules of Debian's python3-minimal that it needs; a new one belongs here once it was looked up there."""
    module = ast.parse((BASE / "kolla_set_configs").read_text(), feature_version=(3, 9))
    imported = {name.name for node in ast.walk(module) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"errno", "glob", "grp", "json", "os", "pwd", "re", "site", "stat", "sys", "yaml"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(module))
