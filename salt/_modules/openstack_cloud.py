"""The cloud as its users see it, from the toolbox host: its agents, hypervisors and instances; the first instance.

.. code-block:: bash

    salt ctl1 openstack_cloud.overview
"""

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.host import departure, first_cloud
from saltern.host.opened import opened


def overview():
    """
    Agents, compute services, hypervisors and instances, as Neutron and Nova say; reads only.

    Returns ``{"agents", "services", "hypervisors", "instances", "errors"}`` (docs/interfaces.md, section 12); a service
    that does not answer is a text in ``errors``. Raises CommandExecutionError without a valid model, engine or toolbox.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_cloud.overview
    """
    return _with_host(first_cloud.overview, test=True)


def first(remove=False, dry_run=False):
    """
    Make the first things in the cloud (flavors, images, networks, a key pair, one instance with a floating address)
    where they are missing, or remove what was made.

    remove : False
        Remove what an earlier call made, and nothing else.

    dry_run : False
        Only say what would be changed.

    Returns ``{"changes": [{"kind", "name", "what", "field"}], "instance": {"id", "name", "fixed", "floating", "host",
    "status"} or None, "notes": [text], "errors": [text]}``. Raises CommandExecutionError without a valid model, engine
    or toolbox, and while a run is open.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_cloud.first dry_run=True
    """

    def work(host, part):
        return first_cloud.first_cloud(host, part, remove=bool(remove), dry_run=bool(dry_run))

    return _with_host(work, test=bool(dry_run))


def answers(address, seconds=120, name=""):
    """
    Wait until an instance answers an ICMP echo and greets on port 22.

    address
        Its IPv4 address.

    seconds : 120
        How long at most.

    name : (empty)
        The instance's name: the test image greets with it once it has it from the metadata service; that is awaited.

    Returns ``{"ping", "banner", "ping_after", "banner_after"}``: seconds and the greeting's first line, None where
    nothing came. Raises CommandExecutionError when this minion may not send an echo.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_cloud.answers 172.29.0.105
    """
    try:
        return first_cloud.answers(str(address), float(seconds), str(name))
    except OSError as error:
        raise CommandExecutionError(f"no echo can be sent from here: {error}") from None


def host_empty(host, move=False, reopen=False, dry_run=False, seconds=60, cold=()):
    """
    Nothing new comes to a host any more: its compute service and agents are disabled, its routers and networks go to
    other agents, and its instances, if asked for. Part of ``salt-run openstack.host_remove``, which holds the run lock.

    host
        Minion id of the host.

    move : False
        Move its instances for so many ``seconds``, live where that works, else by a cold migration.

    reopen : False
        Take the host back instead.

    dry_run : False
        Only say what would be changed.

    seconds : 60
        How long instances are moved.

    cold : ()
        Ids of instances that an earlier call could not move live.

    Returns ``{"services", "agents", "instances", "up", "elsewhere", "changes", "cold", "errors"}``. Raises
    CommandExecutionError without a valid model, engine or toolbox.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_cloud.host_empty cmp3 dry_run=True
    """
    fields = {"move": bool(move), "reopen": bool(reopen), "dry_run": bool(dry_run), "seconds": float(seconds)}
    return _with_host(
        lambda here, part: departure.empty(here, part, str(host), cold=list(cold), **fields),
        # No container of this host is touched, and the run that is open may be the very one that asks.
        test=True,
    )


def host_forget(host):
    """
    Remove what Nova, Neutron and Placement know of a host; refused while instances are on it. Part of
    ``salt-run openstack.host_remove``: a host whose containers run would be known again a moment later.

    host
        Minion id of the host.

    Returns ``{"changes", "errors"}``. Raises CommandExecutionError without a valid model, engine or toolbox.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_cloud.host_forget cmp3
    """
    return _with_host(lambda here, part: departure.forget(here, part, str(host)), test=True)


def _with_host(work, test=False):
    try:
        with opened(__pillar__, __opts__, test=test) as (host, part):
            return work(host, part)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None
