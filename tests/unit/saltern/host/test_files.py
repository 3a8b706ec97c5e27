"""Configuration directories: contract, digests, owners, and diffs that never show a secret, present or former."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.host import filediff, files
from unit.saltern.host.fake_engine import web

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="sets owners")


def test_the_directory_keeps_the_public_contract(tmp_path: Path) -> None:
    target = files.write(tmp_path, web())
    assert target is not None
    manifest = json.loads((target / "config.json").read_text())
    assert manifest["command"] == "web --serve"
    assert manifest["config_files"][0] == {
        "source": "/var/lib/kolla/config_files/web.conf", "dest": "/etc/web/web.conf", "owner": "web", "perm": "0600",
    }  # fmt: skip
    assert (target / "list" / "a").read_text() == "list = 1"


@root_only
def test_owned_by_the_user_of_the_container_and_by_nobody_else_readable(tmp_path: Path) -> None:
    target = files.write(tmp_path, web(uid=42, gid=43))
    assert target is not None
    assert (target.stat().st_uid, target.stat().st_gid, target.stat().st_mode & 0o777) == (0, 43, 0o750)
    for path in (target / "config.json", target / "web.conf", target / "list" / "a"):
        assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (42, 43, 0o400)
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_only_what_needs_a_new_container_is_in_the_directory_s_digest() -> None:
    plain = files.directory_digest(web())
    assert files.directory_digest(web(reload_content="list = 2")) == plain
    assert files.directory_digest(web(content="setting = 2")) != plain
    assert files.directory_digest(web(process="web")) != plain
    assert files.config_digest(web(reload_content="list = 2")) != files.config_digest(web())


def test_what_is_written_down_has_no_content() -> None:
    kept = files.without_content(web(content="password = hunter22"))
    assert "hunter22" not in str(kept)
    assert kept["files"][0]["digest"] != files.without_content(web())["files"][0]["digest"]


def test_intact_and_mended(tmp_path: Path) -> None:
    assert not files.intact(files.directory(tmp_path, web()), web())
    target = files.write(tmp_path, web())
    assert target is not None
    assert files.intact(target, web())
    os.chmod(target / "web.conf", 0o644)
    assert not files.intact(target, web())
    (target / "list" / "a").unlink()
    files.write(tmp_path, web())
    assert files.intact(target, web())


def test_a_half_written_directory_is_never_used(tmp_path: Path) -> None:
    target = files.directory(tmp_path, web())
    assert target is not None
    leftover = target.with_name(f".{target.name}.new")
    leftover.mkdir(parents=True)
    (leftover / "web.conf").write_text("half")
    assert files.write(tmp_path, web()) == target
    assert files.intact(target, web())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "config.json", ""])
def test_a_file_stays_in_its_directory(tmp_path: Path, name: str) -> None:
    spec = web()
    spec["files"][0]["name"] = name
    with pytest.raises(SalternError, match="cannot be the name"):
        files.write(tmp_path, spec)


def test_pruned_but_for_what_is_used(tmp_path: Path) -> None:
    files.write(tmp_path, web())
    files.write(tmp_path, web(content="setting = 2"))
    keep = files.directory_digest(web())
    files.prune(tmp_path, "web", [keep])
    assert sorted(p.name for p in (tmp_path / "web").iterdir()) == [keep, f"{keep}.masked.json"]
    files.prune(tmp_path, "web", [])
    assert files.owners(tmp_path) == []


class TestDiffs:
    def former(self, tmp_path: Path, content: str, secrets: tuple[str, ...] = ()) -> str:
        files.write(tmp_path, web(content=content), secrets)
        return files.directory_digest(web(content=content))

    def test_lines_with_their_section(self, tmp_path: Path) -> None:
        text = "[DEFAULT]\na = 1\nb = 1\nc = 1\nd = 1\ndebug = {}\n"
        former = self.former(tmp_path, text.format(False))
        found = filediff.changes(tmp_path, web(content=text.format(True)), former, ())
        assert found == [
            {
                "name": "web.conf",
                "diff": ["  [DEFAULT]", "  c = 1", "  d = 1", "- debug = False", "+ debug = True"],
            }
        ]

    def test_a_new_password_is_seen_and_neither_shown(self, tmp_path: Path) -> None:
        former = self.former(tmp_path, "p = old-secret", ("old-secret",))
        found = filediff.changes(tmp_path, web(content="p = new-secret"), former, ("new-secret",))
        assert found[0]["diff"] == ["- p = ********", "+ p = ********"]

    def test_a_key_of_several_lines(self, tmp_path: Path) -> None:
        key = "-----BEGIN\nabcdef\n-----END"
        former = self.former(tmp_path, f"a\n{key}\nz", (key,))
        found = filediff.changes(tmp_path, web(content=f"b\n{key}\nz"), former, (key,))
        assert found[0]["diff"] == ["- a", "+ b", "  ********", "  ********"]

    def test_without_the_masked_copy_the_former_text_is_not_shown(self, tmp_path: Path) -> None:
        former = self.former(tmp_path, "p = old-secret")
        (tmp_path / "web" / f"{former}.masked.json").unlink()
        found = filediff.changes(tmp_path, web(content="p = 1"), former, ())
        assert "old-secret" not in str(found)
        assert found[0]["name"] == "web.conf"

    def test_files_that_come_and_go(self, tmp_path: Path) -> None:
        former = self.former(tmp_path, "x")
        spec = web(content="x")
        spec["files"] = [spec["files"][0], {**spec["files"][0], "name": "new.conf", "content": "n"}]
        found = {row["name"]: row["diff"] for row in filediff.changes(tmp_path, spec, former, ())}
        assert found == {"new.conf": ["+ n"], "list/a": ["- (the file is no longer there)"]}

    def test_a_long_one_is_cut(self, tmp_path: Path) -> None:
        former = self.former(tmp_path, "\n".join(f"a{n}" for n in range(500)))
        new = web(content="\n".join(f"b{n}" for n in range(500)))
        found = filediff.changes(tmp_path, new, former, ())
        assert found[0]["diff"][-1] == "… 800 more lines"
