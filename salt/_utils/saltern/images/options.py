"""What an operator chooses about images (``openstack:images`` of the pillar), with complete defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import image_reference, image_tag

RELEASE = "2025.2"
# of each distribution the one that is meant where the pillar names none
SUITES = {
    "debian": "trixie",
    "ubuntu": "noble",
    "centos": "stream10",
    "rocky": "10",
    "oraclelinux": "10",
    "fedora": "42",
    "rhel": "10",
}
_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
TYPES = ("source", "binary")
DISTROS = ("debian", "ubuntu", "centos", "rocky", "oraclelinux", "fedora", "rhel")


@dataclass(frozen=True)
class Options:
    """Names, release and surroundings of a build.

    release
        OpenStack release whose locks are used; also the tag unless ``tag`` is set, see
        `saltern.contract.names.image_tag`.
    type, distro, suite
        Install type, distribution inside the images, its suite; empty means the distribution's usual one.
    base
        Image that is the distribution, with its digest; None: it is made from packages.
    mirrors
        ``{"apt": …, "pypi": …}``; what is absent comes from the builder's own configuration.
    network
        Network of RUN steps; ``host`` is right where the host's MTU is below the bridge's.
    parallel
        Builds at once.
    builder
        Minion that builds; None = those with the role.
    profiles
        The operator's own: name → names of images or regular expressions.
    folders
        The operator's own folders of images on this machine (`saltern.images.folders`).
    custom
        What is added to single images (`saltern.images.custom`).
    """

    release: str = RELEASE
    namespace: str = "saltern"
    prefix: str = ""
    tag: str = ""
    registry: str = ""
    type: str = "source"
    distro: str = "debian"
    suite: str = ""
    base: str | None = None
    mirrors: Mapping[str, Any] = field(default_factory=dict)
    network: str = "host"
    parallel: int = 2
    builder: str | None = None
    profiles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folders: Sequence[str] = ()
    custom: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.suite:
            object.__setattr__(self, "suite", SUITES.get(self.distro, ""))

    def reference(self, name: str) -> str:
        """Name and tag of an image."""
        tag = self.tag or image_tag(self.release, self.distro, self.type)
        return image_reference(name, tag=tag, namespace=self.namespace, prefix=self.prefix, registry=self.registry)


def options_from(
    tree: Mapping[str, Any], *, release: str | None = None, type: str | None = None, distro: str | None = None
) -> Options:
    """Options out of the operator's ``openstack`` tree; keys that are absent or null keep their defaults.

    tree
        The pillar below ``openstack:`` (or the plan's copy of what concerns images).
    release, type, distro
        Build for these instead of the pillar's: a tag of the pillar does not count then, nor, with another
        distribution, its suite, its base and its mirrors for packages.

    Raises SalternError for a type or distribution that is none, for a base without a digest, and for a mirror's
    address that holds a password.
    """
    images = {key: value for key, value in (tree.get("images") or {}).items() if value is not None}
    if distro and distro != images.get("distro", "debian"):
        images = {key: value for key, value in images.items() if key not in ("suite", "base")}
        images["mirrors"] = {key: value for key, value in (images.get("mirrors") or {}).items() if key != "apt"}
    if release or type or distro:
        images.pop("tag", None)
    images |= {key: value for key, value in (("type", type), ("distro", distro)) if value}
    for key, choices in (("type", TYPES), ("distro", DISTROS)):
        if images.get(key, choices[0]) not in choices:
            raise SalternError(f"'{images[key]}' is none of {', '.join(choices)}", where=key)
    for kind, address in (images.get("mirrors") or {}).items():
        if "@" in str(address):
            raise SalternError(
                "an address with a password would travel in jobs and events",
                where=f"openstack:images:mirrors:{kind}",
                hint="Configure apt (auth.conf.d) or pip on the builder instead; builds use what it uses",
            )
    if "base" in images and not _DIGEST.fullmatch(images["base"]):
        raise SalternError(
            f"'{images['base']}' has no digest, so it could mean another image tomorrow",
            where="openstack:images:base",
            hint="Write name@sha256:…; `docker pull` prints the digest of what a tag means now",
        )
    chosen = {key: images[key] for key in _KEYS if key in images}
    return Options(release=str(release or tree.get("release") or RELEASE), **chosen)


# keys of the pillar that are taken as they are
_KEYS = (
    "namespace", "prefix", "tag", "registry", "type", "distro", "suite", "base",
    "mirrors", "network", "parallel", "builder", "profiles",
    "folders", "custom",
)  # fmt: skip
