"""Which images a word, an expression or a profile means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.images.options import Options
from saltern.images.select import built_in, chosen, dependencies, matching, words
from saltern.images.tree import Tree, load

from . import trees

PROFILES = {"profiles.yaml": "infra: [other]\nmain: [app, ^nova-]\nempty: [^nova-]\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return trees.write(tmp_path / "images", {**trees.TINY, **PROFILES})


def tree(folder: Path, **options: Any) -> Tree:
    return load(folder, Options(release="1.0", **options))


def test_a_word_that_is_a_name_means_that_image_only() -> None:
    known = ["nova-api", "nova-api-metadata", "nova-compute"]
    assert matching("nova-api", known) == ["nova-api"]
    assert matching("nova", known) == known
    assert matching("^nova-.*(metadata|compute)$", known) == known[1:]


def test_words_of_an_argument() -> None:
    assert words("a,b  c") == ["a", "b", "c"]
    assert words(["a", 1]) == ["a", "1"]
    assert words("") == words(None) == []


@pytest.mark.parametrize(
    ("names", "profiles", "found"),
    [
        ([], [], set()),
        (["app"], [], {"app"}),
        (["^(app|oth)"], [], {"app", "other"}),
        ([], ["main"], {"app"}),
        (["base"], ["infra", "main"], {"base", "app", "other"}),
        ([], ["all"], {"distro", "base", "tool", "app", "other"}),
        ([], ["mine"], {"base", "tool"}),
    ],
)
def test_selection(folder: Path, names: list[str], profiles: list[str], found: set[str]) -> None:
    assert set(chosen(tree(folder, profiles={"mine": ["tool", "^bas"]}), folder, names, profiles)) == found


def test_an_operators_profile_replaces_the_one_of_the_same_name(folder: Path) -> None:
    assert chosen(tree(folder, profiles={"main": ["other"]}), folder, [], ["main"]) == ["other"]


@pytest.mark.parametrize(
    ("names", "profiles", "where", "text"),
    [
        (["apq"], [], "names", r"there is no image 'apq'\. Did you mean app"),
        (["a("], [], "names", "regular expression"),
        ([], ["mainn"], "profile", "no profile 'mainn'. Did you mean main"),
        ([], ["empty"], "profile", "no image here"),
        ([], ["own"], "openstack:images:profiles:own", "there is no image 'nothing'"),
    ],
)
def test_mistakes(folder: Path, names: list[str], profiles: list[str], where: str, text: str) -> None:
    with pytest.raises(SalternError, match=text) as caught:
        chosen(tree(folder, profiles={"own": ["app", "nothing"]}), folder, names, profiles)
    assert caught.value.where == where


def test_a_broken_table_of_profiles_is_named(folder: Path) -> None:
    (folder / "profiles.yaml").write_text("infra: other\n")
    with pytest.raises(SalternError, match=r"profiles\.yaml.*list"):
        built_in(folder)


def test_dependencies(folder: Path) -> None:
    whole = tree(folder)
    data = dependencies(whole, whole.select(["app"]), ["app"])
    assert [entry["image"] for entry in data["images"]] == ["distro", "base", "tool", "app"]
    (app,) = [entry for entry in data["images"] if entry["asked"]]
    assert (app["image"], app["base"], app["needs"]) == ("app", "base", ["tool", "base"])
    assert app["all_needs"] == ["distro", "base", "tool"]


def test_each_image_that_nothing_continues_is_in_one_profile() -> None:
    folder = trees.CHECKOUT / "images"
    whole = load(folder, Options())
    below = {image.base for image in whole.images.values()}
    table = built_in(folder)
    for name, image in whole.images.items():
        if not image.build_only and name not in below:
            holders = [profile for profile, each in table.items() if any(matching(word, [name]) for word in each)]
            assert len(holders) == 1, f"{name} is in {holders or 'no profile'}: images/profiles.yaml"
