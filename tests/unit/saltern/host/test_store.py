"""Documents are there whole or not at all, private, and never outside their directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.host import store as storage
from saltern.host.store import Store


def test_what_was_put_is_there_and_private(tmp_path: Path) -> None:
    store = Store(tmp_path / "root")
    assert store.desired.get("web") is None
    assert store.desired.names() == []
    store.desired.put("web", {"a": 1})
    store.holds.put("web", {"until": 2})
    assert store.desired.all() == {"web": {"a": 1}}
    assert store.desired.path("web").stat().st_mode & 0o777 == 0o600
    assert store.desired.directory.stat().st_mode & 0o777 == 0o700
    assert store.health.names() == []  # holds lie below it
    store.desired.drop("web")
    store.desired.drop("web")
    assert store.desired.names() == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-x"])
def test_a_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(SalternError, match="cannot be a file name"):
        Store(tmp_path).desired.put(name, {})


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_is_no_document_is_named(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.desired.put("web", {})
    store.desired.path("web").write_text(text)
    with pytest.raises(SalternError, match=r"desired/web\.json: "):
        store.desired.get("web")


def test_a_full_disk_leaves_the_former_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.desired.put("web", {"a": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(SalternError, match=r"No space left on device\. Free disk space"):
        store.desired.put("web", {"a": 2})
    monkeypatch.undo()
    assert store.desired.get("web") == {"a": 1}
    assert [p.name for p in store.desired.directory.iterdir()] == ["web.json"]


def test_leftovers_of_a_killed_writer_are_no_documents(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.desired.put("web", {})
    (store.desired.directory / ".web.json.17.ab.tmp").write_text("{")
    assert store.desired.names() == ["web"]
