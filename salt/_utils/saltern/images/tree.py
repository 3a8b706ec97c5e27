"""The images as a tree: every folder below ``images/`` rendered, its parents found, its inputs digested.

Parents are read off the rendered text (FROM and COPY --from that name an image of ours), so there is no second list
that could contradict it. The digest of an image's inputs holds no name, tag or mirror: the same content under another
name has the same digest.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from saltern.contract.digests import digest
from saltern.contract.errors import SalternError
from saltern.contract.names import IMAGE_NAME
from saltern.host.build_base import recipe
from saltern.images import custom as additions
from saltern.images.custom import Custom
from saltern.images.distros import APT, distribution
from saltern.images.folders import LOCKS, SHARED, SMOKE, TEMPLATE, first, homes, origin, smoke
from saltern.images.lint import instructions, lint
from saltern.images.options import Options
from saltern.images.render import NotOfThisType, render

DISTRO = "distro"
_SOURCE = re.compile(r"^(?:FROM\s+(\S+)(?:\s+AS\s+(\S+))?|(?:COPY|ADD)\s+.*?--from=(\S+).*)$", re.I)


class TreeBroken(SalternError):
    """The images contradict each other: a cycle, a parent that is none, an instruction that cannot work."""


@dataclass(frozen=True)
class File:
    """A file of a build context: where it lies and whether it may be executed."""

    source: Path
    mode: int

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Image:
    """One image of the tree.

    base
        The image whose layers it continues; None for the distribution.
    parents
        All images it needs before it can be built, base included.
    inputs
        Digest of everything that decides what is inside.
    parts
        The digests that ``inputs`` is made of, by name: they tell why an image is stale.
    smoke
        Commands that must succeed in it before it gets its name; no input.
    root
        Why its user may be root; empty when it must not be.
    setuid
        Files that may have another user's rights.
    custom
        What the operator adds.
    stock
        Digest of the Dockerfile without that.
    """

    name: str
    reference: str
    dockerfile: str
    base: str | None
    parents: tuple[str, ...]
    files: Mapping[str, File]
    packages: tuple[str, ...]
    release: str | None
    build_only: bool
    inputs: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    smoke: tuple[str, ...] = ()
    root: str = ""
    setuid: tuple[str, ...] = ()
    custom: Custom | None = None
    stock: str = ""


@dataclass(frozen=True)
class Tree:
    """All images by name, parents before children."""

    images: dict[str, Image]
    options: Options

    def select(self, names: Iterable[str]) -> list[str]:
        """The named images and all they need, parents first; all images when none is named.

        Raises TreeBroken for a name that no image has, with the nearest ones.
        """
        wanted = list(names) or list(self.images)
        found: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in self.images:
                raise unknown(name, self.images, where="names")
            if name not in found:
                found.add(name)
                wanted += self.images[name].parents
        return [name for name in self.images if name in found]

    def below(self, name: str) -> list[str]:
        """Images that need ``name``, directly or not, in building order."""
        found = {name}
        for each in self.images.values():
            if found & set(each.parents):
                found.add(each.name)
        return [each for each in self.images if each in found and each != name]

    def layers_of(self, name: str) -> list[str]:
        """``name`` and the images whose layers it continues, lowest first."""
        chain, current = [name], self.images[name].base
        while current is not None:
            chain.insert(0, current)
            current = self.images[current].base
        return chain


def load(
    folder: Path,
    options: Options,
    packages: Mapping[str, Mapping[str, str]] | None = None,
    fingerprints: Mapping[str, str | None] | None = None,
) -> Tree:
    """Render and check all images of a folder.

    folder
        ``images/`` of a checkout.
    options
        The operator's choices.
    packages
        Versions recorded at the last refresh: image → package → version.
    fingerprints
        What the builder said of paths there that an operator named (`asked`); None = it was not asked.

    Raises TreeBroken or TemplateBroken, with file and line.
    """
    recorded = packages or {}
    names = homes(folder, options.folders)
    for name, home in names.items():
        if not IMAGE_NAME.fullmatch(name) or name == DISTRO:
            raise TreeBroken(f"'{name}' cannot be the name of an image", where=str(home / name))
    customs = _customs(options, names, fingerprints)
    references = {options.reference(name): name for name in (*names, DISTRO)}
    found = {DISTRO: _distro(folder, options, recorded.get(DISTRO, {}))}
    for name, home in names.items():
        custom = customs.get(name, Custom(name))
        with suppress(NotOfThisType):
            found[name] = _image(folder, home, custom, options, references, recorded.get(name, {}))
    tree = Tree(_digested(_ordered(found), references), options)
    for name, custom in customs.items():
        if name in found and custom.venv and "openstack-base" not in tree.layers_of(name):
            hint = "Only images that continue openstack-base have one"
            raise TreeBroken(f"{name} has no virtual environment of Python", where=custom.key, hint=hint)
    return tree


def _customs(
    options: Options, names: Iterable[str], fingerprints: Mapping[str, str | None] | None
) -> dict[str, Custom]:
    """What the operator adds to images, checked."""
    known = sorted(names)
    for name in options.custom:
        if name == DISTRO:
            hint = "Add to base what all images are to have"
            raise TreeBroken("the distribution's image has no Dockerfile", where=f"{additions.KEY}:{name}", hint=hint)
        if name not in known:
            raise unknown(name, known, where=f"{additions.KEY}:{name}")
    return additions.parse_all(options.custom, fingerprints)


def unknown(name: str, known: Iterable[str], *, where: str) -> TreeBroken:
    """The error for a name that no image has."""
    near = difflib.get_close_matches(name, list(known), n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Images are {', '.join(sorted(known))}"
    return TreeBroken(f"there is no image '{name}'", where=where, hint=hint)


def _distro(folder: Path, options: Options, packages: Mapping[str, str]) -> Image:
    """The distribution: made from its packages, or an image of it from a registry in the pillar's words."""
    found = distribution(folder, options)
    base = options.base or ("" if found.family == APT else found.base)
    wanted: dict[str, Any] = {"recipe": recipe(options.suite, ("ca-certificates",)), "packages": dict(packages)}
    dockerfile = f"FROM {base}\n{_TAKEN_OVER[found.family]}\n" if base else ""
    text = digest({"Dockerfile": dockerfile} if base else wanted)
    part = "base" if base else "recipe"
    return Image(
        DISTRO,
        options.reference(DISTRO),
        dockerfile,
        None,
        (),
        {},
        () if base else ("ca-certificates",),
        None,
        True,
        text,
        {part: text},
    )


