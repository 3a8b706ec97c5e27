"""What a shipped image must not hold: rights of another user, compilers, caches, and anything of how it was built."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from saltern.contract.masking import mask
from saltern.host.build_settings import FOLDER, Settings
from saltern.host.inside import File, Found

SHOWN = 4  # faults that a message names, the rest is counted

_TOOL = r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|make|cmake|ninja|uv|uvx)(?:-[\d.]+)?"
_PATHS = (
    (re.compile(rf"^/(?:usr/|usr/local/|opt/\w+/|var/lib/openstack/)?s?bin/{_TOOL}$"), "a compiler or build tool"),
    (re.compile(r"^/usr/lib.*/(?:cc1|cc1plus|collect2|lto1)$"), "a compiler"),
    (re.compile(r"^/var/lib/apt/lists/(?!lock$|partial$).+"), "apt's list of packages"),
    (re.compile(r"^/var/cache/apt/.*\.(?:deb|bin)$"), "apt's cache"),
    (re.compile(r"^/var/cache/(?:dnf|yum)/.+"), "the cache of a package manager"),
    (re.compile(r"^(?:/root|/home/[^/]+|/var/lib/[^/]+)?/\.cache/(?:pip|uv)(?:/|$)"), "a cache of pip or uv"),
    (re.compile(r"\.whl$"), "a wheel"),
    (re.compile(rf"^/(?:{FOLDER}|usr/local/lib/saltern-build|settings|delta|wheels)$"), "a folder of the build"),
    (re.compile(r"^/usr/local/share/ca-certificates/."), "a certificate authority that is not the distribution's"),
)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
_BUNDLE, _AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt", "/usr/share/ca-certificates/"
_ADDRESS = re.compile(
    r"\bhttps?://(?:[^@/\s'\"]*@)?([A-Za-z0-9.-]+)|^\s*machine\s+(?:https?://)?([A-Za-z0-9.-]+)", re.M
)
_HERE = re.compile(r"^(?:localhost|127\.)")
# A distribution's image may name its public mirror here; only what the build has put there is a fault.
_SOURCES = re.compile(r"^/etc/(?:apt/sources\.list|yum\.repos\.d/)")
_ENVIRONMENT = re.compile(
    r"^(?:https?_proxy|no_proxy|all_proxy|ftp_proxy|PIP_\w+|UV_\w+|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)=",
    re.I,
)


def faults(
    found: Found,
    settings: Settings,
    *,
    env: Iterable[str] = (),
    history: Iterable[str] = (),
    setuid: Iterable[str] = (),
) -> list[str]:
    """All that is wrong with an image's content, each as "path: what it is".

    found
        The image's file system (`saltern.host.inside.read`).
    settings
        How the build reached its mirrors: none of it may have stayed.
    env
        The image's environment.
    history
        The commands that made its layers.
    setuid
        Files that may have another user's rights, as the image's template says why.
    """
    wrong = [*_by_path(found.files, set(setuid)), *_certificates(found.texts), *_of_the_build(found.texts, settings)]
    named = traces(settings)
    for value in env:
        if _ENVIRONMENT.match(value) or named(value):
            wrong.append(f"environment {value.partition('=')[0]}: how the build reached its mirrors")
    wrong += [f"history: {trace}" for line in history if (trace := named(line))]
    return [mask(each, settings.secrets) for each in dict.fromkeys(wrong)]


def sentence(wrong: list[str]) -> str:
    """Faults as one line.

    >>> sentence(["/a: a wheel"])
    'a shipped image must not hold /a: a wheel'
    """
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return f"a shipped image must not hold {'; '.join(wrong[:SHOWN])}{more}"


def traces(settings: Settings) -> Callable[[str], str]:
    """A function that tells what of the build's settings a text holds, "" for nothing."""
    texts = [
        *settings.sources,
        *(t.decode("utf-8", "replace") for p, t in settings.files.items() if p != f"{FOLDER}/ca.pem"),
    ]
    hosts = {(a or b).lower() for text in texts for a, b in _ADDRESS.findall(text)}
    hosts = {host for host in hosts if host and not _HERE.match(host)}
    pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(hosts)))})(?![\w-])", re.I) if hosts else None

    def named(text: str) -> str:
        if any(secret in text for secret in settings.secrets if secret):
            return "credentials of the build's mirror"
        match = pattern.search(text) if pattern else None
        return f"the address of the build's mirror ({match[0]})" if match else ""

    return named


def _by_path(files: Mapping[str, File], setuid: set[str]) -> Iterator[str]:
    for path, entry in files.items():
        if entry[0] == "file" and entry[1] & 0o6000 and path not in setuid:
            yield f"{path}: a set{'uid' if entry[1] & 0o4000 else 'gid'} file"
        for pattern, what in _PATHS:
            if pattern.search(path):
                yield f"{path}: {what}"
                break


def _certificates(texts: Mapping[str, bytes]) -> Iterator[str]:
    """The bundle may hold the distribution's authorities only."""
    known = {_plain(block) for path, text in texts.items() if path.startswith(_AUTHORITIES) for block in _blocks(text)}
    if known and any(_plain(block) not in known for block in _blocks(texts.get(_BUNDLE, b""))):
        yield f"{_BUNDLE}: a certificate authority that is not the distribution's"


def _blocks(text: bytes) -> list[Any]:
    return _CERTIFICATE.findall(text)


def _plain(block: bytes) -> bytes:
    return b"".join(block.split())


def _of_the_build(texts: Mapping[str, bytes], settings: Settings) -> Iterator[str]:
    named = traces(settings)
    for path, content in texts.items():
        own = settings.files.get(path.lstrip("/"))
        if own is not None and own == content:
            yield f"{path}: a file of the build's settings"
        elif path.startswith(("/etc/", "/root/")):
            trace = named(content.decode("utf-8", "replace"))
            if trace and not (_SOURCES.match(path) and trace.startswith("the address")):
                yield f"{path}: {trace}"
