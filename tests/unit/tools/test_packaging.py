"""The wheel has every package of the tree, and Salt's loader finds the modules in it."""

import tomllib
from pathlib import Path

from saltern import loader

CHECKOUT = Path(__file__).resolve().parents[3]
SETUP = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def test_every_package_and_every_kind_of_module_is_in_the_wheel() -> None:
    utils = CHECKOUT / "salt" / "_utils"
    library = {".".join(path.parent.relative_to(utils).parts) for path in utils.rglob("*.py")}
    kinds = {f"saltern.ext.{path.name[1:]}" for path in (CHECKOUT / "salt").glob("_*") if path.name != "_utils"}
    assert set(SETUP["tool"]["setuptools"]["packages"]) == library | kinds


def test_what_is_mapped_by_hand_is_there() -> None:
    for folder in SETUP["tool"]["setuptools"]["package-dir"].values():
        assert (CHECKOUT / folder).is_dir()


def test_an_editable_install_finds_the_checkouts_directories() -> None:
    found = loader.directories()
    assert found["runners"] == [str(CHECKOUT / "salt" / "_runners")]
    assert {f"_{kind}" for kind in found} == {p.name for p in (CHECKOUT / "salt").glob("_*")} - {"_utils"}


def test_a_wheel_has_them_below_the_package(tmp_path: Path) -> None:
    (tmp_path / "saltern" / "ext" / "states").mkdir(parents=True)
    assert loader.directories(tmp_path / "saltern") == {"states": [str(tmp_path / "saltern" / "ext" / "states")]}


def test_production_versions_meet_what_the_package_asks_for() -> None:
    locked = (CHECKOUT / "requirements" / "salt.txt").read_text()
    for requirement in SETUP["project"]["dependencies"]:
        name = requirement.partition("=")[0].partition(">")[0]
        assert f"\n{name}==" in f"\n{locked}", name
