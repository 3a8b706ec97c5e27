"""Smoke tests of images: noted by a template without being an input of the image, and there for all that is shipped."""

from __future__ import annotations

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


def test_a_changed_smoke_test_rebuilds_nothing(tmp_path: Path) -> None:
    folder = trees.write(tmp_path / "images")
    before = load(folder, Options(release="1.0")).images["app"]
    after = load(_with(folder, "{{ smoke('app --version', 'true') }}\n"), Options(release="1.0")).images["app"]
    assert (before.smoke, after.smoke) == ((), ("app --version", "true"))
    assert after.inputs == before.inputs
    assert after.dockerfile == before.dockerfile


def test_a_reason_to_be_root_is_noted(tmp_path: Path) -> None:
    folder = _with(trees.write(tmp_path / "images"), "{{ root('it makes network interfaces') }}\n")
    assert load(folder, Options(release="1.0")).images["app"].root == "it makes network interfaces"


@pytest.mark.parametrize("argument", ["''", "'a\\nb'", "['a']", "3"])
def test_what_is_no_command_is_refused_with_its_line(tmp_path: Path, argument: str) -> None:
    folder = _with(trees.write(tmp_path / "images"), f"{{{{ smoke({argument}) }}}}\n")
    with pytest.raises(TemplateBroken, match="one line of sh") as error:
        load(folder, Options(release="1.0"))
    assert error.value.where == "app/Dockerfile.j2:1"


def test_every_shipped_image_has_a_smoke_test_and_a_user_or_a_reason() -> None:
    for image in load(IMAGES, Options()).images.values():
        if not image.build_only:
            assert image.smoke, f"{image.name} has no smoke(...)"
            user = [line.split()[1] for line in image.dockerfile.splitlines() if line.startswith("USER ")][-1:]
            assert image.root or (user and user != ["root"]), f"{image.name} has neither a user nor root('why')"
