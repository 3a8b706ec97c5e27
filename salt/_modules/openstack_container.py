"""Containers of the cloud on this host: compare and converge them, heal them, look at them.

.. code-block:: bash

    salt '*' openstack_container.list
"""

import time

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import compare as comparison
from saltern.host import converge as converging
from saltern.host import explicit, lock, report, run_guard
from saltern.host import heal as healing
from saltern.host.context import Host
from saltern.host.engine import API_VERSION, Engine
from saltern.host.store import Shelf, Store

__func_alias__ = {"list_": "list"}

# Listed once in a job; the toolbox's comparing state needs the same images (docs/interfaces.md, section 6).
IMAGES = "saltern_images"


def compare(mode="deploy", containers=None):
    """
    Compare this host's containers with the model; changes nothing.

    mode : deploy
        deploy, reconfigure, start, stop or destroy.

    containers : None
        Names; None = all, and those of the cloud that the model does not know.

    Returns ``{"containers": {name: {"action", "reasons", "files"}}, "host", "seconds"}``. Raises CommandExecutionError
    without a valid model or an engine, or when an image is not on this host.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.compare
    """

    def work(host, part):
        found = comparison.compare(host, part["containers"], mode=mode, names=containers)
        __context__[IMAGES] = {"at": time.monotonic(), "images": host.images}
        return found

    return _with_model(work, test=True)


def converge(containers=None, mode="deploy", volumes=False):
    """
    Bring this host's containers to what the model says.

    containers : None
        Names; None = all, and those of the cloud that the model does not know are removed.

    mode : deploy
        deploy; reconfigure (images stay as they run, nothing is created); start; stop; destroy.

    volumes : False
        With destroy: remove the containers' volumes and the data in them too.

    Returns changes by container, without those that are as wanted; one that failed has ``failure``. Raises
    CommandExecutionError, before anything is changed, without a valid model, when the run that asked is closed, when an
    image is not on this host or the engine does not answer.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.converge containers='[keystone]'
    """

    def work(host, part):
        _remember_heal(host, part)
        return converging.converge(host, part["containers"], mode=mode, names=containers, volumes=bool(volumes))

    return _with_model(work)


def ensure(name, image, arguments=None, test=False):
    """
    Run one container that is not of the model.

    name
        Name of the container.

    image
        Reference or id of an image on this host.

    arguments : None
        Further fields of a container's spec (docs/interfaces.md, section 4); ``layout: kolla`` for an image that Kolla
        built (docs/contract.md).

    test : False
        Only say what would be done.

    Returns changes by container, empty when it is as wanted. Raises CommandExecutionError for arguments that are none
    and as :py:func:`converge`.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.ensure my_cache saltern/memcached:2025.2 arguments='{"uid": 42457}'
    """

    def work(host):
        spec = explicit.spec(name, image, dict(arguments or {}), cloud=host.cloud)
        return _one(host, [spec], name, "deploy", test)

    return _with_host(work)


def remove(name, volumes=False, test=False):
    """
    Remove one container, what is committed for it and its configuration.

    name
        Name of the container.

    volumes : False
        Remove its volumes and the data in them too.

    test : False
        Only say what would be done.

    Returns changes by container, empty when it is absent. Raises CommandExecutionError when the engine does not answer.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.remove my_cache
    """
    return _with_host(lambda host: _one(host, [], name, "destroy", test, bool(volumes)))


def heal(name, order=None, event=None, dry_run=False, started=None):
    """
    Heal one container from what is committed on this host, if it needs that and nothing speaks against it.

    name
        Name of the container.

    order : None
        Id of the order, for the record.

    event : None
        Id of the failure that led to it, for the record.

    dry_run : False
        Only say what would be done.

    started : None
        When the process that was found unhealthy had started, as Docker writes it: it gets no more time to start.

    Returns ``{"result": "healed|nothing|held|refused|failed", "why", "seconds", "order", "event"}``.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.heal keystone
    """
    outcome = _with_host(
        lambda host: healing.heal(host, name, dry_run=bool(dry_run), ordered=bool(order), started=started)
    )
    return {**outcome, "order": order, "event": event}


