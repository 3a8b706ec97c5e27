"""Packages of an image and their licences, out of the files that package managers leave in it.

Debian's own record (``dpkg/status``) comes first; an image that took single files out of a package names it in
``/usr/share/saltern/packages/``. Python's packages are those with metadata of their own, but for the distribution's
(``dist-packages``), which are in its record already. A licence is the package's own word: a name, a reference to
the file where that has no name, "unknown" where there is none.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

UNKNOWN = "unknown"
LISTS = "/usr/share/saltern/packages/"
STATUS = "/var/lib/dpkg/status"
DOC = "/usr/share/doc"
LONGEST = 160  # characters of a licence's name; what is longer is its text

Packages = dict[str, dict[str, str]]  # name → {"version", "license"}

_METADATA = re.compile(r"\.(?:dist-info/METADATA|egg-info/PKG-INFO)$")
_ELSEWHERE = re.compile("/dist-packages/|/_vendor/")  # the distribution's; setuptools' and pip's own copies
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*[A-Za-z0-9+])")
_LICENSE = "License :: "


def distribution(texts: Mapping[str, bytes], links: Mapping[str, str]) -> Packages:
    """Packages of the distribution.

    texts
        Path → content of the image's files.
    links
        Path → target of its symbolic links (a package may share the documentation of another).
    """
    versions: dict[str, str] = {}
    sources: dict[str, str] = {}  # package → where its copyright is, by the source it was built from
    for path in sorted(texts):
        if path.startswith(LISTS):
            pairs = (line.partition(" ")[::2] for line in _text(texts[path]).splitlines())
            versions |= {name: version for name, version in pairs if version}
    for path in sorted(texts):
        if path == STATUS or path.startswith(f"{STATUS}.d/"):
            for name, version, source in installed(_text(texts[path]), single=path != STATUS):
                versions[name], sources[name] = version, source
    documents = {name: copyright_of(name, texts, links) for name in versions}
    shared = {sources[name]: path for name, path in sorted(documents.items()) if path and name in sources}
    return {
        name: {"version": version, "license": _license_at(documents[name] or shared.get(sources.get(name, "")), texts)}
        for name, version in sorted(versions.items())
    }


def installed(status: str, *, single: bool = False) -> Iterator[tuple[str, str, str]]:
    """(package, version, source) of every installed package in dpkg's status; ``single``: one without a state."""
    for stanza in re.split(r"\n\s*\n", status):
        fields = _fields(stanza)
        if "package" in fields and (single or fields.get("status", "").endswith(" installed")):
            name = fields["package"]
            yield name, fields.get("version", ""), fields.get("source", name).partition(" ")[0]


def _license_at(path: str | None, texts: Mapping[str, bytes]) -> str:
    if path is None:
        return UNKNOWN
    found = license_of(_text(texts[path]))
    return f"see {path}" if found == UNKNOWN else found


def python(texts: Mapping[str, bytes]) -> Packages:
    """Packages of Python that are not the distribution's, by normalised name; not what another one has copied in."""
    found = {}
    for path, content in texts.items():
        if _METADATA.search(path) and not _ELSEWHERE.search(path):
            name, version, license_ = metadata(_text(content))
            if name:
                found[name] = {"version": version, "license": license_}
    return dict(sorted(found.items()))


def metadata(text: str) -> tuple[str, str, str]:
    """Name (normalised), version and licence of a package's METADATA.

    The licence is its SPDX expression where it has one, else the field License where that is a name, else what its
    classifiers say.
    """
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    fields: dict[str, str] = {}
    classified = []
    for line in re.sub(r"\r?\n[ \t]+", "\t", head).splitlines():
        key, _, value = line.partition(":")
        value = value.strip()
        if key == "Classifier" and value.startswith(_LICENSE):
            classified.append(value.rpartition(" :: ")[2])
        else:
            fields.setdefault(key.lower(), value)
    name = re.sub(r"[-_.]+", "-", fields.get("name", "")).lower()
    stated = fields.get("license", "")
    short = stated if stated.upper() != "UNKNOWN" and len(stated) <= 60 and "\t" not in stated else ""
    classes = " and ".join(c for c in dict.fromkeys(classified) if c != "OSI Approved")
    return name, fields.get("version", ""), fields.get("license-expression") or short or classes or UNKNOWN


def license_of(text: str) -> str:
    """The licence that a Debian copyright file names.

    In the machine-readable format that of ``Files: *``, else all short names of its stanzas; in free text the common
    licences that it refers to.
    """
    if not re.search(r"(?m)^Format(?:-Specification)?:", text[:2000]):
        return " and ".join(dict.fromkeys(_COMMON.findall(text)))[:LONGEST] or UNKNOWN
    names = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        short = fields.get("license", "")
        if short and fields.get("files", "").split() == ["*"]:
            return short[:LONGEST]
        if short and "files" in fields:
            names.append(short)
    return " and ".join(dict.fromkeys(names))[:LONGEST] or UNKNOWN


def copyright_of(name: str, texts: Mapping[str, bytes], links: Mapping[str, str]) -> str | None:
    """Path of a package's copyright file, through the links that packages share it by; None where there is none."""
    path = f"{DOC}/{name}/copyright"
    for _ in range(4):
        if path in texts:
            return path
        folder = posixpath.dirname(path)
        if path in links:
            path = posixpath.normpath(posixpath.join(folder, links[path]))
        elif folder in links:
            path = posixpath.normpath(posixpath.join(DOC, links[folder], "copyright"))
        else:
            break
    return None


def _fields(stanza: str) -> dict[str, str]:
    """First lines of a stanza's fields; ``Files`` with its further ones."""
    found: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t"):
            if key == "files":
                found[key] += " " + line.strip()
        elif ":" in line and not line.startswith("#"):
            key, _, value = line.partition(":")
            key = key.lower()
            found[key] = value.strip()
    return found


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
