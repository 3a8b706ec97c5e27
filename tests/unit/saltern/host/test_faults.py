"""What a shipped image must not hold, each thing found and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from saltern.host import faults as faulty
from saltern.host import inside
from saltern.host.build_settings import Settings

from .tars import tar

MIRROR = "https://user:s3cret@mirror.example:8443/debian"
SETTINGS = Settings(
    {
        "etc/apt/sources.list": f"deb {MIRROR} trixie main\n".encode(),
        "etc/pip.conf": b"[global]\nindex-url = https://pypi.example/simple\n",
        "etc/saltern-build/env": b"export https_proxy='http://proxy.example:3128'\nexport UV_X='http://127.0.0.1:1'\n",
        "etc/saltern-build/ca.pem": b"see https://authority.example/terms\n",
        "etc/apt/auth.conf.d/x.conf": b"machine secrets.example login a password b\n",
    },
    [f"deb {MIRROR} trixie main"],
    {},
    ["user:s3cret", "s3cret"],
)


def block(text: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


GOOD: dict[str, Any] = {
    "usr/bin/python3": {"text": "x", "mode": 0o755},
    "usr/bin/makeconv": "x",
    "usr/share/gcc/python/libstdcxx.py": "x",
    "var/lib/apt/lists/lock": "",
    "var/lib/apt/lists/partial": {"dir": True},
    "var/mail": {"dir": True, "mode": 0o2775},
    "etc/environment": "PATH=/usr/bin\n",
    "etc/apt/sources.list.d/debian.sources": "URIs: http://mirror.example/debian\n",  # the distribution's own
    "etc/ssl/certs/ca-certificates.crt": block("AA\nBB"),
    "usr/share/ca-certificates/mozilla/a.crt": block("AABB"),
    "usr/share/doc/x/copyright": "https://mirror.example\n",
}


def wrong(entries: dict[str, Any], **more: Any) -> list[str]:
    return faulty.faults(inside.walk([tar(GOOD | entries)], hashes=False), SETTINGS, **more)


def test_a_clean_image_has_none() -> None:
    assert wrong({}, env=["PATH=/usr/bin", "LANG=C"], history=["COPY dir:1 in /", "CMD x 127.0.0.1"]) == []


@pytest.mark.parametrize(
    ("path", "what", "says"),
    [
        ("usr/bin/su", {"text": "x", "mode": 0o4755}, "a setuid file"),
        ("usr/bin/wall", {"text": "x", "mode": 0o2755}, "a setgid file"),
        ("usr/bin/x86_64-linux-gnu-gcc-14", "x", "a compiler or build tool"),
        ("usr/bin/g++", {"link": "g++-14"}, "a compiler or build tool"),
        ("usr/bin/make", "x", "a compiler or build tool"),
        ("opt/uv/bin/uv", "x", "a compiler or build tool"),
        ("usr/libexec/gcc/x86_64-linux-gnu/14/cc1", "x", "a compiler"),
        ("var/lib/apt/lists/mirror_InRelease", "x", "apt's list of packages"),
        ("var/cache/apt/archives/x.deb", "x", "apt's cache"),
        ("root/.cache/pip/http/1", "x", "a cache of pip or uv"),
        ("var/lib/keystone/.cache/uv", {"dir": True}, "a cache of pip or uv"),
        ("opt/x-1-py3-none-any.whl", "x", "a wheel"),
        ("usr/local/lib/saltern-build", {"dir": True}, "a folder of the build"),
        ("etc/saltern-build", {"dir": True}, "a folder of the build"),
        ("delta", {"dir": True}, "a folder of the build"),
        ("usr/local/share/ca-certificates/own.crt", "x", "a certificate authority that is not the distribution's"),
        ("etc/ssl/certs/ca-certificates.crt", block("AABB") + block("CC"), "a certificate authority that is not"),
        ("etc/apt/sources.list", f"deb {MIRROR} trixie main\n", "a file of the build's settings"),
        ("etc/apt/sources.list.d/m.list", "deb http://user:s3cret@else.example x\n", "credentials of the build's"),
        ("etc/pip.conf", "index-url=https://pypi.example/simple\n", "the address of the build's mirror (pypi.example)"),
        ("etc/environment", "http_proxy=http://proxy.example:3128\n", "the address of the build's mirror"),
        ("root/.netrc", "machine secrets.example login a\n", "the address of the build's mirror (secrets.example)"),
    ],
)
def test_each_fault_is_found_and_named(path: str, what: Any, says: str) -> None:
    found = wrong({path: what})
    assert len(found) == 1, found
    assert found[0].startswith(f"/{path}: {says}")
    assert "s3cret" not in found[0]


def test_a_setuid_file_that_the_template_names_is_none() -> None:
    found = inside.walk([tar({"usr/bin/sudo": {"text": "x", "mode": 0o4755}})], hashes=False)
    assert faulty.faults(found, SETTINGS) == ["/usr/bin/sudo: a setuid file"]
    assert faulty.faults(found, SETTINGS, setuid=["/usr/bin/sudo"]) == []


def test_environment_and_history() -> None:
    env = ["https_proxy=http://x", "PIP_INDEX_URL=y", "OTHER=see MIRROR.example"]
    found = wrong({}, env=env, history=["|1 I=https://pypi.example/simple /bin/sh -c x", "RUN echo s3cret"])
    assert found == [
        "environment https_proxy: how the build reached its mirrors",
        "environment PIP_INDEX_URL: how the build reached its mirrors",
        "environment OTHER: how the build reached its mirrors",
        "history: the address of the build's mirror (pypi.example)",
        "history: credentials of the build's mirror",
    ]


def test_many_faults_are_counted() -> None:
    text = faulty.sentence([f"/{number}: a wheel" for number in range(9)])
    assert text.endswith("/3: a wheel and 5 more")


def test_without_settings_nothing_is_the_mirrors() -> None:
    assert faulty.traces(Settings({}, [], {}))("https://mirror.example") == ""
