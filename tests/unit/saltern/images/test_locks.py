"""The locks: hashes everywhere, one version per package and release, no address of any index."""

from __future__ import annotations

import re

import pytest

from . import trees

LOCKS = trees.CHECKOUT / "images" / "locks"
FILES = sorted(path for path in LOCKS.rglob("*.txt") if path.name != "constraints.txt")


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.M))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LOCKS)))
def test_every_entry_is_pinned_and_hashed(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    entries = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    assert entries
    assert all(re.match(r"[A-Za-z0-9._-]+==\S+.*--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text


@pytest.mark.parametrize("release", sorted(path.name for path in LOCKS.iterdir() if path.is_dir()))
def test_one_version_per_package_and_release(release: str) -> None:
    allowed = pins((LOCKS / release / "constraints.txt").read_text())
    for path in (LOCKS / release).glob("*.txt"):
        if path.name not in ("constraints.txt", "build.txt"):
            assert {n: v for n, v in pins(path.read_text()).items() if allowed.get(n) != v} == {}, path.name


@pytest.mark.parametrize("release", sorted(path.name for path in LOCKS.iterdir() if path.is_dir()))
def test_what_is_compiled_is_what_some_image_installs(release: str) -> None:
    compiled = set(pins((LOCKS / release / "compiled.txt").read_text()))
    services = [
        path for path in (LOCKS / release).glob("*.txt") if path.stem not in ("constraints", "compiled", "build")
    ]
    assert compiled <= set().union(*(pins(path.read_text()) for path in services))
