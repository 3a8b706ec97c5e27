"""A lock that is not its release's is refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.images.locks import check
from saltern.images.options import Options
from saltern.images.run import build_all
from saltern.images.tree import load

from . import trees
from .test_run import OPTIONS, Fake


def test_file_and_line_of_the_version_that_differs(tmp_path: Path) -> None:
    lock = "webob==1.8 \\\n    --hash=sha256:00\nApp_Server==2\n"
    more = {"locks/1.0/app.txt": lock, "locks/1.0/constraints.txt": "app-server==1\nwebob==1.8\n"}
    folder = trees.write(tmp_path / "images", {**trees.TINY, **more})
    fake = Fake()
    with pytest.raises(
        SalternError, match=r"images/locks/1\.0/app\.txt:3: app-server 2 is not the one of 1\.0"
    ) as caught:
        build_all(fake, folder, OPTIONS, state=tmp_path / "state")
    assert "images/locks/compile 1.0" in caught.value.hint
    assert fake.calls == []
    build_all(fake, folder, OPTIONS, state=tmp_path / "state", names=["other"])  # does not use it


def test_what_constraints_do_not_name_is_free(tmp_path: Path) -> None:
    folder = trees.write(tmp_path / "images", {**trees.TINY, "locks/1.0/constraints.txt": "webob==1.8\n"})
    check(load(folder, OPTIONS).images.values(), folder)


@pytest.mark.parametrize("release", ["2025.2", "2026.1"])
def test_the_locks_here_are_their_releases(release: str) -> None:
    folder = trees.CHECKOUT / "images"
    check(load(folder, Options(release=release)).images.values(), folder)
