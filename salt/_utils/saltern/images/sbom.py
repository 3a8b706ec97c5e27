"""Bills of material: one CycloneDX file for each content of an image, below ``sbom/`` of the master's state root.

A file is a function of the image's inputs, its packages and the time of its build: no random number is in it, so the
same image has the same file wherever it is made.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from saltern.contract.digests import digest
from saltern.contract.errors import SalternError
from saltern.contract.names import LABEL_INPUTS
from saltern.images.builders import Builder
from saltern.images.options import Options
from saltern.images.record import Record
from saltern.images.tree import Image

FOLDER = "sbom"
UNKNOWN = "unknown"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/saltern")

# Names that packages write, by what SPDX calls the same licence; what says no version ("BSD License") is left a name.
_SPDX = {
    **{f"gpl-{n}": f"GPL-{n}.0-only" for n in "123"},
    **{f"gpl-{n}+": f"GPL-{n}.0-or-later" for n in "123"},
    **{f"lgpl-{n}": f"LGPL-{n}.0-only" for n in "23"},
    **{f"lgpl-{n}+": f"LGPL-{n}.0-or-later" for n in "23"},
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3.0+": "GPL-3.0-or-later",
    "gplv2+": "GPL-2.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "gfdl-1.2": "GFDL-1.2-only",
    "gfdl-niv-1.3": "GFDL-1.3-no-invariants-only",
    "gfdl-niv-1.3+": "GFDL-1.3-no-invariants-or-later",
    "expat": "MIT",
    "mit": "MIT",
    "mit license": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsl-1": "BSL-1.0",
    "zlib": "Zlib",
    "apache 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
}
_JOINT = re.compile(r"\s+(and|or)\s+", re.I)


@dataclass(frozen=True)
class Subject:
    """The image that a bill is about: its name in the tree, digest of its inputs, id, release, and when it was made.

    at
        Epoch seconds.
    """

    image: str
    inputs: str
    id: str
    release: str
    at: float
    distro: str = "debian"
    suite: str = ""


def path_of(state: Path, image: str, inputs: str) -> Path:
    """Where the bill of an image lies (or would)."""
    return state / FOLDER / f"{image}-{inputs}.cdx.json"


def write(state: Path, subject: Subject, packages: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Path:
    """Write an image's bill of material, in one step.

    state
        State root of the master.
    subject
        The image.
    packages
        ``{"distribution", "python"}``: name → ``{"version", "license"}`` (`saltern.host.inside.packages`).

    Returns the file. Raises SalternError when it cannot be written.
    """
    path = path_of(state, subject.image, subject.inputs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(text(subject, packages))
        temporary.replace(path)
    except OSError as error:
        raise SalternError(
            f"the bill of material cannot be written: {error.strerror}",
            where=str(path),
            hint=f"Mend it, then: salt-run openstack.images_sbom {subject.image}",
        ) from error
    return path


def text(subject: Subject, packages: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """The bill as CycloneDX 1.6 in JSON; arguments as for :func:`write`."""
    serial = digest({"inputs": subject.inputs, "image": subject.image, "packages": packages})
    root = Component(
        name=subject.image,
        version=subject.release or subject.inputs,
        type=ComponentType.CONTAINER,
        bom_ref=f"image {subject.image}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.id.removeprefix("sha256:"))],
        properties=[Property(name="saltern:inputs", value=subject.inputs)],
    )
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, serial),
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(int(subject.at), tz=UTC)),
        components=_components(subject, packages),
    )
    bom.register_dependency(root, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _components(subject: Subject, packages: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[Component]:
    kind = "deb" if subject.distro in ("debian", "ubuntu") else "rpm"
    qualifiers = {"distro": subject.suite} if subject.suite else None
    for name, package in sorted(packages["distribution"].items()):
        yield _component(PackageURL(kind, subject.distro, name, package["version"], qualifiers), package["license"])
    for name, package in sorted(packages["python"].items()):
        yield _component(PackageURL("pypi", None, name, package["version"]), package["license"])


def _component(purl: PackageURL, license_: str) -> Component:
    return Component(
        name=purl.name,
        version=purl.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=BomRef(purl.to_string()),
        licenses=[] if license_ == UNKNOWN else [licence(license_)],
    )


def licence(name: str) -> Any:
    """A licence for CycloneDX: an SPDX id or expression where the name is or means one, else the name.

    >>> licence("Expat").id, licence("GPL-2+ or LGPL-3+").value, licence("BSD License").name
    ('MIT', 'GPL-2.0-or-later OR LGPL-3.0-or-later', 'BSD License')
    """
    words = _JOINT.split(name)
    joints = {word.upper() for word in words[1::2]}
    known = [_SPDX.get(word.strip().lower(), word.strip()) for word in words[::2]]
    # "a and b or c" says not what belongs together
    known = list(dict.fromkeys(known))
    meant = f" {next(iter(joints))} ".join(known) if len(joints) == 1 else known[0] if not joints else name
    found = LicenseFactory().make_from_string(meant)
    return DisjunctiveLicense(name=name) if getattr(found, "name", None) else found


def summary(path: Path) -> dict[str, Any]:
    """What a bill says in few words: ``{"packages": {"distribution", "python"}: number, "licenses": [[name, number]],
    "unknown": [packages that name no licence]}``, the most frequent licence first.

    Raises SalternError when the file cannot be read.
    """
    try:
        components = json.loads(path.read_text()).get("components", [])
    except (OSError, ValueError) as error:
        raise SalternError(f"no bill of material: {error}", where=str(path), hint="Remove it and ask again") from error
    python = [each for each in components if each["purl"].startswith("pkg:pypi/")]
    named = {each["bom-ref"]: _names(each) for each in components}
    found = Counter(name for names in named.values() for name in names)
    return {
        "packages": {"distribution": len(components) - len(python), "python": len(python)},
        "licenses": [list(pair) for pair in sorted(found.items(), key=lambda pair: (-pair[1], pair[0].lower()))],
        "unknown": [each["name"] for each in components if not named[each["bom-ref"]]],
    }


def _names(component: Mapping[str, Any]) -> list[str]:
    found = []
    for entry in component.get("licenses", []):
        inner = entry.get("license") or {}
        found.append(str(entry.get("expression") or inner.get("id") or inner.get("name")))
    return ["a file without a name" if name.startswith("see /") else name for name in found]


def of_image(builder: Builder, image: Image, options: Options, record: Record, state: Path) -> tuple[Path, str]:
    """The bill of an image of the tree: the file of its build, else made from the image that the builder has.

    builder
        Asked for the image's packages where there is no file.
    image, options, record, state
        The image, the operator's choices, what is remembered of builds, the master's state root.

    Returns the file and ``found`` or ``made``. Raises SalternError, for example where the image was never built.
    """
    path = path_of(state, image.name, image.inputs)
    if path.exists():
        return path, "found"
    contents = builder.contents(image.reference)
    inputs = contents["config"]["labels"].get(LABEL_INPUTS, image.inputs)
    last = record.builds.get(image.reference, {})
    at = float(last["at"]) if last.get("id") == contents["id"] else _seconds(contents["created"])
    about = Subject(image.name, inputs, contents["id"], image.release or "", at, options.distro, options.suite)
    return write(state, about, contents), "made"


def _seconds(created: str) -> float:
    """Epoch seconds of the engine's time (nanoseconds, UTC)."""
    return datetime.fromisoformat(created[:19] + "+00:00").timestamp() if created else 0.0
