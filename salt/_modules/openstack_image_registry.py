"""
Images between this host and a registry: functions of ``openstack_image``.

Credentials are in this host's slice of the pillar, never arguments of a job:

.. code-block:: bash

    salt builder openstack_image.push '[registry.local:5000/saltern/keystone:2025.2]'
"""

import functools
import pathlib
import time

import salt.pillar
from salt.exceptions import CommandExecutionError

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.contract.masking import mask, mask_tree
from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import fetch as fetching
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


def fetch(wanted, model=None):
    """
    Pull those of several images that this host lacks, a few at once.

    wanted
        Reference → ``{"id", "digest"}`` as far as they are known: then this very image is pulled.

    model : None
        As for ``openstack_image.push``.

    Fires ``openstack/pull/<host>``, at most twice a second and when an image is done. Returns reference →
    ``{"result": "pulled" | "there" | "failed", "id", "digest", "seconds"}``, a failed one with ``error`` and ``hint``.
    Raises CommandExecutionError when the engine does not answer.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.fetch '{registry.local:5000/saltern/keystone:2025.2: {}}'
    """
    slice_ = _slice(model)
    secrets = slice_.get("secrets") or ()
    access = registry.access_from(slice_)
    try:
        registry.trust(access)
        found = fetching.fetch(_connect(), wanted, access, locks=_root() / "locks", send=_send(slice_))
    except SalternError as exc:
        raise CommandExecutionError(mask(str(exc), secrets))
    if any(each["result"] == "failed" for each in found.values()):
        __context__["retcode"] = 1
    return mask_tree(found, secrets)


def resolve(references, model=None):
    """
    Which manifests tags mean in the registry now.

    references
        Names with tags; each names its registry.

    model : None
        As for ``openstack_image.push``.

    Returns reference → digest, without those that the registry does not tell. Raises CommandExecutionError when the
    registry's certificates cannot be written.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.resolve '[registry.local:5000/saltern/keystone:2025.2]'
    """
    access = registry.access_from(_slice(model))
    try:
        registry.trust(access)
        with _connect()() as engine:
            return fetching.resolve(engine, list(references), access)
    except SalternError as exc:
        raise CommandExecutionError(str(exc))


def _each(references, model, transfer):
    slice_ = _slice(model)
    access = registry.access_from(slice_)
    try:
        registry.trust(access)
        with _connect()() as engine:
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


def _connect():
    """Opens clients, in threads too, where Salt's dunders are not bound."""
    return functools.partial(Engine, __opts__.get("saltern_docker_url", DOCKER_URL), timeout=600)


def _send(slice_):
    """What sends progress, from threads too."""
    send, host, cloud = __salt__["event.send"], __opts__["id"], slice_.get("cloud", "")

    def report(data):
        send(events.pull_tag(host), events.stamped(cloud, time.time(), host=host, **data))

    return report


def _root():
    return pathlib.Path(__opts__.get("saltern_root", HOST_ROOT))
