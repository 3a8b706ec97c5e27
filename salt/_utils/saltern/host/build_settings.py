"""How this machine reaches its mirrors, said again for the stages of an image build.

An operator has told apt, pip and OpenSSL of this host where packages come from and whom to trust; a build on it
must use the same and leave no trace of it. The files made here enter builder stages only (as ``settings/`` of the
build context), and are no input of an image: another mirror gives the same content.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from saltern.contract.errors import BuildFailed

FOLDER = "etc/saltern-build"
APT = {"debian": "main", "ubuntu": "main universe"}  # distributions that install with apt: components
_APT_OPTION = re.compile(
    r'^(Acquire::(?:Check-(?:Valid-Until|Date)|https?::(?:Proxy|Verify-\w+)[^ ]*|Retries)) "(.*)";$'
)
_ONE_LINE = re.compile(r"^deb(?:\s+\[[^\]]*\])?\s+(\S+)\s+(\S+)\s+(.+)$")


@dataclass(frozen=True)
class Settings:
    """What a build gets from its host.

    files
        Path below ``settings/`` → content.
    sources
        apt source lines of the images' suite.
    apt_options
        apt option → value.
    secrets
        Words (credentials in addresses) that must not appear in a message.
    """

    files: dict[str, bytes]
    sources: list[str]
    apt_options: dict[str, str]
    secrets: list[str] = field(default_factory=list)


def gather(
    suite: str,
    mirrors: Mapping[str, Any] | None = None,
    *,
    distro: str = "debian",
    root: Path = Path("/"),
    environ: Mapping[str, str] | None = None,
    apt_config: Callable[[], str] | None = None,
) -> Settings:
    """Settings of this machine for images of a suite.

    suite
        The images' suite, for example ``trixie``.
    mirrors
        ``{"apt": address or None, "pypi": address or None}`` of the pillar; None = what this machine uses.
    distro
        The images' distribution. What installs with dnf uses the repositories of its base image, through this
        machine's proxies and certificates.

    Raises BuildFailed when no apt source is known for a distribution that installs with apt.
    """
    mirrors = mirrors or {}
    environ = os.environ if environ is None else environ
    apt = distro in APT
    sources = _sources(distro, suite, mirrors.get("apt"), root) if apt else []
    options = _apt_options((apt_config or _apt_config)()) | _proxy_options(environ) if apt else {}
    index = _index(mirrors.get("pypi"), root, environ)
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    pem = bundle.read_bytes() if bundle.exists() else b""
    files = {
        f"{FOLDER}/env": _environment(index, environ, bool(pem), dnf=not apt).encode(),
        "etc/pip.conf": _pip_conf(index, bool(pem)).encode(),
        f"{FOLDER}/ca.pem": pem,
    }
    if apt:
        files["etc/apt/sources.list"] = ("\n".join(sources) + "\n").encode()
        files["etc/apt/apt.conf.d/90saltern-build"] = _apt_conf(options, bool(pem)).encode()
        for path in (root / "etc/apt/auth.conf", *sorted((root / "etc/apt/auth.conf.d").glob("*.conf"))):
            if path.is_file():
                files[path.relative_to(root).as_posix()] = path.read_bytes()
    return Settings(files, sources, options, _secrets([*sources, *index.values(), *options.values()]))


# -- apt ---------------------------------------------------------------------------------------------------------


def _sources(distro: str, suite: str, mirror: Any, root: Path) -> list[str]:
    if isinstance(mirror, Mapping):
        found = {key: str(mirror[key]) for key in ("main", "security") if mirror.get(key)}
    elif mirror:
        found = {"main": str(mirror)}
    else:
        found = _machine_sources(distro, root)
    if "main" not in found:
        raise BuildFailed(
            f"no apt source of {distro.capitalize()} is known on this host",
            where="apt sources",
            hint=f"Set openstack:images:mirrors:apt to the address of a mirror of {distro.capitalize()}",
        )
    if distro == "ubuntu":
        found.setdefault("security", found["main"])  # Ubuntu's archive holds its updates of security, too
    components = APT[distro]
    lines = [f"deb {found['main']} {name} {components}" for name in (suite, f"{suite}-updates")]
    security = found.get("security")
    return [*lines, f"deb {security} {suite}-security {components}"] if security else lines


def _machine_sources(distro: str, root: Path) -> dict[str, str]:
    """``main`` and ``security`` addresses of this host; nothing where it is of another distribution."""
    release = _os_release(root)
    codename = release.get("VERSION_CODENAME", "") if release.get("ID") == distro else ""
    found: dict[str, str] = {}
    for address, names, components in _entries(root / "etc/apt"):
        if "main" not in components.split() or not codename:
            continue
        for name in names.split():
            if name == codename:
                found.setdefault("main", address)
            elif name in (f"{codename}-security", f"{codename}/updates"):
                found.setdefault("security", address)
    return found


def _entries(apt: Path) -> list[tuple[str, str, str]]:
    """(address, suites, components) of every enabled binary source, one-line and deb822 format."""
    found = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else ():
            if match := _ONE_LINE.match(line.strip()):
                found.append((match[1], match[2], match[3]))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = _stanza(stanza)
            if fields.get("enabled", "yes") != "no" and "deb" in fields.get("types", "").split():
                for address in fields.get("uris", "").split():
                    found.append((address, fields.get("suites", ""), fields.get("components", "")))
    return found


def _stanza(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
    return {
        key.strip().lower(): value.strip()
        for key, colon, value in (line.partition(":") for line in joined.splitlines())
        if colon
    }


def _os_release(root: Path) -> dict[str, str]:
    path = root / "etc/os-release"
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value.strip('"') for key, equals, value in (line.partition("=") for line in lines) if equals}


def _apt_config() -> str:
    try:
        return subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _apt_options(dump: str) -> dict[str, str]:
    """Only how things are fetched; nothing of how this host installs."""
    found = {}
    for line in dump.splitlines():
        if (match := _APT_OPTION.match(line)) and match[2]:
            found[match[1]] = match[2]
    return found


def _proxy_options(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        f"Acquire::{scheme}::Proxy": environ[f"{scheme}_proxy"]
        for scheme in ("http", "https")
        if environ.get(f"{scheme}_proxy")
    }


def _apt_conf(options: Mapping[str, str], bundle: bool) -> str:
    settings = {"APT::Update::Error-Mode": "any", "Acquire::Retries": "3", "Acquire::Languages": "none", **options}
    if bundle:
        settings["Acquire::https::CAInfo"] = f"/{FOLDER}/ca.pem"
    return "".join(f'{name} "{value}";\n' for name, value in sorted(settings.items()))


# -- pip and uv --------------------------------------------------------------------------------------------------


def _index(mirror: Any, root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """``index-url``, ``extra-index-url`` and ``trusted-host`` as a build can use them: no paths of this host."""
    if mirror:
        return {"index-url": str(mirror)}
    found: dict[str, str] = {}
    home = Path(environ.get("HOME", "/root")).relative_to("/")
    for path in (root / "etc/pip.conf", root / home / ".pip/pip.conf", root / home / ".config/pip/pip.conf"):
        parser = configparser.RawConfigParser()
        if path.exists():
            parser.read(path)
        for section in ("global", "install"):
            found |= {k: v for k, v in (parser.items(section) if parser.has_section(section) else ()) if k in _PIP}
    found |= {key: environ[name] for key, name in _PIP.items() if environ.get(name)}
    usable = {key: " ".join(u for u in value.split() if _remote(key, u)) for key, value in found.items()}
    return {key: value for key, value in usable.items() if value}


_PIP = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "trusted-host": "PIP_TRUSTED_HOST"}


def _remote(key: str, value: str) -> bool:
    return key == "trusted-host" or value.startswith(("http://", "https://"))


def _pip_conf(index: Mapping[str, str], bundle: bool) -> str:
    lines = ["[global]", "disable-pip-version-check = true", "timeout = 60"]
    lines += [f"{key} = {value}" for key, value in sorted(index.items())]
    return "\n".join([*lines, *([f"cert = /{FOLDER}/ca.pem"] if bundle else [])]) + "\n"


def _environment(index: Mapping[str, str], environ: Mapping[str, str], bundle: bool, *, dnf: bool) -> str:
    """What uv reads instead of pip.conf (and dnf's options), as exports for a shell."""
    values = {"UV_HTTP_TIMEOUT": "120"}
    for key, name in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "UV_INDEX"),
        ("trusted-host", "UV_INSECURE_HOST"),
    ):
        if key in index:
            values[name] = index[key]
    values |= {name: environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if environ.get(name)}
    if bundle:
        values["SSL_CERT_FILE"] = f"/{FOLDER}/ca.pem"
    if dnf:
        values["SALTERN_DNF"] = _dnf_options(environ, bundle)
    return "".join(f"export {name}='{value}'\n" for name, value in sorted(values.items()) if "'" not in value)


def _dnf_options(environ: Mapping[str, str], bundle: bool) -> str:
    proxy = environ.get("https_proxy") or environ.get("http_proxy")
    found = [f"--setopt=proxy={proxy}"] if proxy else []
    return " ".join([*found, *([f"--setopt=sslcacert=/{FOLDER}/ca.pem"] if bundle else [])])


def _secrets(texts: list[str]) -> list[str]:
    """Passwords and user:password pairs in addresses."""
    found = []
    for word in " ".join(texts).split():
        if "@" in word and "://" in word:
            parts = urlsplit(word)
            found += [text for text in (parts.netloc.rpartition("@")[0], parts.password) if text]
    return found
