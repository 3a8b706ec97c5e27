"""Secrets are made once, kept for ever, and never shown."""

import base64
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from saltern.contract.errors import SalternError
from saltern.model.secrets import generate, make
from unit.saltern.model import fixtures
from unit.saltern.model.fixtures import pillar


def stored(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "openstack/secrets.sls").read_text())["openstack"]["secrets"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fixtures.write_pillar(tmp_path / "pillar", pillar(secrets={"root_password": "kept-as-it-is"}))


def run(root: Path, services: Any) -> dict[str, Any]:
    return generate([root], fixtures.read(root), services)


def test_missing_ones_are_made_and_names_alone_are_told(root: Path, services: Any) -> None:
    answer = run(root, services)
    assert sorted(answer["made"]) == ["api_database_password", "api_keys"]
    found = stored(root)
    assert len(found["api_keys"]) == 2
    assert not [v for v in [found["api_database_password"], *found["api_keys"]] if v in str(answer)]
    assert stat.S_IMODE((root / "openstack/secrets.sls").stat().st_mode) == 0o600
    assert fixtures.read(root).problems == []


def test_a_second_run_makes_nothing_and_changes_no_byte(root: Path, services: Any) -> None:
    run(root, services)
    before = (root / "openstack/secrets.sls").read_bytes()
    assert run(root, services)["made"] == []
    assert (root / "openstack/secrets.sls").read_bytes() == before


def test_what_is_in_the_file_stays(root: Path, services: Any) -> None:
    (root / "openstack/secrets.sls").write_text("openstack:\n  secrets:\n    api_keys: [aaaa1, bbbb2]\n    own: mine\n")
    assert run(root, services)["made"] == ["api_database_password"]
    assert stored(root)["api_keys"] == ["aaaa1", "bbbb2"]
    assert stored(root)["own"] == "mine"


@pytest.mark.parametrize("text", ["#!yaml|gpg\nopenstack: {}\n", "openstack: {secrets: {a: {{ 'b' }}}}\n"])
def test_a_file_that_somebody_renders_is_not_written_over(root: Path, services: Any, text: str) -> None:
    path = root / "openstack/secrets.sls"
    tree = fixtures.read(root)
    path.write_text(text)
    with pytest.raises(SalternError, match=r"secrets\.sls"):
        generate([root], tree, services)
    assert path.read_text() == text


def test_a_tree_that_cannot_be_read_makes_nothing(root: Path, services: Any) -> None:
    (root / "openstack/broken.sls").write_text("a: [")
    with pytest.raises(SalternError, match=r"broken\.sls"):
        run(root, services)
    assert not (root / "openstack/secrets.sls").exists()


def test_kinds() -> None:
    assert len(str(make({"kind": "password"}))) == 40
    assert len(str(make({"kind": "hex", "length": 33}))) == 33
    assert int(str(make({"kind": "hex"})), 16)
    assert uuid.UUID(str(make({"kind": "uuid"}))).version == 4
    keys = make({"kind": "fernet", "count": 3})
    assert isinstance(keys, list)
    assert {len(base64.urlsafe_b64decode(key)) for key in keys} == {32}
    assert len(set(keys)) == 3
