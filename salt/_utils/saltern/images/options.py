"""What an operator chooses about images (``openstack:images`` of the pillar), with complete defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import image_reference, image_tag

RELEASE = "2025.2"
SUITES = {"debian": "trixie"}
TYPES = ("source", "binary")
DISTROS = ("debian", "ubuntu", "centos", "rocky", "oraclelinux", "fedora", "rhel")


@dataclass(frozen=True)
class Options:
    """Names, release and surroundings of a build.

    release
        OpenStack release whose locks are used; also the tag unless ``tag`` is set, see
        `saltern.contract.names.image_tag`.
    type, distro, suite
        Install type, distribution inside the images, its suite (empty for a distribution that has no default here).
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
    """

    release: str = RELEASE
    namespace: str = "saltern"
    prefix: str = ""
    tag: str = ""
    registry: str = ""
    type: str = "source"
    distro: str = "debian"
    suite: str = SUITES["debian"]
    mirrors: Mapping[str, Any] = field(default_factory=dict)
    network: str = "host"
    parallel: int = 2
    builder: str | None = None
    profiles: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
        distribution, its suite and its mirrors for packages.

    Raises SalternError for a type or distribution that is none, and for a mirror's address that holds a password.
    """
    images = {key: value for key, value in (tree.get("images") or {}).items() if value is not None}
    if distro and distro != images.get("distro", "debian"):
        images = {key: value for key, value in images.items() if key != "suite"}
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
    suite = images.get("suite") or SUITES.get(images.get("distro", "debian"), "")
    chosen = {key: images[key] for key in _KEYS if key in images}
    return Options(release=str(release or tree.get("release") or RELEASE), suite=suite, **chosen)


# keys of the pillar that are taken as they are
_KEYS = (
    "namespace", "prefix", "tag", "registry", "type", "distro", "mirrors", "network", "parallel", "builder", "profiles",
)  # fmt: skip
