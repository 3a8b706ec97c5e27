"""
Images between this host and a registry: functions of ``openstack_image``.

Credentials are in this host's slice of the pillar, never arguments of a job:

.. code-block:: bash

    salt builder openstack_image.push '[registry.local:5000/saltern/keystone:2025.2]'
"""

import pathlib

import salt.pillar
from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.contract.masking import mask
from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import registry
from saltern.host.engine import Engine

__virtualname__ = "openstack_image"  # Salt puts the functions of this file beside those of openstack_image.py


def __virtual__():
    """Always there."""
    return __virtualname__


def push(references, model=None):
    """
    Push images of this host.

    references
        Names with tags; each names its registry.

    model : None
        Digest of the compiled model whose credentials count; None = the one of this minion's last pillar refresh.

    Returns reference → ``{"digest", "layers_pushed"}``. Raises CommandExecutionError at the first that cannot be
    pushed: what was pushed before it stays, and is skipped by the next push.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.push '[registry.local:5000/saltern/keystone:2025.2]'
    """
    return _each(references, model, registry.push)


def pull(references, model=None):
    """
    Pull images to this host, by their tags.

    references
        Names with tags; each names its registry.

    model : None
        As for ``openstack_image.push``.

    Returns reference → ``{"id", "digest"}``. Raises CommandExecutionError at the first that cannot be pulled.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.pull '[registry.local:5000/saltern/keystone:2025.2]'
    """
    return _each(references, model, lambda *args: registry.pull(*args, locks=_root() / "locks"))


def _each(references, model, transfer):
    slice_ = _slice(model)
    access = registry.access_from(slice_)
    try:
        registry.trust(access)
        with Engine(_url(), timeout=600) as engine:
            return {reference: transfer(engine, reference, access) for reference in references}
    except SalternError as exc:
        raise CommandExecutionError(mask(str(exc), slice_.get("secrets") or ()))


def _slice(model):
    """This host's slice of a model; empty where there is none (a builder before there is a model)."""
    known = __pillar__.get("saltern") or {}
    if model and known.get("model") != model:
        override = {"saltern_step": {"model": model}}
        asked = salt.pillar.get_pillar(
            __opts__, __grains__, __opts__["id"], __opts__.get("saltenv"), pillar_override=override
        )
        known = asked.compile_pillar().get("saltern") or {}
    return known


def _url():
    return __opts__.get("saltern_docker_url", DOCKER_URL)


def _root():
    return pathlib.Path(__opts__.get("saltern_root", HOST_ROOT))
