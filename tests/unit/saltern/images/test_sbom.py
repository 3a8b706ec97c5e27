"""Bills of material: valid CycloneDX, the same from the same inputs, licences as SPDX has them where it can be said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from saltern import terminal
from saltern.contract.errors import SalternError
from saltern.images import sbom
from saltern.images.options import Options
from saltern.images.record import Record
from saltern.images.tree import load

from . import trees

SUBJECT = sbom.Subject(
    "keystone", "0123456789abcdef", "sha256:" + "a" * 64, "2025.2", 1_700_000_000.7, "debian", "trixie"
)
PACKAGES: dict[str, Any] = {
    "distribution": {
        "libc6": {"version": "2.41-12+deb13u1", "license": "LGPL-2.1+"},
        "libpng1.6": {"version": "1:1.6~x", "license": "see /usr/share/doc/libpng1.6/copyright"},
        "odd": {"version": "1", "license": "unknown"},
    },
    "python": {
        "click": {"version": "8.2.2", "license": "BSD-3-Clause"},
        "attrs": {"version": "25.3.0", "license": "Apache-2.0 OR MIT"},
        "pytz": {"version": "2025.2", "license": "Some Words of its Own"},
    },
}


def test_a_bill_is_valid_and_names_every_package() -> None:
    text = sbom.text(SUBJECT, PACKAGES)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert {each["purl"]: each.get("licenses") for each in bill["components"]} == {
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?distro=trixie": [{"license": {"id": "LGPL-2.1-or-later"}}],
        "pkg:deb/debian/libpng1.6@1:1.6~x?distro=trixie": [
            {"license": {"name": "see /usr/share/doc/libpng1.6/copyright"}}
        ],
        "pkg:deb/debian/odd@1?distro=trixie": None,
        "pkg:pypi/click@8.2.2": [{"license": {"id": "BSD-3-Clause"}}],
        "pkg:pypi/attrs@25.3.0": [{"expression": "Apache-2.0 OR MIT"}],
        "pkg:pypi/pytz@2025.2": [{"license": {"name": "Some Words of its Own"}}],
    }
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"], root["type"]) == ("keystone", "2025.2", "container")
    assert root["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_the_same_image_has_the_same_bill_and_another_has_another_serial_number() -> None:
    assert sbom.text(SUBJECT, PACKAGES) == sbom.text(SUBJECT, json.loads(json.dumps(PACKAGES)))
    serials = {
        json.loads(sbom.text(subject, packages))["serialNumber"]
        for subject in (SUBJECT, replace(SUBJECT, inputs="f" * 16))
        for packages in (PACKAGES, {**PACKAGES, "python": {}})
    }
    assert len(serials) == 4


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Expat", {"id": "MIT"}),
        ("GPL-2+", {"id": "GPL-2.0-or-later"}),
        ("Apache License, Version 2.0", {"id": "Apache-2.0"}),
        ("GPL-2+ or LGPL-3+", {"value": "GPL-2.0-or-later OR LGPL-3.0-or-later"}),
        ("BSD-3-clause and MIT", {"value": "BSD-3-Clause AND MIT"}),
        ("MIT and Expat", {"id": "MIT"}),
        ("GPL-2 and MIT or ISC", {"name": "GPL-2 and MIT or ISC"}),
        ("GPL-2 and homemade", {"name": "GPL-2 and homemade"}),
        ("BSD License", {"name": "BSD License"}),
        ("see /usr/share/doc/x/copyright", {"name": "see /usr/share/doc/x/copyright"}),
    ],
)
def test_a_licence_is_what_spdx_calls_it_or_its_name(name: str, meant: dict[str, str]) -> None:
    found = sbom.licence(name)
    assert {key: getattr(found, key) for key in meant} == meant


def test_a_file_is_written_in_one_step_and_summed_up(tmp_path: Path) -> None:
    path = sbom.write(tmp_path, SUBJECT, PACKAGES)
    assert path == sbom.path_of(tmp_path, "keystone", "0123456789abcdef")
    assert [each.name for each in path.parent.iterdir()] == ["keystone-0123456789abcdef.cdx.json"]
    found = sbom.summary(path)
    assert found["packages"] == {"distribution": 3, "python": 3}
    assert found["unknown"] == ["odd"]
    assert ["a file without a name", 1] in found["licenses"]
    shown = terminal.render({"kind": "images_sbom", "reference": "x/keystone:1", "path": str(path), **found})
    assert shown.startswith("x/keystone:1: 6 packages (3 of the distribution, 3 of Python)\n")
    assert "No licence is named by odd" in shown
    path.write_text("{")
    with pytest.raises(SalternError, match="no bill of material"):
        sbom.summary(path)


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "sbom").write_text("a file")
    with pytest.raises(SalternError, match="cannot be written") as error:
        sbom.write(tmp_path, SUBJECT, PACKAGES)
    assert "images_sbom keystone" in error.value.hint


class Builder:
    """A builder with one image."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels, self.asked = labels, 0

    def contents(self, reference: str) -> dict[str, Any]:
        self.asked += 1
        config = {"labels": self.labels}
        return {"id": "sha256:" + "b" * 64, "created": "2025-01-02T03:04:05.6Z", "config": config, **PACKAGES}


def test_a_bill_is_made_once_and_of_the_image_that_is_there(tmp_path: Path) -> None:
    image = load(trees.write(tmp_path / "images"), Options(release="1.0")).images["app"]
    builder: Any = Builder({"saltern.inputs": image.inputs})
    path, how = sbom.of_image(builder, image, Options(release="1.0"), Record(), tmp_path)
    assert (path, how) == (sbom.path_of(tmp_path, "app", image.inputs), "made")
    assert json.loads(path.read_text())["metadata"]["timestamp"] == "2025-01-02T03:04:05+00:00"
    assert sbom.of_image(builder, image, Options(release="1.0"), Record(), tmp_path) == (path, "found")
    assert builder.asked == 1
    path.unlink()
    stale: Any = Builder({"saltern.inputs": "f" * 16})
    assert sbom.of_image(stale, image, Options(release="1.0"), Record(), tmp_path)[0].name == f"app-{'f' * 16}.cdx.json"