def hold(name, until, why="", order=None):
    """
    Do not heal a container before a time.

    name
        Name of the container.

    until
        Epoch seconds; a time that is past lifts the hold.

    why : ''
        A sentence for whoever asks.

    order : None
        Id of the master's order; its order to heal overrides such a hold, an operator's it does not.

    Returns ``{"until", "why", "held"}``. Raises CommandExecutionError when it cannot be written down.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.hold keystone 1795000000 why='maintenance of the database'
    """
    return _with_host(lambda host: healing.hold(host, name, float(until), str(why), order))


def heal_reset(name):
    """
    Forget that a container is in a crash loop or on hold, so that it is healed again.

    name
        Name of the container.

    Returns ``True``. Raises CommandExecutionError when it cannot be written down.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.heal_reset keystone
    """

    def work(host):
        host.store.holds.drop(name)
        # The health engine has the count in memory; it takes this up and drops it.
        Shelf(host.store.health.directory / "resets").put(name, {"at": host.now()})
        return True

    return _with_host(work)


def list_():
    """
    The cloud's containers on this host.

    Returns ``{name: {"state", "health", "image", "spec", "restarts", "started", "service"}}``. Raises
    CommandExecutionError when the engine does not answer.

    CLI Example:

    .. code-block:: bash

        salt '*' openstack_container.list
    """
    return _with_host(report.containers)


def logs(name, lines=20):
    """
    The last log lines of a container, without secrets.

    name
        Name of the container.

    lines : 20
        How many.

    Returns a list of lines. Raises CommandExecutionError when there is no such container or no engine.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_container.logs keystone lines=50
    """
    return _with_host(lambda host: [host.mask(line) for line in host.engine.logs(name, int(lines))])


def status():
    """
    How this host is: its containers with health, back-off and what is committed, memory and disk in bytes, and what it
    was found to be (datapath of Open vSwitch, acceleration of instances).

    Returns ``{"host", "containers", "memory", "disk", "facts"}``. Raises CommandExecutionError when the engine does not
    answer.

    CLI Example:

    .. code-block:: bash

        salt '*' openstack_container.status
    """
    return _with_host(report.status)


def snapshot():
    """
    The few fields of each committed container that the health engine reports to the master.

    Returns ``{"boot_id", "seq", "containers": {name: {"state", "healthy", "restarts", "spec"}}}``; ``seq`` is 0, as
    this is no part of the engine's sequence. Raises CommandExecutionError when the engine does not answer.

    CLI Example:

    .. code-block:: bash

        salt '*' openstack_container.snapshot
    """
    return _with_host(lambda host: report.snapshot(host, boot_id=lock.boot_id(), seq=0))


def _one(host, wanted, name, mode, test, volumes=False):
    if not test:
        return converging.converge(host, wanted, mode=mode, names=[name], volumes=volumes)
    found = comparison.compare(host, wanted, mode=mode, names=[name])["containers"]
    return {key: change for key, change in found.items() if change["action"] != "none"}


def _with_model(work, test=False):
    """Call ``work(host, slice)`` when the model is valid and the run is open."""
    try:
        part = run_guard.admitted(__pillar__, test=test)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None
    return _with_host(lambda host: work(host, part))


def _with_host(work):
    """Call ``work(host)``; the library's errors become Salt's."""
    part = __pillar__.get("saltern") or {}
    try:
        url = __opts__.get("saltern_docker_url", DOCKER_URL)
        with Engine(url, version=str(__opts__.get("saltern_docker_api", API_VERSION))) as engine:
            host = Host(
                engine=engine,
                store=Store(__opts__.get("saltern_root", HOST_ROOT)),
                name=part.get("host") or __opts__.get("id", ""),
                cloud=part.get("cloud") or "saltern",
                model=part.get("model", ""),
                secrets=tuple(part.get("secrets") or ()),
            )
            return work(host)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None


def _remember_heal(host, part):
    """The health engine reads its settings from disk, as it must work without a master."""
    if part.get("heal") is not None and host.store.health.get("settings") != part["heal"]:
        host.store.health.put("settings", part["heal"])
