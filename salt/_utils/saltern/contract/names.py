"""Names that more than one room uses: labels, tags of images, paths below the state roots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LABEL_CLOUD = "saltern.cloud"
LABEL_SERVICE = "saltern.service"
LABEL_CONTAINER = "saltern.container"
LABEL_SPEC = "saltern.spec"
LABEL_RESTART = "saltern.restart"
LABEL_JOB = "saltern.job"
LABEL_OWN = "saltern.own"  # not of the model: an operator's own, made by openstack_container.running with arguments
LABEL_IMAGE = "saltern.image"
LABEL_INPUTS = "saltern.inputs"
LABEL_RELEASE = "saltern.release"

NEXT = "--next"
FORMER = "--former"

# Names of documents about every container of a host, which no container can have.
HOLD_ALL = "_all"
RESET_ALL = "_every"

HOST_ROOT = Path("/var/lib/saltern")
MASTER_ROOT = Path("/var/lib/saltern/master")
DOCKER_URL = "unix:///var/run/docker.sock"

CONTAINER_NAME = re.compile(r"[a-z][a-z0-9_]*(--[a-z0-9_]+)?")
IMAGE_NAME = re.compile(r"[a-z][a-z0-9-]*")


def image_reference(name: str, *, tag: str, namespace: str = "saltern", prefix: str = "", registry: str = "") -> str:
    """``{registry/}{namespace}/{prefix}{name}:{tag}``.

    >>> image_reference("glance-api", tag="2025.2")
    'saltern/glance-api:2025.2'
    """
    path = "/".join(part for part in (registry, namespace, f"{prefix}{name}") if part)
    return f"{path}:{tag}"


def image_tag(release: str, distro: str = "debian", type: str = "source") -> str:
    """The tag of images where the operator names none: the release, and what differs from the usual.

    release
        OpenStack release.
    distro
        Distribution inside the images.
    type
        Install type, ``source`` or ``binary``.

    >>> image_tag("2025.2"), image_tag("2025.1", "ubuntu", "binary")
    ('2025.2', '2025.1-ubuntu-binary')
    """
    unusual = [value for value, usual in ((distro, "debian"), (type, "source")) if value != usual]
    return "-".join([release, *unusual])


def registry_of(reference: str) -> str:
    """The registry that a reference names, empty when it names none.

    >>> registry_of("registry.local:5000/saltern/keystone:2025.2"), registry_of("saltern/keystone:2025.2")
    ('registry.local:5000', '')
    """
    first, slash, _ = reference.partition("/")
    return first if slash and (first == "localhost" or "." in first or ":" in first) else ""


def missing_hint(references: Iterable[str]) -> str:
    """What brings images to a host that lacks them.

    >>> missing_hint(["registry.local:5000/saltern/keystone:2025.2"])
    'Fetch what is missing: salt-run openstack.pull'
    >>> missing_hint(["saltern/keystone:2025.2"])
    'Build it: salt-run openstack.build names=keystone; beside the builder: openstack.images_export, images_import'
    """
    wanted = list(references)
    if any(registry_of(reference) for reference in wanted):
        return "Fetch what is missing: salt-run openstack.pull"
    names = ",".join(reference.rpartition("/")[2].partition("@")[0].partition(":")[0] for reference in wanted)
    beside = "beside the builder: openstack.images_export, images_import"
    return f"Build it: salt-run openstack.build names={names}; {beside}"


def instance(container: str, key: str | None = None) -> str:
    """Name of a container, or of one of its instances made by ``for_each``."""
    return f"{container}_{key}" if key else container
