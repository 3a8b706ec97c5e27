"""What an operator adds to single images (``openstack:images:custom``): packages, lines, another version of a service.

All of it is checked when the tree is loaded, and a fault names the pillar's key. Packages and steps run in a stage on
top of the image as it is shipped, so they need nothing of its template; Python packages and a patched service go into
the stage of its virtual environment, as a layer cannot take back what the one below has put there. Every value is an
input of the image and has a part of its own, so the reason of a build can name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2

from saltern.contract.digests import digest
from saltern.contract.errors import SalternError
from saltern.host.places import ARCHIVES
from saltern.images.lint import instructions, lint

KEY = "openstack:images:custom"
TEMPLATE = "custom.j2"  # in images/_build
FOLDER = "custom"  # of the build context
FIELDS = ("packages", "pip", "steps", "append", "source")
_BOTH = frozenset({"RUN", "COPY", "ADD", "ENV", "WORKDIR", "USER"})
_STEP = _BOTH | {"ARG", "SHELL"}
_FINAL = _BOTH | {"LABEL", "CMD", "ENTRYPOINT", "EXPOSE", "VOLUME", "HEALTHCHECK", "STOPSIGNAL"}
_PIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9.+!_-]+(\s+--hash=sha256:[0-9a-f]{64})+"
)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+:_~=-]*", re.I)
_FINAL_FROM = re.compile(r"^FROM\s+(\S+)(?:\s+AS\s+(\S+))?\s*$", re.I | re.M)


@dataclass(frozen=True)
class Source:
    """Something on the builder that goes into an image: the pillar's key, its path there, the context's folder that
    takes it, and the digest of its content (empty until the builder was asked, None where there is nothing)."""

    key: str
    path: str
    into: str
    digest: str | None = ""

    def as_place(self) -> dict[str, str]:
        """As a build request says it."""
        return {"path": self.path, "into": self.into, "digest": self.digest or ""}


@dataclass(frozen=True)
class Custom:
    """The additions to one image.

    packages, pip, steps, append
        As the operator wrote them.
    sources
        Local packages by their key; ``<key of the image>:source`` is the patched service.
    """

    image: str
    packages: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{KEY}:{self.image}"

    @property
    def patched(self) -> Source | None:
        """Where the service's own package is built from."""
        return self.sources.get(f"{self.key}:source")

    @property
    def venv(self) -> bool:
        """Whether the image's virtual environment changes."""
        return bool(self.pip or self.patched)

    @property
    def staged(self) -> bool:
        """Whether a stage of its own is needed on top of the image."""
        return bool(self.packages or self.steps)

    @property
    def arguments(self) -> str:
        """What install-lock is told."""
        found = [f" --image {self.image}"] if self.venv else []
        if self.patched:
            found.append(f" --source {FOLDER}/source --mark {(self.patched.digest or '0')[:7]}")
        for number, entry in enumerate(self.pip):
            local = self.sources.get(f"{self.key}:pip[{number}]")
            found.append(f" --pip '{number} {local.into if local else entry}'")
        return "".join(found)

    def parts(self, frame: str) -> dict[str, str]:
        """The parts of the image's inputs that are made here; ``frame`` is what the lines are put into."""
        values = {name: list(getattr(self, name)) for name in ("packages", "pip", "steps", "append")}
        found = {f"custom {name}": digest([value, frame]) for name, value in values.items() if value}
        for key, source in self.sources.items():
            name = "source" if source is self.patched else key.removeprefix(f"{self.key}:")
            found[f"custom {name}"] = digest([source.path.rpartition("/")[2], source.digest])
        return found

    def answered(self, fingerprints: Mapping[str, str | None]) -> Custom:
        """The same with the builder's answer."""
        known = {
            key: replace(s, digest=fingerprints[s.path]) if s.path in fingerprints else s
            for key, s in self.sources.items()
        }
        return replace(self, sources=known)


