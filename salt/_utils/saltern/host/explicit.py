"""A container that an operator describes in an SLS of their own, as the same spec that the model gives.

It carries the label ``saltern.own``: a deploy does not remove it as unknown to the model. It is swapped, probed and
healed like any other.
"""

from __future__ import annotations

import difflib
from typing import Any

from saltern.contract.errors import SalternError
from saltern.contract.names import CONTAINER_NAME
from saltern.host import spec as specs
from saltern.host.spec import Spec

DEFAULTS: dict[str, Any] = {
    "service": "own",
    "command": None,
    "user": None,
    "uid": 0,
    "gid": 0,
    "environment": {},
    "init": True,
    "read_only": True,
    "hostname": None,
    "writable": [],
    "mounts": [],
    "capabilities": [],
    "devices": [],
    "device_rules": [],
    "security": [],
    "pid_host": False,
    "ipc_host": False,
    "cgroup_host": False,
    "limits": {},
    "restart": "engine",
    "stop_timeout": specs.STOP_TIMEOUT,
    "stop_signal": None,
    "start_timeout": specs.START_TIMEOUT,
    "healthcheck": None,
    "liveness": None,
    "readiness": None,
    "reload": None,
    "rollback": True,
    "process": None,
    "files": [],
}
RESTARTS = ("engine", "health", "none")
# What an image needs from its container, by whose layout it has. One that Kolla built writes to its root and begins as
# its user with sudo: SETUID, SETGID and AUDIT_WRITE are sudo's, the others are needed to read files that are another's
# and to place them with owner and mode.
LAYOUTS: dict[str, dict[str, Any]] = {
    "saltern": {},
    "kolla": {
        "read_only": False,
        "init": False,  # its entry point is an init of its own
        "environment": {"KOLLA_CONFIG_STRATEGY": "COPY_ALWAYS"},
        "capabilities": ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
    },
}
_FILE = {"owner": "root", "mode": "0600", "on_change": "recreate", "optional": False}


def spec(name: str, image: str, arguments: dict[str, Any], *, cloud: str) -> Spec:
    """The spec of an own container.

    name
        Lower case letters, digits and underscores.
    image
        Reference or id of an image on this host.
    arguments
        Fields of docs/interfaces.md, section 4; what is missing has its default. ``layout: kolla`` gives what an image
        that Kolla built needs; capabilities and environment given here are added to that.
    cloud
        The cloud it is counted to.

    Raises SalternError for a name, field or value that is none.
    """
    if not CONTAINER_NAME.fullmatch(name) or "--" in name:
        raise SalternError("a container's name has lower case letters, digits and underscores", where=name)
    known = [*DEFAULTS, "layout"]
    for key in arguments:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(sorted(known))}"
            raise SalternError(f'unknown argument "{key}"', where=name, hint=hint)
    made = {**DEFAULTS, **_laid_out(name, arguments), "name": name, "image": image, "cloud": cloud, "own": True}
    if made["restart"] not in RESTARTS:
        raise SalternError(f"restart: expected {', '.join(RESTARTS)}, found {made['restart']!r}", where=name)
    made["files"] = [_file(name, entry) for entry in made["files"] or []]
    specs.body(made, "sha256:0", None)  # finds sizes and shapes that have no meaning before anything is touched
    return made


def _laid_out(container: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with what the layout of the image needs."""
    layout = arguments.get("layout") or "saltern"
    if layout not in LAYOUTS:
        raise SalternError(f"layout: expected {' or '.join(LAYOUTS)}, found {layout!r}", where=container)
    needed, given = LAYOUTS[layout], {key: value for key, value in arguments.items() if key != "layout"}
    made = {**needed, **given}
    if needed:
        made["environment"] = {**needed["environment"], **(given.get("environment") or {})}
        made["capabilities"] = sorted({*needed["capabilities"], *(given.get("capabilities") or [])})
    return made


def _file(container: str, entry: Any) -> dict[str, Any]:
    missing = [key for key in ("name", "dest", "content") if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise SalternError(f"a file needs {', '.join(missing)}", where=container)
    return {**_FILE, **entry}
