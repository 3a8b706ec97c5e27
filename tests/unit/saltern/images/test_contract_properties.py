"""The contract over generated trees and documents: set then check passes, any single change makes check fail, set mends
it; and a container whose configuration changed is as one that began with the new one."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .box import OWNER, Container, load_script, snapshot

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.sampled_from(["a.conf", "b.conf", "keys", "sub", ".hidden"])
PERMS = st.sampled_from(["0600", "640", "0o644", "0400", "0750"])
FILES = st.tuples(st.binary(max_size=8), st.sampled_from([0o600, 0o644, 0o755, 0o440]))
LINKS = st.sampled_from(["elsewhere", "/nowhere", "a.conf"])
Tree = dict[str, Any]


def trees(links: bool = True) -> st.SearchStrategy[Tree]:
    leaves = FILES | LINKS if links else FILES
    return st.recursive(
        st.dictionaries(NAMES, leaves, max_size=3),
        lambda inner: st.dictionaries(NAMES, leaves | inner, max_size=3),
        max_leaves=6,
    )


ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["file", "tree", "glob"]),
            "merge": st.booleans(),
            "preserve": st.booleans(),
            "dest": st.sampled_from(["x", "x/keys", "x/a.conf", "y", "y/sub"]),
            "perm": PERMS,
            "file": FILES,
            "tree": trees(links=False),
        }
    ),
    min_size=1,
    max_size=4,
)


def write(folder: Path, tree: Tree) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, entry in tree.items():
        path = folder / name
        if isinstance(entry, dict):
            write(path, entry)
        elif isinstance(entry, str):
            path.symlink_to(entry)
        else:
            path.write_bytes(entry[0])
            path.chmod(entry[1])


def container(folder: Path, image: Tree, entries: list[dict[str, Any]]) -> Container:
    """A container with these files in its image and these entries in its document."""
    box = Container(folder)
    write(box.etc, image)
    box.config["config_files"] = [document_entry(box, n, entry) for n, entry in enumerate(entries)]
    return box


def document_entry(box: Container, number: int, entry: dict[str, Any]) -> dict[str, Any]:
    source, dest = box.source / str(number), str(box.etc / entry["dest"])
    made = {"source": str(source), "dest": dest, "merge": entry["merge"]}
    if entry["kind"] == "file":
        source.write_bytes(entry["file"][0])
        source.chmod(entry["file"][1])
    else:
        write(source, entry["tree"])
    if entry["kind"] == "glob":
        made |= {"source": f"{source}/*", "dest": f"{dest}/", "optional": True}
    if entry["preserve"]:
        return {**made, "preserve_properties": True}
    return {**made, "owner": OWNER, "perm": entry["perm"]}


def possible(box: Container) -> bool:
    """Whether the entries of a document do not contradict each other."""
    try:
        box.script.plan_of(load(box))
    except box.script.Problem as problem:
        assert "by another entry" in str(problem)
        return False
    return True


def load(box: Container, **changes: Any) -> Any:
    return box.script.load({"KOLLA_CONFIG": json.dumps({**box.config, **changes})})


# -- single changes ----------------------------------------------------------------------------------------------


def _content(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o600)
    mode = path.stat().st_mode
    path.write_bytes(path.read_bytes() + b"x")
    path.chmod(mode)


def _mode(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) ^ 0o010)


def _setuid(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) ^ 0o4000)


def _owner(path: Path) -> None:
    os.chown(path, 12345, -1)


def _group(path: Path) -> None:
    os.chown(path, -1, 12345)


def _gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _link(path: Path) -> None:
    real = next(folder for folder in path.parents if folder.name == "etc").with_name("real")
    path.rename(real)
    path.symlink_to(real)


def _other_kind(path: Path) -> None:
    was = path.is_dir()
    _gone(path)
    path.touch() if was else path.mkdir()


def _stray(path: Path) -> None:
    (path / "stray").write_text("")


def _stray_tree(path: Path) -> None:
    (path / "more/below").mkdir(parents=True)


ANY: list[Callable[[Path], None]] = [_mode, _setuid, _gone, _link, _other_kind]
ANY += [_owner, _group] if os.getuid() == 0 else []


def changes(box: Container) -> list[tuple[Callable[[Path], None], Path]]:
    """Every single change that there is to make to what the document says."""
    found: list[tuple[Callable[[Path], None], Path]] = []
    for item in box.script.plan_of(load(box)).values():
        # what `directories` and `files` name holds data: where something else is, it is refused, not replaced
        found += [(change, Path(item.dest)) for change in ANY if item.ours or change not in (_link, _other_kind)]
        if item.kind == "file" and item.source:
            found.append((_content, Path(item.dest)))
        if item.kind == "directory" and item.exact:
            found += [(_stray, Path(item.dest)), (_stray_tree, Path(item.dest))]
    return found


@SLOW
@given(trees(), ENTRIES, st.randoms(use_true_random=False))
def test_any_single_change_is_seen_and_mended(
    image: Tree, entries: list[dict[str, Any]], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = container(Path(folder), image, entries)
        if not possible(box):
            return
        box.config["directories"] = [{"path": f"{box.etc}/made/here", "owner": OWNER, "perm": "0710"}]
        box.config["files"] = [{"path": f"{box.etc}/made/here/log", "owner": OWNER, "perm": "0620"}]
        box.config["permissions"] = [
            {"path": f"{box.etc}/x", "owner": OWNER, "perm": "0770", "recurse": True, "exclude": ["a", "/sub"]}
        ]
        assert box.run() == 0
        assert box.run("--check") == 0
        first = snapshot(box.etc)
        assert box.run() == 0
        assert snapshot(box.etc) == first
        found = changes(box)
        for change, path in chance.sample(found, min(6, len(found))):
            change(path)
            assert box.run("--check") == 1, (change, path)
            assert box.run() == 0, (change, path)
            assert box.run("--check") == 0, (change, path)
            assert snapshot(box.etc) == first, (change, path)
            if (box.root / "real").exists():
                _gone(box.root / "real")


@SLOW
@given(trees(), ENTRIES, ENTRIES, st.data())
def test_what_left_the_configuration_leaves_the_image_s_own(
    image: Tree, before: list[dict[str, Any]], after: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Two documents one after the other leave what the second alone would have left."""
    keep = data.draw(st.lists(st.sampled_from(before), unique_by=id), label="kept")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        changed, fresh = container(Path(one), image, before), container(Path(two), image, [*keep, *after])
        if not possible(changed) or not possible(fresh):
            return
        assert changed.run() == 0
        shutil.rmtree(changed.source)
        shutil.copytree(fresh.source, changed.source, symlinks=True)
        changed.config = json.loads(json.dumps(fresh.config).replace(two, one))
        assert fresh.run() == 0
        assert changed.run() == 0
        assert changed.run("--check") == 0
        assert snapshot(changed.etc) == snapshot(fresh.etc)
        changed.config["config_files"] = []
        placed = changed.script.Defaults(set()).records
        assert changed.run("--check") == (1 if placed else 0)
        assert changed.run() == 0
        assert changed.run("--check") == 0
        pristine = container(Path(tempfile.mkdtemp(dir=two)), image, [])
        assert snapshot(changed.etc) == snapshot(pristine.etc)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12).filter(lambda word: "\x00" not in word), min_size=1, max_size=6))
def test_words_survive_quoting_by_a_shell(words: list[str]) -> None:
    script = load_script()
    assert script.words(shlex.join(words)) == words
    assert shlex.split(script.quoted(words)) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
FIELDS = ["source", "dest", "path", "owner", "perm", "optional", "merge", "preserve_properties", "recurse", "exclude"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["command", "config_files", "directories", "files", "permissions"]),
        JSON | st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), max_size=2),
    )
)
def test_no_document_ends_in_a_traceback(capsys: pytest.CaptureFixture[str], document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = Container(Path(folder))
        box.config = document
        capsys.readouterr()
        code = box.run("--check")
        assert code in (1, 2)
        assert len(capsys.readouterr().err.splitlines()) == 1