# What an image of the distribution gets to be ours: the list of its packages (as images/_build/packages writes it), and
# of apt's family no addresses, as builds bring their own.
_TAKEN_OVER = {
    "debian": "RUN rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* && mkdir -p /usr/share/saltern/packages && "
    "dpkg-query -W -f '${Package} ${Version}\\n' > /usr/share/saltern/packages/distro",
    "rhel": "RUN mkdir -p /usr/share/saltern/packages && "
    "rpm -qa --qf '%{NAME} %{EVR}\\n' > /usr/share/saltern/packages/distro",
}


def _image(
    folder: Path,
    home: Path,
    custom: Custom,
    options: Options,
    references: Mapping[str, str],
    packages: Mapping[str, str],
) -> Image:
    name = custom.image
    where = f"{name}/{TEMPLATE}" if home == folder else str(home / name / TEMPLATE)

    def reference(other: str) -> str:
        if other not in references.values():
            raise unknown(other, references.values(), where=where)
        return options.reference(other)

    token = digest(dict(packages)) if packages else "0"
    text, notes = render(folder, name, options, reference, token, home=home)
    stock, parts = text, {}
    if custom != Custom(name):
        shared = first((home, folder), f"{LOCKS}/{options.release}/common.txt")
        additions.check_venv(custom, shared, notes.lock, type=options.type, serves_builds=notes.build_only)
        text, notes = render(folder, name, options, reference, token, home=home, custom=custom)
        frame = first((home, folder), f"{SHARED}/{additions.TEMPLATE}")
        parts = custom.parts(digest([frame.read_text() if frame.is_file() else "", token]))
    for each in dict.fromkeys((stock, text)):
        if findings := lint(each, build_only=notes.build_only):
            found = findings[0]
            raise TreeBroken(found.text, where=origin(home, folder, name, each, found.line), hint=found.hint)
    base, parents = _parents(text, references, lambda line: origin(home, folder, name, text, line))
    files = {path: _file(source) for path, source in notes.files.items()}
    for place in (*(folder / extended for extended in notes.extended), home / name):
        files |= own_files(place)
    return Image(
        name,
        options.reference(name),
        text,
        base,
        parents,
        files,
        tuple(notes.packages),
        options.release if notes.release_bound else None,
        notes.build_only,
        smoke=smoke((home / name, *(folder / extended for extended in notes.extended))),
        root=notes.root,
        setuid=tuple(notes.setuid),
        parts=parts,
        custom=custom,
        stock=digest(nameless(stock, references)),
    )


