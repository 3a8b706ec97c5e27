"""What an operator chooses about images (``openstack:images`` of the pillar), with complete defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import image_reference

RELEASE = "2025.2"
SUITES = {"debian": "trixie"}


@dataclass(frozen=True)
class Options:
    """Names, release and surroundings of a build.

    release
        OpenStack release whose locks are used; also the tag unless ``tag`` is set.
    mirrors
        ``{"apt": …, "pypi": …}``; what is absent comes from the builder's own configuration.
    network
        Network of RUN steps; ``host`` is right where the host's MTU is below the bridge's.
    parallel
        Builds at once.
    builder
        Minion that builds; None = the first with the role.
    """

    release: str = RELEASE
    namespace: str = "saltern"
    prefix: str = ""
    tag: str = ""
    registry: str = ""
    distro: str = "debian"
    suite: str = SUITES["debian"]
    mirrors: Mapping[str, Any] = field(default_factory=dict)
    network: str = "host"
    parallel: int = 2
    builder: str | None = None

    def reference(self, name: str) -> str:
        """Name and tag of an image."""
        return image_reference(
            name, tag=self.tag or self.release, namespace=self.namespace, prefix=self.prefix, registry=self.registry
        )


def options_from(tree: Mapping[str, Any], *, release: str | None = None) -> Options:
    """Options out of the operator's ``openstack`` tree; keys that are absent or null keep their defaults.

    tree
        The pillar below ``openstack:`` (or the plan's copy of what concerns images).
    release
        Build for this release instead of the pillar's.

    Raises SalternError for a mirror's address that holds a password.
    """
    images = {key: value for key, value in (tree.get("images") or {}).items() if value is not None}
    known = ("namespace", "prefix", "tag", "registry", "distro", "mirrors", "network", "parallel", "builder")
    chosen = {key: images[key] for key in known if key in images}
    if release:
        chosen.pop("tag", None)
    for kind, address in (chosen.get("mirrors") or {}).items():
        if "@" in str(address):
            raise SalternError(
                "an address with a password would travel in jobs and events",
                where=f"openstack:images:mirrors:{kind}",
                hint="Configure apt (auth.conf.d) or pip on the builder instead; builds use what it uses",
            )
    suite = images.get("suite") or SUITES.get(chosen.get("distro", "debian"), SUITES["debian"])
    return Options(release=str(release or tree.get("release") or RELEASE), suite=suite, **chosen)