def parse_all(raw: Mapping[str, Any], fingerprints: Mapping[str, str | None] | None = None) -> dict[str, Custom]:
    """Image → its additions; images without any are left out.

    raw
        ``openstack:images:custom``.
    fingerprints
        What the builder said of the paths that are named; None = it was not asked.

    Raises SalternError with the pillar's key.
    """
    parsed = {name: _parse(name, value or {}).answered(fingerprints or {}) for name, value in raw.items()}
    return {name: custom for name, custom in parsed.items() if custom != Custom(name)}


def paths(raw: Mapping[str, Any]) -> list[str]:
    """Paths on the builder that are named anywhere, in order."""
    found = [source.path for name, value in raw.items() for source in _parse(name, value or {}).sources.values()]
    return sorted(set(found))


def wrapped(
    text: str, custom: Custom, environment: jinja2.Environment, *, own_lock: Path | None, serves_builds: bool
) -> str:
    """A Dockerfile with an operator's additions.

    text
        The image's own Dockerfile.
    environment
        Finds `_build/custom.j2`: a stage on top of ``stock``, which is the image's own final one, and a new final one.
    own_lock
        The lock of its virtual environment; an image without gets one for packages of Python.
    serves_builds
        The image is never shipped: it just gets further lines.
    """
    own_venv = custom.venv and own_lock is None
    layered = (custom.staged or own_venv) and not serves_builds
    user: list[str] = []
    if layered:
        final = list(_FINAL_FROM.finditer(text))[-1]
        user = [line for _, line in instructions(text[final.end() :]) if line.upper().startswith("USER ")][-1:]
        text = f"{text[: final.start()]}FROM {final[1]} AS stock{text[final.end() :]}"
    if layered or (serves_builds and custom.staged):
        text = f"{text}\n{environment.get_template(TEMPLATE).render(own_venv=own_venv, serves_builds=serves_builds)}"
    return "\n".join([text.rstrip("\n"), *user, *custom.append]) + "\n"


def distribution_of(name: str) -> str:
    """The package's name out of the name of a wheel or sdist, normalised; empty when it has none."""
    match = re.match(r"(.+?)-v?\d", name) if name.endswith(ARCHIVES) else None
    return normalised(match[1]) if match else ""