def own_files(folder: Path) -> dict[str, File]:
    """All files of an image's own folder but its template and smoke test, by their path in the context."""
    found = {}
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        for name in sorted(names):
            path = Path(directory) / name
            if name not in (TEMPLATE, SMOKE) and path.suffix != ".pyc":
                found[path.relative_to(folder).as_posix()] = _file(path)
    return found


def _file(path: Path) -> File:
    # only the executable bit is the project's; the rest of a mode is a checkout's umask
    return File(path, 0o755 if path.stat().st_mode & 0o100 else 0o644)


def _parents(text: str, references: Mapping[str, str], where: Callable[[int], str]) -> tuple[str, tuple[str, ...]]:
    stages: dict[str, str] = {}  # name → the image of the tree that it continues
    base, parents = "", []
    for number, instruction in instructions(text):
        match = _SOURCE.match(instruction)
        if not match:
            continue
        source = match[1] or match[3]
        if source not in stages:
            if source not in references:
                raise TreeBroken(
                    f"'{source}' is neither a stage nor an image of this tree",
                    where=where(number),
                    hint="Name images as {{ image('name') }}",
                )
            parents.append(references[source])
        if match[1]:
            base = stages.get(source) or references[source]
        if match[2]:
            stages[match[2]] = base
    if not base:
        raise TreeBroken("no FROM", where=where(0))
    return base, tuple(dict.fromkeys(parents))


def _ordered(images: Mapping[str, Image]) -> dict[str, Image]:
    """Parents first. Raises TreeBroken for a cycle, which it names."""
    done: dict[str, Image] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            raise TreeBroken(f"images need each other: {' → '.join([*path[path.index(name) :], name])}", where="images")
        path.append(name)
        for parent in images[name].parents:
            visit(parent)
        path.pop()
        done[name] = images[name]

    for name in images:
        visit(name)
    return done


def _digested(images: Mapping[str, Image], references: Mapping[str, str]) -> dict[str, Image]:
    found: dict[str, Image] = {}
    for image in images.values():
        if image.name == DISTRO:
            found[DISTRO] = image
            continue
        parts = {
            "Dockerfile": image.stock,
            **image.parts,
            **{path: digest([oct(file.mode), file.sha256]) for path, file in image.files.items()},
            **{f"image {parent}": found[parent].inputs for parent in image.parents},
        }
        release = image.release or next((found[p].release for p in image.parents if found[p].release), None)
        values: dict[str, Any] = image.__dict__ | {"inputs": digest(parts), "parts": parts, "release": release}
        found[image.name] = Image(**values)
    return found


def nameless(text: str, references: Mapping[str, str]) -> str:
    """A Dockerfile with the operator's names for images replaced by the tree's."""
    for reference in sorted(references, key=len, reverse=True):
        text = text.replace(reference, f"@{references[reference]}")
    return text
