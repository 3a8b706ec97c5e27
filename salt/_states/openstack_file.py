"""An operator's own files for own containers, below Saltern's state root on this host.

.. code-block:: yaml

    my_cache/cache.conf:
      openstack_file.present:
        - contents: 'size = 64'
"""

from salt.exceptions import CommandExecutionError


def present(name, contents, uid=0, gid=0, mode="0600", show_diff=True):
    """
    A file is there with this text, owner and mode.

    name
        Path below the directory of own files (``salt ctl1 openstack_file.path my_cache/cache.conf`` shows it whole).

    contents
        Its whole text.

    uid : 0
        Owner, a number, as the container knows it.

    gid : 0
        Group, a number.

    mode : 0600
        Octal text.

    show_diff : True
        Show the new lines; secrets of the model are masked, former lines never shown.

    .. code-block:: yaml

        my_cache/cache.conf:
          openstack_file.present:
            - contents: |
                size = 64
            - uid: 42457
            - gid: 42457
            - mode: '0400'
    """
    options = {"uid": uid, "gid": gid, "mode": mode, "show_diff": show_diff, "test": bool(__opts__["test"])}
    return _state(name, lambda: __salt__["openstack_file.write"](name, contents, **options), "written")


def absent(name):
    """
    A file is not there.

    name
        Path below the directory of own files.

    .. code-block:: yaml

        my_cache/cache.conf:
          openstack_file.absent: []
    """

    def work():
        return {"removed": name} if __salt__["openstack_file.remove"](name, test=bool(__opts__["test"])) else {}

    return _state(name, work, "removed")


def _state(name, work, verb):
    try:
        changes = work()
    except CommandExecutionError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    if not changes:
        return {"name": name, "result": True, "changes": {}, "comment": "As it should be"}
    test = __opts__["test"]
    comment = f"Would be {verb}" if test else verb.capitalize()
    return {"name": name, "result": None if test else True, "changes": changes, "comment": comment}