def normalised(name: str) -> str:
    """A Python package's name as indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_venv(custom: Custom, shared: Path, own: Path | None, *, type: str, serves_builds: bool) -> None:
    """Refuse what could not be installed over the packages that services share, before anything is built.

    shared
        The lock of the packages that all services share.
    own
        The image's own lock, None when it has no virtual environment of its own.
    type
        The install type.
    serves_builds
        The image is never shipped.

    Raises SalternError with the pillar's key.
    """
    if not custom.venv:
        return
    where = f"{custom.key}:pip" if custom.pip else f"{custom.key}:source"
    if type != "source":
        hint = "They need openstack:images:type: source; name packages of the distribution under packages"
        raise SalternError("images of this install type hold no packages of PyPI", where=where, hint=hint)
    if serves_builds:
        raise SalternError(f"{custom.image} only serves builds", where=where, hint="Name an image that is shipped")
    common = locked(shared)
    for number, entry in enumerate(custom.pip):
        local = custom.sources.get(f"{custom.key}:pip[{number}]")
        name = distribution_of(local.path.rpartition("/")[2]) if local else normalised(re.split(r"[\[=]", entry)[0])
        if name in common:
            raise _shared(name, f"{custom.key}:pip[{number}]")
    if not custom.patched:
        return
    key = custom.patched.key
    if own is None:
        raise SalternError(f"{custom.image} installs no lock of its own, so it has no package to replace", where=key)
    name = distribution_of(custom.patched.path.rpartition("/")[2])
    if name in common:
        raise _shared(name, key)
    if name and name not in locked(own):
        hint = f"Add it as {custom.key}:pip instead"
        raise SalternError(f"{name} is not in the lock of {custom.image}, so it replaces nothing", where=key, hint=hint)


def locked(lock: Path) -> set[str]:
    """Names in a lock; none when there is no such file."""
    text = lock.read_text() if lock.is_file() else ""
    return {normalised(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", text, re.M)}


def agreed(answers: Mapping[str, Mapping[str, str | None]]) -> dict[str, str | None]:
    """One answer out of those of several builders (by name). Raises SalternError for content that differs."""
    found: dict[str, str | None] = {}
    for path in next(iter(answers.values())):
        digests = {answer[path] for answer in answers.values()}
        if len(digests) > 1:
            hint = "Put the same there on each of them, or build on one: openstack:images:builder"
            raise SalternError(f"it is not the same on {', '.join(sorted(answers))}", where=path, hint=hint)
        found[path] = digests.pop()
    return found


def missing(customs: Iterable[Custom | None]) -> None:
    """Raise SalternError for the first source that the builder does not have."""
    for custom in customs:
        for source in custom.sources.values() if custom else ():
            if source.digest is None:
                hint = "Put it there, or correct the path; nothing was built"
                raise SalternError(f"there is no {source.path} on the builder", where=source.key, hint=hint)


# -- the operator's values ---------------------------------------------------------------------------------------


def _parse(image: str, raw: Mapping[str, Any]) -> Custom:
    key = f"{KEY}:{image}"
    if wrong := sorted(set(raw) - set(FIELDS)):
        raise SalternError(f"'{wrong[0]}' is none of {', '.join(FIELDS)}", where=key)
    values = {name: tuple(str(value) for value in raw.get(name) or ()) for name in FIELDS if name != "source"}
    for number, package in enumerate(values["packages"]):
        if not _PACKAGE.fullmatch(package):
            raise SalternError(f"'{package}' is no package's name", where=f"{key}:packages[{number}]")
    for name, known in (("steps", _STEP), ("append", _FINAL)):
        for number, line in enumerate(values[name]):
            _check_line(f"{key}:{name}[{number}]", line, known, final=name == "append")
    sources = {}
    for number, entry in enumerate(values["pip"]):
        where = f"{key}:pip[{number}]"
        if entry.startswith("/"):
            sources[where] = Source(where, _archive(where, entry), f"{FOLDER}/pip/{number}")
        elif not _PIN.fullmatch(entry):
            hint = 'Write "name==version --hash=sha256:…", or the path of a wheel or sdist on the builder'
            raise SalternError(f"'{entry}' has no exact version with its hash", where=where, hint=hint)
    if raw.get("source"):
        where = f"{key}:source"
        sources[where] = Source(where, _path(where, raw["source"]), f"{FOLDER}/source")
    return Custom(image, sources=sources, **values)


def _path(where: str, raw: Any) -> str:
    path = str(raw.get("path") or "") if isinstance(raw, Mapping) else ""
    if not path.startswith("/") or "\n" in path or set(raw) != {"path"}:
        raise SalternError("expected {path: an absolute path on the builder}", where=where)
    return path.rstrip("/")


def _archive(where: str, path: str) -> str:
    if not path.endswith(ARCHIVES) or "'" in path or "\n" in path:
        raise SalternError(f"'{path}' is neither a wheel nor an sdist", where=where, hint=f"{', '.join(ARCHIVES)}")
    return path


def _check_line(where: str, line: str, known: frozenset[str], *, final: bool) -> None:
    found = instructions(line)
    if not found or line.rstrip().endswith("\\"):
        raise SalternError("an instruction of a Dockerfile is expected", where=where, hint="For example: RUN true")
    for _, text in found:
        word = text.split(None, 1)[0].upper()
        if final and word == "ARG":
            break  # the linter tells why not
        if word not in known:
            place = "the final stage" if final else "a stage"
            raise SalternError(f"{word} is no instruction for {place}", where=where, hint=f"Use {_either(known)}")
    # a stage's line is linted as a stage's
    if findings := lint(f"FROM a\n{line}\n" if final else f"FROM a AS b\n{line}\nFROM c\n"):
        raise SalternError(findings[0].text, where=where, hint=findings[0].hint)


def _either(words: Iterable[str]) -> str:
    first = sorted(words)
    return f"{', '.join(first[:-1])} or {first[-1]}"


def _shared(name: str, key: str) -> SalternError:
    return SalternError(
        f"{name} is one of the packages that all services share; a single image cannot have another version",
        where=key,
        hint="Change its version in images/locks/<release>/constraints.txt, and compile the locks",
    )
