"""Bridges of Open vSwitch on this host: compare them with the model, make them.

.. code-block:: bash

    salt '*' openstack_network.compare
"""

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host import bridges, cutguard, run_guard
from saltern.host.links import Links


def compare():
    """
    Compare this host's bridges, uplinks and addresses with the model; changes nothing.

    Returns ``{what: {"kind": "network", "current", "desired", "containers"}}``, empty where nothing differs or no Open
    vSwitch is to run. Raises CommandExecutionError without a valid model or where the host's interfaces cannot be read.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_network.compare
    """
    return _with_model(bridges.compare, test=True)


def present():
    """
    Make this host's bridges as the model says: their datapath, uplinks, MTU and addresses.

    An uplink that the host itself lives on is refused; one that cuts it off from its master or its gateway is taken off
    again within seconds. What Saltern did not put on a bridge stays there.

    Returns as :py:func:`compare`, what was changed. Raises CommandExecutionError without a valid model, when the run
    that asked is closed, when Open vSwitch does not answer, and for an uplink that was refused or taken off again.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_network.present
    """
    return _with_model(bridges.present)


def _with_model(work, test=False):
    links = Links()
    world = bridges.World(
        root=__opts__.get("saltern_root", HOST_ROOT),
        links=links,
        witnesses=lambda: cutguard.witnesses(__opts__, links),
    )
    try:
        return work(run_guard.admitted(__pillar__, test=test), world)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None
