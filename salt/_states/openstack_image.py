"""State form of images on a host: there, or gone. Nothing is built here: ``salt-run openstack.build``."""

from salt.exceptions import CommandExecutionError

from saltern.contract.names import missing_hint


def present(name, images=None):
    """
    Images are on this host. A missing one is an error that names the command which makes it.

    name
        Reference of an image; any text when ``images`` is given.

    images : None
        Several references.

    .. code-block:: yaml

        saltern/keystone:2025.2:
          openstack_image.present: []
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    wanted = list(images or [name])
    try:
        found = __salt__["openstack_image.present"](wanted)
    except CommandExecutionError as exc:
        return ret | {"result": False, "comment": str(exc)}
    missing = [reference for reference in wanted if not found[reference]]
    if missing:
        return ret | {"result": False, "comment": f"Not on this host: {', '.join(missing)}. {missing_hint(missing)}"}
    return ret | {"comment": f"{len(wanted)} image{'s are' if len(wanted) != 1 else ' is'} here"}


def absent(name):
    """
    An image is not on this host.

    name
        Its reference.

    .. code-block:: yaml

        saltern/keystone:2024.1:
          openstack_image.absent: []
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": "It is not here"}
    try:
        image_id = __salt__["openstack_image.present"]([name])[name]
        if image_id is None:
            return ret
        ret["changes"] = {name: {"old": image_id, "new": None}}
        if __opts__["test"]:
            return ret | {"result": None, "comment": "It would be removed"}
        __salt__["openstack_image.remove"](name)
    except CommandExecutionError as exc:
        return ret | {"result": False, "changes": {}, "comment": str(exc)}
    return ret | {"comment": "Removed"}
