"""Every image's Dockerfile for every distribution and install type: it parses, its names exist, its user is right."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from saltern.contract.users import UIDS
from saltern.images.distros import APT, distribution
from saltern.images.lint import lint
from saltern.images.options import DISTROS, TYPES, Options
from saltern.images.tree import DISTRO, Image, Tree, load

IMAGES = Path(__file__).resolve().parents[2] / "images"
NAMES = sorted(path.parent.name for path in IMAGES.glob("*/Dockerfile.j2"))
KNOWN = {
    "FROM",
    "LABEL",
    "COPY",
    "ENV",
    "RUN",
    "USER",
    "CMD",
    "ENTRYPOINT",
    "WORKDIR",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
}
# Images that others continue, and helpers of builds; all others are services and have a user of their own.
PARENTS = {"base", "python-base", "openstack-base", "builder", "wheels", "builder-os", "guest"}
SOURCE_ONLY = {"builder", "wheels", "builder-os"}
RELEASES = {"source": "2025.2", "binary": "2025.1"}
CASES = [
    (distro, type_, name)
    for distro in DISTROS
    for type_ in TYPES
    for name in NAMES
    if type_ == "source" or name not in SOURCE_ONLY
]


@cache
def tree(distro: str, type_: str) -> Tree:
    return load(IMAGES, Options(distro=distro, type=type_, release=RELEASES[type_]))


@pytest.fixture
def image(distro: str, type_: str, name: str) -> Image:
    return tree(distro, type_).images[name]


def parsed(text: str, folder: Path) -> list[dict[str, str]]:
    parser = DockerfileParser(path=str(folder), cache_content=True)
    parser.content = text
    return [entry for entry in parser.structure if entry["instruction"] != "COMMENT"]


@pytest.mark.parametrize(("distro", "type_", "name"), CASES)
def test_it_parses_and_ends_as_its_user(image: Image, tmp_path: Path) -> None:
    structure = parsed(image.dockerfile, tmp_path)
    assert {entry["instruction"] for entry in structure} <= KNOWN
    assert structure[0]["instruction"] == "FROM"
    assert not re.search(r"\{\{|\{%|\bNone\b|\[\]|  +&&", image.dockerfile)
    assert lint(image.dockerfile, build_only=image.build_only) == []
    last = max(number for number, entry in enumerate(structure) if entry["instruction"] == "FROM")
    users = [entry["value"] for entry in structure[last:] if entry["instruction"] == "USER"]
    if image.name in PARENTS:
        assert users == []
    else:
        assert len(users) == 1
        assert (UIDS[users[0]] > 0) is not bool(image.root), (
            "root needs a reason in its template, and nobody else has one"
        )


@pytest.mark.parametrize(("distro", "type_", "name"), CASES)
def test_what_it_copies_exists(image: Image, tmp_path: Path) -> None:
    stages: set[str] = set()
    for entry in parsed(image.dockerfile, tmp_path):
        words = entry["value"].split()
        if entry["instruction"] == "FROM" and len(words) == 3:
            stages.add(words[2])
        if entry["instruction"] != "COPY" or words[0].startswith("--from="):
            continue
        for source in words[:-1]:
            inside = [path for path in image.files if path == source or path.startswith(source.rstrip("/") + "/")]
            assert inside or source == "settings/", f"{source} is not in the context"
    for source in re.findall(r"--from=(\S+)", image.dockerfile):
        assert source in stages or source.rpartition("/")[2].partition(":")[0] in NAMES


@pytest.mark.parametrize(("distro", "type_", "name"), CASES)
def test_its_shell_is_a_shells(image: Image, distro: str, tmp_path: Path) -> None:
    family = distribution(IMAGES, Options(distro=distro)).family
    for entry in parsed(image.dockerfile, tmp_path):
        if entry["instruction"] != "RUN":
            continue
        checked = subprocess.run(["dash", "-n", "-c", entry["value"]], capture_output=True, text=True)
        assert checked.returncode == 0, f"{entry['value']}: {checked.stderr}"
        other = r"\b(dnf|rpm)\b" if family == APT else r"\b(apt|apt-get|dpkg|dpkg-query|adduser)\b"
        assert not re.search(other, entry["value"])


@pytest.mark.parametrize("distro", DISTROS)
def test_what_does_not_depend_on_the_release_is_the_same_in_both_types(distro: str) -> None:
    """A database is not recreated because OpenStack is installed in another way."""
    source, binary = (tree(distro, type_).images for type_ in TYPES)
    assert set(source) - set(binary) == SOURCE_ONLY
    for name, image in binary.items():
        if image.release is None:
            assert image.inputs == source[name].inputs, name
    assert {"mariadb", "memcached", "haproxy"} <= {name for name, image in binary.items() if image.release is None}


@pytest.mark.parametrize("distro", DISTROS)
def test_repositories_beyond_the_bases_are_in_stages_only(distro: str) -> None:
    found = distribution(IMAGES, Options(distro=distro))
    for image in tree(distro, "source").images.values():
        if image.build_only or image.name == DISTRO:
            continue
        final = image.dockerfile[image.dockerfile.rindex("\nFROM ") :]
        assert not any(word in final for word in (*found.enable, *found.release_packages))


def test_scripts_of_the_builds_are_scripts_of_a_shell() -> None:
    for path in [*(IMAGES / "_build").iterdir(), *(IMAGES / "base").glob("kolla_*")]:
        if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh"):
            checked = subprocess.run(["dash", "-n", str(path)], capture_output=True, text=True)
            assert checked.returncode == 0, checked.stderr
