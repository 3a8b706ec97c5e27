"""Functions of openstack_image about bundles: where they go, what is checked, what is cleaned up."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.contract.errors import LockHeld
from saltern.host import bundle, prune
from unit.adapters import load

FILE = b"archive"
SHA = hashlib.sha256(FILE).hexdigest()
IMAGES = {"saltern/app:1": "sha256:1"}


class Nothing:
    """An engine that is only opened and closed."""

    def __init__(self, url: str, timeout: float) -> None: ...

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def cache_file(path: str, saltenv: str) -> str:
        assert (path, saltenv) == ("salt://abc-images.tar", "saltern_bundle")
        (tmp_path / "fetched").write_bytes(FILE)
        return str(tmp_path / "fetched")

    opts = {"saltern_root": str(tmp_path), "id": "ctl1"}
    salt = {"cp.cache_file": cache_file}
    module = load("modules", "openstack_image_bundle", salt=salt, opts=opts, pillar={}, context={})
    monkeypatch.setattr(module, "Engine", Nothing)
    return module


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the engine got."""
    seen: list[bytes] = []

    def load_(engine: Any, archive: Any, wanted: dict[str, str], *, locks: Path) -> dict[str, Any]:
        seen.append(archive().read_bytes())
        return {name: {"result": "loaded", "id": image} for name, image in wanted.items()}

    monkeypatch.setattr(bundle, "load", load_)
    return seen


def test_the_fetched_copy_is_checked_and_goes(module: Any, loaded: list[bytes], tmp_path: Path) -> None:
    assert module.load("abc-images.tar", SHA, IMAGES)["saltern/app:1"]["result"] == "loaded"
    assert loaded == [FILE]
    assert not (tmp_path / "fetched").exists()
    with pytest.raises(CommandExecutionError, match="its checksum differs"):
        module.load("abc-images.tar", "0" * 64, IMAGES)
    assert loaded == [FILE]
    assert not (tmp_path / "fetched").exists()


def test_an_own_file_stays(module: Any, loaded: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "own.tar").write_bytes(FILE)
    module.load(str(tmp_path / "own.tar"), SHA, IMAGES)
    assert (tmp_path / "own.tar").exists()
    with pytest.raises(CommandExecutionError, match="No such file"):
        module.load(str(tmp_path / "gone.tar"), SHA, IMAGES)


def test_a_file_that_does_not_come(module: Any, loaded: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.__salt__, "cp.cache_file", lambda path, saltenv: False)
    with pytest.raises(CommandExecutionError, match="does not serve"):
        module.load("abc-images.tar", SHA, IMAGES)


@pytest.mark.parametrize("here", [True, False])
def test_a_bundle_goes_where_the_master_sees_it_or_stays(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    seen: list[Path] = []

    def save(engine: Any, references: Any, folder: Path, **how: Any) -> dict[str, Any]:
        seen.append(folder)
        return {"files": {"images.tar": {"size": 7}}, "images": [], **how}

    monkeypatch.setattr(bundle, "save", save)
    (tmp_path / "proof").write_bytes(FILE)
    proof = {"path": str(tmp_path / "proof"), "sha256": SHA if here else "0" * 64}
    answer = module.export(["saltern/app:1"], "/srv/b", proof=proof)
    assert answer == {"folder": str(seen[0]), "here": here, "images": [], "bytes": 7}
    assert seen == [Path("/srv/b") if here else tmp_path / "bundles/b"]
    assert module.export([], "/srv/c")["folder"] == "/srv/c", "an operator on this host"


def test_a_prune_that_has_to_wait_says_so(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*args: Any, **how: Any) -> None:
        raise LockHeld("images are being built")

    monkeypatch.setattr(prune, "prune", held)
    with pytest.raises(CommandExecutionError, match="being built"):
        module.prune_("saltern/", [])
