"""What a host must have for its containers: settings of its kernel, as their ``service.yaml`` says under ``host:``."""

from salt.exceptions import CommandExecutionError


def prepared(name, containers=None):
    """
    This host has what containers need of it: sysctls, set now and in ``/etc/sysctl.d/60-saltern.conf``.

    name
        Any name; it is what the output shows.

    containers : None
        Names; None = all of the model's on this host.

    .. code-block:: yaml

        The host has what its containers need:
          openstack_host.prepared:
            - containers: [neutron_l3_agent]
    """
    test = bool(__opts__["test"])
    try:
        changes = __salt__["openstack_host.compare" if test else "openstack_host.prepare"](containers=containers)
    except CommandExecutionError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    lines = [f"{what}: {change['current']} → {change['desired']}" for what, change in changes.items()]
    result = None if test and changes else True
    return {"name": name, "result": result, "changes": changes, "comment": "\n".join(lines) or "As its containers need"}
