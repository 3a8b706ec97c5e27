"""Databases, jobs and identity of the cloud, as steps of a run on the toolbox host.

.. code-block:: yaml

    Databases and jobs of keystone:
      openstack_toolbox.prepared:
        - service: keystone
"""

from salt.exceptions import CommandExecutionError

from saltern.host import batch


def compared(name):
    """
    Everything that the toolbox looks after has been compared with the model; ``changes`` says what is due, by service.

    Never writes, so it is the same in test mode.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        Databases, jobs and identity:
          openstack_toolbox.compared
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        found = __salt__["openstack_toolbox.compare"]()
    except CommandExecutionError as error:
        return {**ret, "result": False, "comment": str(error)}
    due = found["services"]
    comment = f"Due for {', '.join(sorted(due))}" if due else "As the model says"
    result = None if due and __opts__["test"] else True
    return {**ret, "result": result, "changes": due, "comment": "\n".join([comment, *found["errors"]])}


def prepared(name, service):
    """
    A service's databases and its users in Keystone are there, and its jobs that go before its start have succeeded.

    name
        Any name; it is what the output shows.

    service
        Name of the service.

    .. code-block:: yaml

        Databases and jobs of keystone:
          openstack_toolbox.prepared:
            - service: keystone
    """
    return _put_right(name, service, "prepare", batch.before_start)


def registered(name, service):
    """
    All of a service is in Keystone, above all its endpoints, and its jobs that go after its start have succeeded.

    name
        Any name; it is what the output shows.

    service
        Name of the service.

    .. code-block:: yaml

        Identity of glance:
          openstack_toolbox.registered:
            - service: glance
    """
    return _put_right(name, service, "register", _after_start)


def _after_start(due):
    return {key: found for key, found in due.items() if found and key != "database"}


def _put_right(name, service, verb, part_of):
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        if not __opts__["test"]:
            changes = __salt__[f"openstack_toolbox.{verb}"](service)
            return {**ret, "changes": changes, "comment": "Put right" if changes else "As the model says"}
        found = __salt__["openstack_toolbox.compare"]()["services"].get(service, {})
    except CommandExecutionError as error:
        return {**ret, "result": False, "comment": str(error)}
    due = part_of(found)
    return {**ret, "result": None if due else True, "changes": due, "comment": "Due" if due else "As the model says"}
