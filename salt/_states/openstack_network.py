"""The bridges of this host, as the model says."""

from salt.exceptions import CommandExecutionError


def present(name):
    """
    This host's bridges of Open vSwitch are there, with the uplinks, MTUs and addresses that the model gives them.

    Refuses an uplink that the host itself lives on, and takes one off again that cuts it off from its master.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        Bridges are as the model says:
          openstack_network.present: []
    """
    test = bool(__opts__["test"])
    try:
        changes = __salt__["openstack_network.compare" if test else "openstack_network.present"]()
    except CommandExecutionError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    lines = [f"{what}: {change['current']} → {change['desired']}" for what, change in changes.items()]
    result = None if test and changes else True
    return {"name": name, "result": result, "changes": changes, "comment": "\n".join(lines) or "As the model says"}
