"""Makers of images share a lock that a remover needs alone."""

from pathlib import Path

import pytest

from saltern.contract.errors import LockHeld
from saltern.host.build import lock
from saltern.host.imagelock import making, removing


def test_makers_share_it_and_a_remover_is_refused_meanwhile(tmp_path: Path) -> None:
    said = "being built, pulled or loaded"
    with making(tmp_path), making(tmp_path), pytest.raises(LockHeld, match=said), removing(tmp_path):
        pass
    with removing(tmp_path), pytest.raises(LockHeld), removing(tmp_path):
        pass
    with removing(tmp_path):
        pass


def test_a_build_is_a_maker(tmp_path: Path) -> None:
    with lock(tmp_path, "x/app:1"), pytest.raises(LockHeld), removing(tmp_path):
        pass
