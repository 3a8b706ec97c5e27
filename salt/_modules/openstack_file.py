"""An operator's own files for own containers, below Saltern's state root on this host.

.. code-block:: bash

    salt ctl1 openstack_file.path my_cache/cache.conf
"""

import pathlib

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host import ownfiles


def path(name):
    """
    Where a file lies on this host, to be mounted.

    name
        Path below the directory of own files.

    Returns the absolute path. Raises CommandExecutionError for a name that leaves that directory.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_file.path my_cache/cache.conf
    """
    return str(_translated(ownfiles.path_of, _root(), name))


def write(name, contents, uid=0, gid=0, mode="0600", show_diff=True, test=False):
    """
    Write a file, where it differs.

    name
        Path below the directory of own files.

    contents
        Its whole text.

    uid : 0
        Owner, a number, as the container knows it.

    gid : 0
        Group, a number.

    mode : 0600
        Octal text.

    show_diff : True
        Return the new lines (secrets of the model masked).

    test : False
        Only say what would be changed.

    Returns ``{"diff": [lines], "owner": text, "mode": text}`` with what differed only. Raises CommandExecutionError
    when the disk does not take it.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_file.write my_cache/cache.conf 'size = 64' uid=42457 mode=0400
    """

    def work():
        try:
            bits = int(str(mode), 8)
        except ValueError:
            raise SalternError(f"mode {mode!r} is not an octal number such as 0640", where=name) from None
        wanted = ownfiles.OwnFile(name, contents, int(uid), int(gid), bits)
        secrets = (__pillar__.get("saltern") or {}).get("secrets") or ()
        changes = ownfiles.compare(_root(), wanted, secrets, show=bool(show_diff))
        if changes and not test:
            ownfiles.write(_root(), wanted)
        return changes

    return _translated(work)


def remove(name, test=False):
    """
    Remove a file.

    name
        Path below the directory of own files.

    test : False
        Only say whether it would be removed.

    Returns whether there was one. Raises CommandExecutionError when it cannot be removed.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_file.remove my_cache/cache.conf
    """
    if test:
        return _translated(ownfiles.path_of, _root(), name).exists()
    return _translated(ownfiles.remove, _root(), name)


def _root():
    return pathlib.Path(__opts__.get("saltern_root", HOST_ROOT))


def _translated(function, *args):
    try:
        return function(*args)
    except SalternError as error:
        raise CommandExecutionError(str(error)) from None
