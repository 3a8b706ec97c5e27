"""Packages and licences out of what package managers leave."""

from __future__ import annotations

import pytest

from saltern.host import inside_packages as packages

STATUS = b"""\
Package: libfoo1
Status: install ok installed
Source: foo (1.0)
Version: 1.0-2
Description: a library
 with: colons

Package: foo-data
Status: hold ok installed
Source: foo
Version: 1.0-2

Package: gone
Status: deinstall ok config-files
Version: 3
"""
DEP5 = b"""\
Format: https://www.example.org/copyright-format/1.0/
Upstream-Name: foo

Files: debian/*
Copyright: somebody
License: GPL-2+

Files: *
Copyright: somebody
License: Expat
 The text of it.

License: GPL-2+
 more
"""


def test_installed_packages_with_their_licences() -> None:
    texts = {packages.STATUS: STATUS, "/usr/share/doc/libfoo1/copyright": DEP5}
    assert packages.distribution(texts, {}) == {
        "foo-data": {"version": "1.0-2", "license": "Expat"},  # the same source's
        "libfoo1": {"version": "1.0-2", "license": "Expat"},
    }


def test_single_files_of_packages_and_images_without_dpkg() -> None:
    texts = {
        f"{packages.LISTS}app": b"tool 1.0-1\nlibfoo1 0.9\nmerely-known \n",
        packages.STATUS: STATUS,
        f"{packages.STATUS}.d/tiny": b"Package: tiny\nVersion: 5\n",
    }
    found = packages.distribution(texts, {})
    assert {name: each["version"] for name, each in found.items()} == {
        "foo-data": "1.0-2", "libfoo1": "1.0-2", "tiny": "5", "tool": "1.0-1",
    }  # fmt: skip
    assert {each["license"] for each in found.values()} == {"unknown"}


@pytest.mark.parametrize(
    "links",
    [
        {"/usr/share/doc/tool": "other"},
        {"/usr/share/doc/tool": "/usr/share/doc/other"},
        {"/usr/share/doc/tool/copyright": "../other/copyright"},
    ],
)
def test_documentation_shared_through_links(links: dict[str, str]) -> None:
    texts = {f"{packages.LISTS}app": b"tool 1\n", "/usr/share/doc/other/copyright": DEP5}
    assert packages.distribution(texts, links)["tool"]["license"] == "Expat"


def test_links_that_go_round_end() -> None:
    links = {"/usr/share/doc/tool/copyright": "copyright"}
    assert packages.copyright_of("tool", {}, links) is None


@pytest.mark.parametrize(
    ("text", "license_"),
    [
        (DEP5.decode(), "Expat"),
        ("Format: x\n\nFiles: a b\nLicense: MIT\n\nFiles: c\nLicense: ISC\n\nFiles: d\nLicense: MIT\n", "MIT and ISC"),
        ("Format: x\n\nFiles: a\n *\nLicense: MIT\n", "MIT"),
        ("see /usr/share/common-licenses/GPL-2 or\n/usr/share/common-licenses/LGPL-2.1.", "GPL-2 and LGPL-2.1"),
        ("Written by somebody.", "unknown"),
        ("", "unknown"),
    ],
)
def test_licence_of_a_copyright_file(text: str, license_: str) -> None:
    assert packages.license_of(text) == license_


def test_a_copyright_file_without_a_name_is_referred_to() -> None:
    path = "/usr/share/doc/tool/copyright"
    found = packages.distribution({f"{packages.LISTS}app": b"tool 1\n", path: b"Written by somebody."}, {})
    assert found["tool"]["license"] == f"see {path}"


@pytest.mark.parametrize(
    ("head", "license_"),
    [
        ("License-Expression: Apache-2.0\nLicense: something", "Apache-2.0"),
        ("License: MIT\nClassifier: License :: OSI Approved :: BSD License", "MIT"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("License: A text\n  of several\n  lines\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Classifier: License :: OSI Approved\nClassifier: Topic :: X", "unknown"),
        ("Summary: nothing", "unknown"),
    ],
)
def test_metadata_of_a_python_package(head: str, license_: str) -> None:
    text = f"Metadata-Version: 2.4\nName: Oslo.Config_x\nVersion: 1.2\n{head}\n\nName: of the description\n"
    assert packages.metadata(text) == ("oslo-config-x", "1.2", license_)


def test_what_the_distribution_packages_is_not_listed_twice_nor_copies_that_others_bring() -> None:
    own = "/var/lib/openstack/lib/python3.13/site-packages/a-1.dist-info/METADATA"
    texts = {
        own: b"Name: a\nVersion: 1\nLicense: MIT\n",
        "/usr/lib/python3/dist-packages/b-1.dist-info/METADATA": b"Name: b\nVersion: 1\n",
        "/x/c.egg-info/PKG-INFO": b"Name: c\nVersion: 3\n",
        "/x/site-packages/setuptools/_vendor/a-0.dist-info/METADATA": b"Name: a\nVersion: 0\n",
    }
    assert packages.python(texts) == {
        "a": {"version": "1", "license": "MIT"},
        "c": {"version": "3", "license": "unknown"},
    }
