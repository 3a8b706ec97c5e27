"""Names of packages per distribution, what can be built, and what is said where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.images.distros import LOCKS_PYTHON, distribution, require_buildable
from saltern.images.options import DISTROS, SUITES, Options, options_from
from saltern.images.render import TemplateBroken
from saltern.images.tree import DISTRO, load

from . import trees

IMAGES = trees.CHECKOUT / "images"
BASE = f"example/rocky@sha256:{'a' * 64}"


def test_debians_names_are_the_templates() -> None:
    assert distribution(IMAGES, Options()).packages(["libpython3.13", "haproxy"]) == ["libpython3.13", "haproxy"]


def test_a_distribution_may_differ_from_its_family() -> None:
    assert distribution(IMAGES, Options(distro="ubuntu")).packages(["libpython3.13"]) == ["libpython3.12"]
    assert distribution(IMAGES, Options(distro="ubuntu", suite="questing")).packages(["libpython3.13"]) == [
        "libpython3.13"
    ]


def test_one_name_may_be_several_or_none() -> None:
    rocky = distribution(IMAGES, Options(distro="rocky"))
    assert rocky.packages(["galera-4", "python3-venv", "iproute2"]) == ["galera", "mariadb-server-galera", "iproute"]
    assert rocky.packages(["python3-minimal", "python3"]) == ["python3"]


def test_a_name_that_is_missing_is_said_with_the_file_to_add_it_to(tmp_path: Path) -> None:
    folder = trees.write(
        tmp_path / "images",
        {"app/Dockerfile.j2": "FROM {{ image('distro') }}\n{% set p = packages(['left-pad']) %}\nUSER kolla\n"},
    )
    assert load(folder, Options()).images["app"].packages == ("left-pad",)
    with pytest.raises(TemplateBroken) as caught:
        load(folder, Options(distro="rocky"))
    assert caught.value.message == "no name for 'left-pad' in family rhel"
    assert caught.value.where == "app/Dockerfile.j2:2"
    assert "images/_distros/rhel.yaml" in caught.value.hint


@pytest.mark.parametrize("distro", DISTROS)
def test_every_distribution_has_facts_about_its_usual_suite(distro: str) -> None:
    found = distribution(IMAGES, Options(distro=distro))
    assert found.suite == SUITES[distro]
    assert found.python.startswith("3.")


def test_the_locks_python_is_the_one_they_are_made_for() -> None:
    assert f"--python-version {LOCKS_PYTHON} " in (IMAGES / "locks/compile").read_text()


def test_an_image_of_the_other_type_is_not_there(tmp_path: Path) -> None:
    text = "{{ only_type('source') }}FROM {{ image('distro') }}\n"
    folder = trees.write(tmp_path / "images", {"app/Dockerfile.j2": text})
    assert set(load(folder, Options()).images) == {DISTRO, "app"}
    assert set(load(folder, Options(type="binary")).images) == {DISTRO}


# -- the distribution's own image ------------------------------------------------------------------------------------


def test_without_a_base_debian_is_made_from_packages(tmp_path: Path) -> None:
    assert load(trees.write(tmp_path / "images"), Options(release="1.0")).images[DISTRO].dockerfile == ""


def test_with_a_base_the_distribution_is_that_image(tmp_path: Path) -> None:
    folder = trees.write(tmp_path / "images")
    plain = load(folder, Options(release="1.0")).images
    taken = load(folder, Options(release="1.0", base=BASE)).images
    assert taken[DISTRO].dockerfile.startswith(f"FROM {BASE}\nRUN rm -rf /etc/apt/sources.list")
    assert taken["base"].inputs != plain["base"].inputs
    other = load(folder, Options(release="1.0", base=BASE.replace("a", "b"))).images
    assert other["app"].inputs != taken["app"].inputs


def test_a_base_without_a_digest_is_refused() -> None:
    assert options_from({"images": {"base": BASE}}).base == BASE
    for base in ("rockylinux:10", "rockylinux", "rockylinux@sha256:abc"):
        with pytest.raises(SalternError, match="has no digest") as caught:
            options_from({"images": {"base": base}})
        assert caught.value.where == "openstack:images:base"


def test_another_distribution_by_argument_leaves_the_pillars_base_and_suite() -> None:
    pillar = {"images": {"distro": "rocky", "base": BASE, "suite": "9"}}
    assert (options_from(pillar).base, options_from(pillar).suite) == (BASE, "9")
    found = options_from(pillar, distro="debian")
    assert (found.base, found.suite) == (None, "trixie")


# -- what can be built -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(type="binary", release="2025.1"),
        Options(distro="ubuntu", suite="questing"),
        Options(distro="fedora", base=BASE),
    ],
)
def test_buildable(options: Options) -> None:
    require_buildable(IMAGES, options, [None, options.release])


def test_images_that_do_not_depend_on_the_release_are_built_on_any_suite() -> None:
    require_buildable(IMAGES, Options(distro="ubuntu", suite="noble"), [None])
    require_buildable(IMAGES, Options(suite="sid"), [None])


@pytest.mark.parametrize(
    ("options", "where", "message", "hint"),
    [
        (Options(distro="rocky"), "openstack:images:base", "built on an image of it", "name@sha256"),
        (Options(type="binary"), "type=binary", "debian trixie packages 2025.1 of OpenStack, not 2025.2", "2025.1"),
        (
            Options(type="binary", distro="fedora", base=BASE),
            "type=binary",
            "fedora 42 packages no release of OpenStack, not 2025.2",
            "type=source",
        ),
        (Options(distro="ubuntu"), "type=source", "ubuntu noble has Python 3.12", "suite with Python 3.13"),
        (Options(suite="sid"), "type=source", "debian sid is not known here", "docs/distributions.md"),
    ],
)
def test_what_cannot_be_built(options: Options, where: str, message: str, hint: str) -> None:
    with pytest.raises(SalternError) as caught:
        require_buildable(IMAGES, options, [None, options.release])
    assert caught.value.where == where
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_refresh_asks_apt() -> None:
    with pytest.raises(SalternError, match="outdated cannot be asked"):
        require_buildable(IMAGES, Options(distro="rocky", base=BASE), [None], refresh=True)
