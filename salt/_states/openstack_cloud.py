"""The first things in a cloud, as states of the toolbox host (the first host with the role ``control``).

.. code-block:: yaml

    The first cloud is there:
      openstack_cloud.present: []
"""

from salt.exceptions import CommandExecutionError

from saltern.host.first_cloud import knows_its_name


def present(name):
    """
    Flavors, image, networks, router, security group, key pair and one instance with a floating address are there, as
    ``openstack:first_cloud`` and ``openstack:networks:external`` say.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        The first cloud is there:
          openstack_cloud.present: []
    """
    return _put_right(name, remove=False)


def absent(name):
    """
    What :func:`present` made is gone, and nothing else.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        The first cloud is gone:
          openstack_cloud.absent: []
    """
    return _put_right(name, remove=True)


def answers(name, address=None, seconds=120):
    """
    An instance answers an ICMP echo and greets on port 22.

    name
        Any name; it is what the output shows.

    address : None
        Its IPv4 address; by default the floating address of the first cloud's instance.

    seconds : 120
        How long to wait for it.

    .. code-block:: yaml

        The instance answers:
          openstack_cloud.answers:
            - address: 172.29.0.105
    """
    ret, instance = {"name": name, "result": True, "changes": {}, "comment": ""}, {}
    try:
        if not address:
            instance = __salt__["openstack_cloud.first"](dry_run=True)["instance"] or {}
            address = instance.get("floating")
        if not address:
            return {**ret, "comment": "The instance has no floating address to ask"}
        if __opts__["test"]:
            return {**ret, "result": None, "comment": f"{address} would be asked"}
        found = __salt__["openstack_cloud.answers"](address, seconds, instance.get("name") or "")
    except CommandExecutionError as error:
        return {**ret, "result": False, "comment": str(error)}
    named = knows_its_name(found["banner"] or "", instance.get("name") or "")
    comment = _reached(address, found, seconds)
    if found["banner"] and not named:
        comment += f"; it does not know its name after {seconds:g} s: the metadata service has not told it"
    return {**ret, "result": found["banner"] is not None and named, "comment": comment}


def _put_right(name, remove):
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    test = bool(__opts__["test"])
    try:
        found = __salt__["openstack_cloud.first"](remove=remove, dry_run=test)
    except CommandExecutionError as error:
        return {**ret, "result": False, "comment": str(error)}
    ret["changes"] = {f"{entry['kind']} {entry['name']}": _what(entry) for entry in found["changes"]}
    ret["comment"] = "\n".join([*found["errors"], *found["notes"], *_instance(found["instance"])]) or "Nothing to do"
    if found["errors"]:
        ret["result"] = False
    elif test and found["changes"]:
        ret["result"] = None
    return ret


def _what(entry):
    return f"{entry['what']} ({entry['field']})" if entry.get("field") else entry["what"]


def _instance(found):
    if not found:
        return []
    where = f" on {found['host']}" if found["host"] else ""
    addresses = ", ".join(address for address in (found["fixed"], found["floating"]) if address)
    return [f"instance {found['name']} {found['status']}{where}: {addresses or 'no address'}"]


def _reached(address, found, seconds):
    if found["ping"] is None:
        return f"{address} answers no ping within {seconds:g} s"
    ping = f"{address} answers a ping ({found['ping'] * 1000:.1f} ms, after {found['ping_after']:.1f} s)"
    if found["banner"] is None:
        return f"{ping}, but port 22 says nothing within {seconds:g} s"
    return f'{ping} and greets "{found["banner"]}" (after {found["banner_after"]:.1f} s)'
