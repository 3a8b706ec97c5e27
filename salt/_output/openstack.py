"""
Show the answers of ``salt-run openstack.<verb>`` to a person.

The text itself is made by ``saltern.terminal``; this outputter only finds out how wide the terminal is and whether it
may use colours. ``--out=json`` and every other outputter of Salt show the same answer as data.
"""

import pathlib
import shutil
import sys

try:
    from saltern import terminal
except ImportError:  # Salt's loader gives outputters no path to shared code: it lies beside this file's directory
    for _name in ("_utils", "utils"):
        sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / _name))
    from saltern import terminal

__virtualname__ = "openstack"


def __virtual__():
    """Always there."""
    return __virtualname__


def output(data, **kwargs):
    """
    Text for a person.

    data
        The answer of a verb: ``kind`` names its renderer. Anything else is shown as JSON.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.status --out=openstack
    """
    if not isinstance(data, dict):
        return str(data)
    width = shutil.get_terminal_size((terminal.WIDTH, 24)).columns if sys.stdout.isatty() else terminal.WIDTH
    return terminal.render(data, width=width, colour=bool(__opts__.get("color")) and sys.stdout.isatty())
