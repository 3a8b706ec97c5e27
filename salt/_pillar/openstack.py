"""
Give each minion its slice of the compiled model, and the master's orchestrations the plan.

One file is read, nothing is decided: worker processes of a master keep old code until it restarts, so logic here would
differ between them. Master configuration:

.. code-block:: yaml

    ext_pillar:
      - openstack: {}
"""

import fcntl
import json
import logging
import os
import re
import struct

log = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{16}")
_MINION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process


def __virtual__():
    """Always there."""
    return "openstack"


def ext_pillar(minion_id, pillar, *args, **kwargs):
    """
    The pillar of one minion: ``saltern`` (its slice), ``saltern_run`` (while a run is open); the master's own id gets
    ``saltern_plan``.

    minion_id
        Whose pillar it is. One that the model does not know gets nothing.

    pillar
        What came before, with the overrides of the job: a step names its model in ``saltern_step``.

    Never raises: an empty answer makes states refuse, and the log has the reason.

    CLI Example:

    .. code-block:: bash

        salt-run pillar.show_pillar ctl1
    """
    try:
        return _pillar(minion_id, pillar if isinstance(pillar, dict) else {})
    except Exception as exc:  # an error here would take every other pillar down with it
        log.error("No pillar of the OpenStack model for %s: %s", minion_id, type(exc).__name__)
        return {}


def _pillar(minion_id, pillar):
    if not _MINION.fullmatch(str(minion_id)):
        log.warning("No pillar of the OpenStack model: %r is no minion id", minion_id)
        return {}
    root = str(__opts__.get("saltern_state_dir") or "/var/lib/saltern/master")
    run = _open_run(root)
    digest = _digest(root, pillar, run)
    if digest is None:
        log.debug("No pillar of the OpenStack model for %s: no model is current", minion_id)
        return {}
    given = {}
    base = os.path.join(root, "compiled", digest)
    found = _read(os.path.join(base, "hosts", f"{minion_id}.json"))
    if found is not None:
        given["saltern"] = found
    if minion_id == __opts__.get("id"):  # ext_pillar sees the master's own id here
        plan = _read(os.path.join(base, "plan.json"))
        if plan is not None:
            given["saltern_plan"] = plan
    if given and run:
        given["saltern_run"] = run["run"]
    return given


def _digest(root, pillar, run):
    """The model asked for by a step, else the open run's, else the current one."""
    step = pillar.get("saltern_step")
    asked = step.get("model") if isinstance(step, dict) else None
    if asked is not None:
        return asked if isinstance(asked, str) and _DIGEST.fullmatch(asked) else None
    if run and _DIGEST.fullmatch(str(run.get("model"))):
        return run["model"]
    try:
        current = os.path.basename(os.readlink(os.path.join(root, "compiled", "current")))
    except OSError:
        return None
    return current if _DIGEST.fullmatch(current) else None


def _open_run(root):
    """The run that is open now, None when none is.

    In the process that holds the lock, the lock's file must not even be opened: closing it would drop the lock. That
    process is known by the marker beside it.
    """
    marker = _read(os.path.join(root, "run.open"))
    if not marker or not isinstance(marker.get("run"), str):
        return None
    if marker.get("pid") == os.getpid():
        return marker
    path = os.path.join(root, "run.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, request))[0]
        if kind == fcntl.F_UNLCK:
            return None
        content = os.pread(descriptor, 4096, 0)
    finally:
        os.close(descriptor)
    return _parsed(content) or None


def _read(path):
    try:
        with open(path, "rb") as file:
            return _parsed(file.read())
    except FileNotFoundError:
        return None
    except OSError as exc:
        log.warning("No pillar of the OpenStack model: %s", exc)
        return None


def _parsed(content):
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
