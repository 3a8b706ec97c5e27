"""Configuration of the master and the minion that ``./saltern up`` runs: own directories, own ports, on 127.0.0.1.

Only what makes them *these* daemons is here. What makes a master Saltern's master (file_roots, reactor, engines, …) is
written by ``openstack.setup`` into ``master.d/openstack.conf``, the same way as for a Salt that was there before.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
from pathlib import Path
from typing import Any

from allinone.layout import STATE_ROOT, Layout
from allinone.made import Made

INTERFACE = "127.0.0.1"
# A connection that was cut without a word is noticed within seconds instead of minutes.
KEEPALIVE = {
    "tcp_keepalive": True,
    "tcp_keepalive_idle": 3,
    "tcp_keepalive_cnt": 3,
    "tcp_keepalive_intvl": 2,
    "zmq_heartbeat_ivl": 2000,
    "zmq_heartbeat_timeout": 5000,
}


def minion_id(hostname: str | None = None) -> str:
    """This machine's short name as a minion id, ``aio`` where it has none that is usable."""
    short = (hostname if hostname is not None else socket.gethostname()).split(".")[0].lower()
    return short if re.fullmatch(r"[a-z][a-z0-9-]{0,62}", short) and short != "localhost" else "aio"


def ports(made: Made, chooser: random.Random | None = None) -> dict[str, int]:
    """Two free ports of our own, remembered: an operator's own master may hold 4505 and 4506."""
    known = made.get("ports")
    if known:
        return dict(known)
    chooser = chooser or random.SystemRandom()
    while True:
        first = chooser.randrange(20000, 30000)
        if _free(first) and _free(first + 1):
            chosen = {"publish": first, "return": first + 1}
            made.put("ports", chosen)
            return chosen


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((INTERFACE, port))
        except OSError:
            return False
    return True


def _common(layout: Layout, kind: str) -> dict[str, Any]:
    root = layout.root
    return {
        "user": "root",
        "root_dir": str(root),
        "pki_dir": str(root / "salt" / "pki" / kind),
        "cachedir": str(root / "salt" / "cache" / kind),
        "extension_modules": str(root / "salt" / "extmods" / kind),
        "sock_dir": str(root / "run" / kind),
        "pidfile": str(root / "run" / f"{kind}.pid"),
        "log_file": str(root / "log" / f"salt-{kind}.log"),
        "log_level": "error",
        "log_level_logfile": "warning",
        **KEEPALIVE,
    }


def master(layout: Layout, port: dict[str, int]) -> dict[str, Any]:
    """Of ``salt/master``; by ``file_roots`` and ``module_dirs`` it finds ``openstack.setup``."""
    checkout = layout.checkout
    return {
        **_common(layout, "master"),
        "id": f"{minion_id()}_master",
        "interface": INTERFACE,
        "publish_port": port["publish"],
        "ret_port": port["return"],
        "auto_accept": False,
        "worker_threads": 3,
        "gather_job_timeout": 60,
        "fileserver_list_cache_time": 0,
        "file_roots": {"base": [str(checkout / "states"), str(checkout / "salt")]},
        "pillar_roots": {"base": [str(checkout / "pillar")]},
        "module_dirs": [str(checkout / "salt")],
        "saltern_checkout": str(checkout),
        "saltern_state_dir": str(STATE_ROOT / "master"),
    }


def minion(layout: Layout, port: dict[str, int]) -> dict[str, Any]:
    """Of ``salt/minion``. Grains that ask DNS or probe graphics cards cost seconds and are of no use here."""
    return {
        **_common(layout, "minion"),
        "id": minion_id(),
        "master": INTERFACE,
        "publish_port": port["publish"],
        "master_port": port["return"],
        "acceptance_wait_time": 1,
        "random_reauth_delay": 1,
        "recon_default": 200,
        "recon_max": 1000,
        "recon_randomize": False,
        "auth_timeout": 5,
        "auth_tries": 30,
        "enable_legacy_startup_events": False,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        # For salt-call --local, which prepares the minion before its first start.
        "file_roots": {"base": [str(layout.checkout / "states"), str(layout.checkout / "salt")]},
    }


def write(layout: Layout, made: Made) -> list[str]:
    """Write both files; returns the kinds whose file changed (``master``, ``minion``)."""
    layout.make()
    # salt-run wants it, and works before the master's first start if it is there.
    (layout.config / "cache" / "master" / "proc").mkdir(parents=True, exist_ok=True)
    port = ports(made)
    contents = {"master": master(layout, port), "minion": minion(layout, port)}
    return [kind for kind, settings in contents.items() if _write(layout.config / kind, kind, settings)]


def _write(path: Path, kind: str, settings: dict[str, Any]) -> bool:
    lines = [
        f"# The salt-{kind} of this checkout's all-in-one cloud, by ./saltern up. Your own lines go to {kind}.d/*.conf."
    ]
    # JSON is YAML, and it is in the standard library.
    lines += [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
    text = "\n".join(lines) + "\n"
    (path.parent / f"{kind}.d").mkdir(exist_ok=True)
    if path.exists() and path.read_text() == text:
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    os.replace(temporary, path)
    return True
