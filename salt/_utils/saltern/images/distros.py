"""What is known of distributions: names of packages, Python, and which OpenStack each suite packages.

The facts are data (``images/_distros/<family>.yaml``). Templates name packages as Debian does; a family that installs
with dnf must have a name for each of them. Rendering works for every distribution, so that templates can be checked
anywhere; whether a suite can be built is asked separately, and only for the images that are to be built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from saltern.contract.errors import SalternError
from saltern.images.options import Options

FOLDER = "_distros"
APT = "debian"  # the family whose names templates use
LOCKS_PYTHON = "3.13"  # what images/locks/compile resolves for


@dataclass(frozen=True)
class Distribution:
    """One suite of a distribution.

    name, family, suite
        For example ``rocky``, ``rhel``, ``10``; the family is the name of the data file.
    python
        Version of its ``python3``, for example ``3.13``; empty where nothing is known of the suite.
    openstack
        Releases that it packages → the package that describes their repository, None where it is the suite's own.
    base
        An image of it, to have something to render; builds need one with a digest.
    components
        Components of its apt sources.
    enable, release_packages
        Repositories to enable in stages, and packages that bring the description of further ones.
    names
        Debian's name → names here (none: not needed).
    """

    name: str
    family: str
    suite: str
    python: str = ""
    openstack: Mapping[str, str | None] = field(default_factory=dict)
    base: str = ""
    enable: tuple[str, ...] = ()
    release_packages: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def packages(self, names: Iterable[str]) -> list[str]:
        """The distribution's names for names of Debian, in order, each once.

        Raises SalternError for a name that has none in a family whose names are its own.
        """
        found: list[str] = []
        for name in names:
            if name not in self.names and self.family != APT:
                raise SalternError(
                    f"no name for '{name}' in family {self.family}",
                    hint=f"Add it to images/{FOLDER}/{self.family}.yaml (null: not needed there)",
                )
            found += self.names.get(name, (name,))
        return list(dict.fromkeys(each.format(python=self.python or LOCKS_PYTHON) for each in found))

    def repositories(self, release: str = "") -> dict[str, list[str]]:
        """``{"enable": ids, "packages": names}`` for a stage that installs; with a release, OpenStack's too."""
        further = [package] if release and (package := self.openstack.get(release)) else []
        return {"enable": list(self.enable), "packages": [*self.release_packages, *further]}


def distribution(folder: Path, options: Options) -> Distribution:
    """The distribution of the operator's choice.

    folder
        The folder of images; where it has no data about distributions, those of this checkout count.
    options
        The operator's choices.

    Raises SalternError for one that no data file has.
    """
    places = (folder / FOLDER, Path(__file__).resolve().parents[4] / "images" / FOLDER)
    place = next((each for each in places if each.is_dir()), None)
    if place is None:
        return Distribution(options.distro, APT, options.suite, python=LOCKS_PYTHON)
    for path in sorted(place.glob("*.yaml")):
        data = yaml.safe_load(path.read_text())
        if options.distro in data["distributions"]:
            return _distribution(path.stem, data, options)
    raise SalternError(f"nothing is known of the distribution '{options.distro}'", where=str(place))


def _distribution(family: str, data: Mapping[str, Any], options: Options) -> Distribution:
    own = data["distributions"][options.distro]
    suite = own["suites"].get(options.suite) or {}
    repositories = own.get("repositories") or {}
    names = {**data["packages"], **(own.get("packages") or {})}
    return Distribution(
        options.distro,
        family,
        options.suite,
        suite.get("python", ""),
        suite.get("openstack") or {},
        suite.get("base") or options.distro,
        tuple(repositories.get("enable") or ()),
        tuple(repositories.get("packages") or ()),
        {name: _tuple(value) for name, value in names.items()},
    )


def _tuple(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def require_buildable(folder: Path, options: Options, releases: Iterable[str | None], *, refresh: bool = False) -> None:
    """Whether what is to be built can be built for this distribution, asked before anything is.

    folder, options
        As for :func:`distribution`.
    releases
        For each image its release, None for one that does not depend on it.
    refresh
        Whether versions are to be asked for first.

    Raises SalternError that names the key to set, or what is possible.
    """
    found = distribution(folder, options)
    suite = f"{found.name} {found.suite}"
    if found.family != APT and not options.base:
        raise SalternError(
            f"images of {found.name} are built on an image of it",
            where="openstack:images:base",
            hint="Set it to name@sha256:… of one that has find, tar and awk",
        )
    if refresh and found.family != APT:
        raise SalternError(
            f"which packages of {found.name} are outdated cannot be asked",
            where="refresh",
            hint="Set openstack:images:base to a newer digest: all images are built again then",
        )
    if not any(releases):
        return
    if options.type == "binary" and options.release not in found.openstack:
        there = ", ".join(found.openstack) or "no release"
        raise SalternError(
            f"{suite} packages {there} of OpenStack, not {options.release}",
            where="type=binary",
            hint=f"Build {f'release={there}' if found.openstack else 'another distribution'}, or type=source",
        )
    if options.type == "source" and found.python != LOCKS_PYTHON:
        has = f"has Python {found.python}" if found.python else "is not known here"
        raise SalternError(
            f"{suite} {has}, images/locks are for Python {LOCKS_PYTHON}",
            where="type=source",
            hint=f"Choose a suite with Python {LOCKS_PYTHON}, see docs/distributions.md",
        )
