"""The minion's engine: it must not drag the library into the minion, and finds it where it was synced."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
import salt.modules.saltutil
import salt.payload
import salt.utils.state

FILE = Path(__file__).resolve().parents[3] / "salt" / "_engines" / "openstack_health.py"


@pytest.fixture
def engine() -> Any:
    spec = importlib.util.spec_from_file_location("openstack_health", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_of_the_library_is_imported_at_the_top() -> None:
    top = [node for node in ast.parse(FILE.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [alias.name for node in top for alias in node.names] + [getattr(node, "module", "") or "" for node in top]
    assert not [name for name in names if name.startswith(("saltern", "docker"))]


def test_without_docker_py_it_does_not_load(engine: Any) -> None:
    assert engine.__virtual__() is True
    with patch.object(engine.importlib.util, "find_spec", return_value=None):
        assert engine.__virtual__()[0] is False


@pytest.mark.parametrize(
    ("master", "addresses"),
    [
        ("10.0.0.1", ["10.0.0.1"]),
        ("[2001:db8::1]", ["2001:db8::1"]),
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
        ("salt", []),
        (["10.0.0.1", "salt"], []),
        (None, []),
    ],
)
def test_addresses_of_masters(engine: Any, master: Any, addresses: list[str]) -> None:
    assert engine._master_addresses({"master": master}) == addresses


def test_the_synced_library_comes_first(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "utils" / "saltern").mkdir(parents=True)
    engine._library_path({"extension_modules": str(tmp_path)})
    engine._library_path({"extension_modules": str(tmp_path)})
    assert sys.path[0] == str(tmp_path / "utils") and sys.path.count(sys.path[0]) == 1


def test_an_event_that_the_minion_does_not_take_is_an_error(engine: Any) -> None:
    with patch.object(engine.salt.utils.event, "MinionEvent") as minion_event:
        bus = minion_event.return_value.__enter__.return_value = MagicMock()
        bus.fire_event.return_value = True
        engine._fire({}, "openstack/health/ctl1/snapshot", {"seq": 1})
        (load, tag), _ = bus.fire_event.call_args
        assert tag == "fire_master" and load["data"] == {"seq": 1} and load["tag"].endswith("snapshot")
        bus.fire_event.return_value = False
        with pytest.raises(OSError):
            engine._fire({}, "x", {})


def test_a_queued_job_is_found_by_salt(engine: Any, tmp_path: Path) -> None:
    """Written where Salt's state module parks it, looked for by Salt's own find_job."""
    opts = {"cachedir": str(tmp_path), "master": "10.0.0.1", "id": "one"}
    queue = Path(salt.utils.state.state_queue_dir(opts))
    queue.mkdir(parents=True)
    (queue / "queued_1_20260101000000000000.p").write_bytes(salt.payload.dumps({"jid": "20260101000000000000"}))
    engine._show_queue(opts)
    engine._show_queue(opts)
    with (
        patch.object(salt.modules.saltutil, "__opts__", opts, create=True),
        patch.object(salt.modules.saltutil, "running", return_value=[]),
    ):
        assert salt.modules.saltutil.find_job("20260101000000000000")["queued"] is True
        assert salt.modules.saltutil.find_job("20260101000000000001") == {}


def test_a_queue_where_salt_looks_is_left_alone(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "state_queue").mkdir()
    engine._show_queue({"cachedir": str(tmp_path), "master": "10.0.0.1"})
    assert not (tmp_path / "state_queue").is_symlink()
