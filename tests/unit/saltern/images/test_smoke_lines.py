"""Smoke tests of images: in their folders, no input of the image, and there for all that is shipped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from saltern.images.options import Options
from saltern.images.render import TemplateBroken
from saltern.images.tree import load

from . import trees

IMAGES = Path(__file__).resolve().parents[4] / "images"


def _with(folder: Path, text: str) -> Path:
    path = folder / "app/Dockerfile.j2"
    path.write_text(text + trees.TINY["app/Dockerfile.j2"])
    return folder


def test_a_smoke_test_is_the_paragraphs_of_its_file_and_a_changed_one_rebuilds_nothing(tmp_path: Path) -> None:
    folder = trees.write(tmp_path / "images")
    before = load(folder, Options(release="1.0")).images["app"]
    (folder / "app/smoke.sh").write_text("app --version\n\n# a start\napp &\nretry true\n\n\n")
    after = load(folder, Options(release="1.0")).images["app"]
    assert (before.smoke, after.smoke) == ((), ("app --version", "# a start\napp &\nretry true"))
    assert (after.inputs, after.dockerfile) == (before.inputs, before.dockerfile)
    assert "smoke.sh" not in after.files


def test_a_template_that_continues_a_shipped_one_has_its_smoke_test_unless_it_brings_one(tmp_path: Path) -> None:
    folder, own = trees.write(tmp_path / "images"), tmp_path / "own"
    (folder / "app/smoke.sh").write_text("app --version\n")
    (own / "app").mkdir(parents=True)
    (own / "app/Dockerfile.j2").write_text('{% extends "saltern/app/Dockerfile.j2" %}\n')
    options = Options(release="1.0", folders=[str(own)])
    assert load(folder, options).images["app"].smoke == ("app --version",)
    (own / "app/smoke.sh").write_text("app --try\n")
    assert load(folder, options).images["app"].smoke == ("app --try",)


def test_a_reason_to_be_root_is_noted(tmp_path: Path) -> None:
    folder = _with(trees.write(tmp_path / "images"), "{{ root('it makes network interfaces') }}\n")
    assert load(folder, Options(release="1.0")).images["app"].root == "it makes network interfaces"


def test_files_with_rights_of_another_user_are_noted_with_a_reason(tmp_path: Path) -> None:
    folder = _with(trees.write(tmp_path / "images"), "{{ setuid('/usr/bin/sudo', 'rootwrap') }}\n")
    assert load(folder, Options(release="1.0")).images["app"].setuid == ("/usr/bin/sudo",)
    folder = _with(folder, "{{ setuid('/usr/bin/sudo', '') }}\n")
    with pytest.raises(TemplateBroken, match="why it is needed"):
        load(folder, Options(release="1.0"))


def test_smoke_tests_are_sh() -> None:
    for path in sorted(IMAGES.glob("*/smoke.sh")):
        done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
        assert (path.parent.name, done.stderr) == (path.parent.name, "")


def test_every_shipped_image_has_a_smoke_test_and_a_user_or_a_reason() -> None:
    for image in load(IMAGES, Options()).images.values():
        if not image.build_only:
            assert image.smoke, f"{image.name} has no smoke.sh"
            user = [line.split()[1] for line in image.dockerfile.splitlines() if line.startswith("USER ")][-1:]
            assert image.root or (user and user != ["root"]), f"{image.name} has neither a user nor root('why')"
