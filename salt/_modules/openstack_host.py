"""What this host must have for its containers: settings of its kernel.

.. code-block:: bash

    salt ctl1 openstack_host.compare
"""

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.host import hostprep, run_guard


def compare(containers=None):
    """
    Which settings of this host differ from what its containers need; changes nothing, asks the engine nothing.

    containers : None
        Names; None = all of the model's.

    Returns ``{"sysctl <name>": {"kind", "current", "desired", "containers"}}``. Raises CommandExecutionError without a
    valid model, and for a setting that this kernel does not have.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_host.compare
    """
    return _with_model(hostprep.compare, containers, test=True)


def prepare(containers=None):
    """
    Set what containers need of this host, now and for the next boot (``/etc/sysctl.d/60-saltern.conf``).

    containers : None
        Names; None = all of the model's.

    Returns what it changed, as :py:func:`compare`. Raises CommandExecutionError also when the run that asked is closed,
    and when the kernel or the disk refuses.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_host.prepare containers='[neutron_l3_agent]'
    """
    return _with_model(hostprep.prepare, containers, test=False)


def _with_model(work, containers, test):
    try:
        part = run_guard.admitted(__pillar__, test=test)
        return work(part["containers"], containers)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None
