"""Databases, jobs and identity of the cloud, from the toolbox host (the first host with the role ``control``).

.. code-block:: bash

    salt ctl1 openstack_toolbox.compare
"""

import time

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.host import batch
from saltern.host.engine import image_ids
from saltern.host.opened import opened

# The converging state of the same run has just listed the images; one listing serves both.
IMAGES = "saltern_images"
FRESH = 10.0


def compare():
    """
    Compare the databases, jobs and identity of all services with the model: one exec in the toolbox; writes nothing.

    Returns ``{"services": {name: {"database": [change], "identity": [change], "jobs_due": [name]}}, "errors": [text]}``
    with the services only for which something is due. Raises CommandExecutionError without a valid model or engine.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_toolbox.compare
    """
    return _with_host(lambda host, part: batch.compare(host, part, _images(host)), test=True)


def prepare(service):
    """
    Put the databases of a service and its users in Keystone right, then run its jobs that go before its start.

    service
        Name of the service.

    Returns the changes: ``{"database": [change], "jobs": [{"name", "seconds"}]}``, empty when there were none. Raises
    CommandExecutionError when the run is closed, the toolbox or a job fails.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_toolbox.prepare keystone
    """
    return _with_host(lambda host, part: batch.prepare(host, part, _images(host), service, _holder(part)))


def register(service):
    """
    Put all of a service in Keystone right, above all its endpoints, then run its jobs that go after its start.

    service
        Name of the service.

    Returns the changes: ``{"identity": [change], "jobs": [{"name", "seconds"}]}``, empty when there were none. Raises
    CommandExecutionError when the run is closed, the toolbox or a job fails.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_toolbox.register glance
    """
    return _with_host(lambda host, part: batch.register(host, part, _images(host), service, _holder(part)))


def run_job(service, job, force=False):
    """
    Run one job of a service unless its success is recorded for the present image and input.

    service
        Name of the service.

    job
        Name of the job.

    force : False
        Run it all the same.

    Returns ``{"name", "result": "ran" | "done", "seconds"}``. Raises CommandExecutionError when the run is closed, the
    job is unknown, fails, or is held by another host.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_toolbox.run_job keystone db_sync force=True
    """

    def work(host, part):
        return batch.run_job(host, part, _images(host), service, job, _holder(part), force=bool(force))

    return _with_host(work)


def _with_host(work, test=False):
    """Call ``work(host, slice)`` when the model and the run allow it; the library's errors become Salt's."""
    try:
        with opened(__pillar__, __opts__, test=test) as (host, part):
            return work(host, part)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None


def _images(host):
    """Image ids by reference; what a state of this run listed a moment ago counts."""
    known = __context__.get(IMAGES)
    if not known or time.monotonic() - known["at"] > FRESH:
        known = {"at": time.monotonic(), "images": host.engine.images()}
    return image_ids(known["images"])


def _holder(part):
    run = (__pillar__.get("saltern_step") or {}).get("run")
    return f"{part['host']}/{run or 'by-hand'}"
