"""The tree of images: parents, digests, and what is said about a broken one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.images.options import Options
from saltern.images.render import TemplateBroken
from saltern.images.tree import DISTRO, Tree, TreeBroken, load

from . import trees

OPTIONS = Options(release="1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return trees.write(tmp_path / "images")


def changed(before: Tree, after: Tree) -> set[str]:
    return {name for name in after.images if before.images[name].inputs != after.images[name].inputs}


def test_parents_come_from_the_rendered_text_and_first(folder: Path) -> None:
    tree = load(folder, OPTIONS)
    assert tree.images["app"].parents == ("tool", "base")
    assert tree.images["app"].base == "base"
    order = list(tree.images)
    assert all(
        order.index(parent) < order.index(name) for name, image in tree.images.items() for parent in image.parents
    )
    assert tree.layers_of("app") == [DISTRO, "base", "app"]
    assert tree.select(["app"]) == [DISTRO, "base", "tool", "app"]
    assert tree.below("tool") == ["app"]


def test_a_helper_is_marked_and_only_what_depends_on_the_release_carries_it(folder: Path) -> None:
    tree = load(folder, OPTIONS)
    assert {name for name, image in tree.images.items() if image.build_only} == {DISTRO, "tool"}
    assert {name for name, image in tree.images.items() if image.release} == {"app"}


@pytest.mark.parametrize(
    ("path", "text", "subtree"),
    [
        ("base/hello", "hullo\n", {"base", "tool", "app", "other"}),
        ("tool/Dockerfile.j2", trees.TINY["tool/Dockerfile.j2"] + "RUN true\n", {"tool", "app"}),
        ("locks/1.0/app.txt", "app==2\n", {"app"}),
        ("_build/note", "another\n", {"other"}),
        ("app/unused", "a new file\n", {"app"}),
    ],
)
def test_an_edit_changes_exactly_its_subtree(folder: Path, path: str, text: str, subtree: set[str]) -> None:
    before = load(folder, OPTIONS)
    (folder / path).write_text(text)
    assert changed(before, load(folder, OPTIONS)) == subtree


def test_an_executable_bit_is_an_input_and_a_umask_is_none(folder: Path) -> None:
    before = load(folder, OPTIONS)
    (folder / "base/hello").chmod(0o600)
    assert changed(before, load(folder, OPTIONS)) == set()
    (folder / "base/hello").chmod(0o755)
    assert "base" in changed(before, load(folder, OPTIONS))


def test_names_tags_and_mirrors_are_no_input(folder: Path) -> None:
    other = Options(
        release="1.0", namespace="mine", prefix="x-", tag="t", registry="reg:5000", mirrors={"apt": "http://m"}
    )
    assert changed(load(folder, OPTIONS), load(folder, other)) == set()


def test_recorded_versions_are_an_input_of_their_image(tmp_path: Path) -> None:
    folder = trees.write(
        tmp_path, trees.TINY | {"base/Dockerfile.j2": "FROM {{ image('distro') }}\nENV R={{ refresh_token }}\n"}
    )
    before = load(folder, OPTIONS)
    assert "base" in changed(before, load(folder, OPTIONS, {"base": {"openssl": "3.5.1"}}))
    assert DISTRO in changed(before, load(folder, OPTIONS, {DISTRO: {"openssl": "3.5.1"}}))


DISTRO_LINE = "FROM {{ image('distro') }}\n"


@pytest.mark.parametrize(
    ("files", "where", "text"),
    [
        ({"a": "FROM {{ image('b') }}\n", "b": "FROM {{ image('a') }}\n"}, "images", "a → b → a"),
        ({"a": "FROM {{ image('distr') }}\n"}, "a/Dockerfile.j2:1", "there is no image 'distr'"),
        ({"a": "FROM debian:12\n"}, "a/Dockerfile.j2", "neither a stage nor an image"),
        ({"a": DISTRO_LINE + "RUN {{ nothing }}\n"}, "a/Dockerfile.j2:2", "'nothing' is undefined"),
        ({"a": DISTRO_LINE + "{% if %}\n"}, "a/Dockerfile.j2:2", "xpected"),
        ({"a": "RUN true\n"}, "a/Dockerfile.j2", "no FROM"),
        ({"a": DISTRO_LINE + "COPY {{ lock('no') }} /\n"}, "a/Dockerfile.j2:2", "no images/locks/1.0/no.txt"),
        ({"a": DISTRO_LINE + "RUN --mount=type=cache true\n"}, "a/Dockerfile.j2", "needs BuildKit"),
        ({"Big_Name": DISTRO_LINE}, "Big_Name", "cannot be the name"),
    ],
)
def test_a_broken_tree_is_named_by_file_and_line(tmp_path: Path, files: dict[str, str], where: str, text: str) -> None:
    with pytest.raises((TreeBroken, TemplateBroken)) as caught:
        load(trees.write(tmp_path / "images", {f"{name}/Dockerfile.j2": t for name, t in files.items()}), OPTIONS)
    assert where in caught.value.where.replace("\\", "/")
    assert text in caught.value.message


def test_a_name_that_is_none_gets_the_nearest_ones(folder: Path) -> None:
    with pytest.raises(SalternError) as caught:
        load(folder, OPTIONS).select(["appp"])
    assert "Did you mean app" in caught.value.hint


@pytest.mark.parametrize("release", ["2025.2", "2026.1"])
def test_the_images_of_this_checkout(release: str) -> None:
    tree = load(trees.CHECKOUT / "images", Options(release=release))
    shipped = {name for name, image in tree.images.items() if not image.build_only}
    assert {
        "base",
        "python-base",
        "openstack-base",
        "mariadb",
        "memcached",
        "haproxy",
        "keystone",
        "kolla-toolbox",
    } <= shipped
    assert {"builder", "wheels", "builder-os", DISTRO} & shipped == set()
    # what does not depend on the release is the same image in all of them, so that an upgrade does not restart it
    assert not any(tree.images[name].release for name in ("base", "python-base", "mariadb", "memcached", "haproxy"))
    assert tree.images["keystone"].release == release
    users = {
        name: tree.images[name].dockerfile.rstrip().rpartition("\n")[2]
        for name in ("mariadb", "memcached", "haproxy", "keystone", "kolla-toolbox")
    }
    assert users == {
        "mariadb": "USER mysql",
        "memcached": "USER memcached",
        "haproxy": "USER haproxy",
        "keystone": "USER keystone",
        "kolla-toolbox": "USER kolla",
    }


def test_a_lock_of_one_service_concerns_that_service_alone(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "images"
    shutil.copytree(trees.CHECKOUT / "images", folder)
    options = replace(OPTIONS, release="2025.2")
    before = load(folder, options)
    lock = folder / "locks/2025.2/keystone.txt"
    lock.write_text(lock.read_text() + "# an edit\n")
    assert changed(before, load(folder, options)) == {"keystone"}
