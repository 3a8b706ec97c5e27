"""Configuration of the rig's salt-master and salt-minions: what docs/install.md has people write, tuned for faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PUBLISH, RETURN = 24505, 24506

# With Salt's defaults a minion is not back two minutes after a cut of one minute; with these, in five seconds.
KEEPALIVE: dict[str, Any] = {
    "tcp_keepalive_idle": 3,
    "tcp_keepalive_cnt": 3,
    "tcp_keepalive_intvl": 2,
    "zmq_heartbeat_ivl": 2000,
    "zmq_heartbeat_timeout": 5000,
}


def master(root: Path, checkout: Path, address: str) -> dict[str, Any]:
    """The master's configuration; all its files lie below ``root``."""
    return {
        "id": "rig_master",
        "interface": address,
        "publish_port": PUBLISH,
        "ret_port": RETURN,
        "user": "root",
        "root_dir": str(root),
        "pki_dir": str(root / "pki"),
        "cachedir": str(root / "cache"),
        "sock_dir": str(root / "run"),
        "pidfile": str(root / "master.pid"),
        "log_file": str(root / "log/master"),
        "log_level": "warning",
        "log_level_logfile": "info",
        "extension_modules": str(root / "extmods"),
        "auto_accept": True,  # the rig's own network
        "worker_threads": 3,
        "timeout": 30,
        "gather_job_timeout": 60,
        "fileserver_list_cache_time": 0,
        "state_max_parallel": 8,
        "file_roots": {
            "base": [str(checkout / "states"), str(checkout / "salt")],
            "saltern_build": [str(root / "saltern/build-contexts")],
            "saltern_bundle": [str(root / "saltern/bundles-served")],
        },
        "pillar_roots": {"base": [str(root / "pillar")]},
        "module_dirs": [str(checkout / "salt")],
        "ext_pillar": [{"openstack": {}}],
        "engines": [{"openstack_recovery": {}}],
        "reactor": [
            {f"openstack/health/*/*/{path.stem}": [f"salt://openstack/reactor/{path.name}"]}
            for path in sorted((checkout / "states/openstack/reactor").glob("*.sls"))
        ],
        "saltern_checkout": str(checkout),
        "saltern_state_dir": str(root / "saltern"),
        **KEEPALIVE,
    }


def minion(name: str, master_address: str, root: Path = Path("/srv/salt-minion")) -> dict[str, Any]:
    """A minion's configuration; ``root`` is a directory of its own host, so it survives a power cut."""
    return {
        "id": name,
        "master": master_address,
        "publish_port": PUBLISH,
        "master_port": RETURN,
        "user": "root",
        "root_dir": str(root),
        "pki_dir": str(root / "pki"),
        "cachedir": str(root / "cache"),
        "sock_dir": str(root / "run"),
        "pidfile": "/run/salt-minion.pid",
        "log_file": "/var/log/salt-minion",
        "log_level": "error",
        "log_level_logfile": "info",
        "extension_modules": str(root / "cache/extmods"),
        "engines": [{"openstack_health": {}}],
        "saltern_docker_url": "unix:///tmp/deploy.sock",
        "saltern_health_docker_url": "unix:///tmp/health.sock",
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
        **KEEPALIVE,
    }
