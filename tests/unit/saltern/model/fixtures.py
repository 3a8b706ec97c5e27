"""Two small services and the means to compile them: fast, and independent of what the real folders say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from saltern.contract.errors import Problem
from saltern.model.services import Services, load_services
from saltern.model.tree import Tree, read_tree
from saltern.plan.compile import Compiled, compile_model

CACHE: dict[str, Any] = {
    "name": "cache",
    "variables": {"memory": 64},
    "containers": {
        "cache": {
            "image": "cache",
            "runs_on": "control",
            "user": "memcached",
            "process": "cached -l {{ host.address }} -m {{ vars.memory }}",
            "liveness": {"tcp": 11211},
            "ports": [11211],
            "serial": 0,
        }
    },
}
DATABASE: dict[str, Any] = {
    "name": "database",
    "secrets": {"root_password": {"kind": "password"}},
    "provides": {"database": {"user": "root", "password": "root_password"}},
    "frontend": {"port": 3306, "listen": 13306, "mode": "tcp", "container": "database"},
    "containers": {
        "database": {
            "image": "mariadb",
            "runs_on": "database",
            "user": "mysql",
            "process": "mariadbd",
            "restart": "health",
        }
    },
}
TOOLBOX: dict[str, Any] = {
    "name": "kolla_toolbox",
    "containers": {
        "kolla_toolbox": {"image": "kolla-toolbox", "runs_on": "control", "user": "kolla", "process": "sleep infinity"}
    },
}
API: dict[str, Any] = {
    "name": "api",
    "needs": ["cache", "database"],
    "secrets": {"api_database_password": {"kind": "password"}, "api_keys": {"kind": "fernet", "count": 2}},
    "variables": {"workers": 1, "names": ["a", "b"]},
    "provides": {"identity": {"user": "admin", "password": "api_database_password", "path": "/v3"}},
    "database": {"name": "api", "user": "api", "password": "api_database_password"},
    "identity": {"services": [{"name": "api", "type": "identity", "path": "/v3"}], "roles": ["service"]},
    "frontend": {"port": 5000, "listen": 15000, "container": "api", "check": {"http": "/"}},
    "jobs": {"db_sync": {"container": "api", "process": "api-manage db_sync", "inputs": ["release", "vars.workers"]}},
    "containers": {
        "api": {
            "image": "api",
            "runs_on": "control",
            "user": "keystone",
            "process": "apid",
            "liveness": {"http": "/v3", "every": "2s"},
            "writable": ["/etc/api"],
            "config": {
                "api.conf": {"dest": "/etc/api/api.conf", "format": "ini"},
                "key": {"dest": "/etc/api/key", "template": "key.j2", "with": {"index": 1}},
            },
        },
        "worker": {
            "image": "worker",
            "runs_on": "compute",
            "user": "nova",
            "process": "workerd {{ each.value }}",
            "for_each": "names",
            "serial": 0,
        },
    },
}
API_FILES = {
    "api.conf.j2": """# a comment
[DEFAULT]
debug = {{ debug }}
bind_host = {{ host.address }}
{% if debug %}
log = loud
{% endif %}

[database]
connection = {{ database_url("api") }}
[cache]
servers = {{ memcached_servers }}
""",
    "key.j2": "{{ secret('api_keys', with.index) }}\n",
}
SECRETS = {
    "root_password": "root-pass/word",
    "api_database_password": "p@ss w/rd%",
    "api_keys": ["first-key-1234", "second-key-1234"],
}
ROLES = ["control", "database", "compute", "loadbalancer"]
PILLAR: dict[str, Any] = {
    "cloud": "test",
    "release": "2025.2",
    "hosts": {"ctl1": {"address": "10.0.0.11", "roles": ROLES}},
    "secrets": SECRETS,
}


def with_container(service: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A service whose container of the same name has other keys."""
    name = service["name"]
    return {**service, "containers": {**service["containers"], name: {**service["containers"][name], **changes}}}


def pillar(**changes: Any) -> dict[str, Any]:
    """A valid tree with other top-level keys."""
    return copy.deepcopy({**PILLAR, **changes})


def write_services(root: Path, *services: dict[str, Any], files: dict[str, str] | None = None) -> Path:
    """Service folders on disk; without arguments all of the above."""
    for data in services or (CACHE, DATABASE, TOOLBOX, API):
        folder = root / data["name"]
        (folder / "files").mkdir(parents=True)
        (folder / "service.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        if data["name"] == "api":
            for name, text in (files if files is not None else API_FILES).items():
                (folder / "files" / name).write_text(text)
    return root


def write_pillar(root: Path, tree: Any) -> Path:
    """``<root>/openstack/init.sls`` as plain YAML; gives ``root``."""
    (root / "openstack").mkdir(parents=True, exist_ok=True)
    text = tree if isinstance(tree, str) else yaml.safe_dump({"openstack": tree}, sort_keys=False)
    (root / "openstack" / "init.sls").write_text(text)
    return root


def read(root: Path) -> Tree:
    """The tree below ``<root>/openstack``, rendered as plain YAML."""
    return read_tree(
        [root / "openstack"], lambda path: yaml.safe_load(path.read_text()), lambda p: str(p.relative_to(root))
    )


def compiled(root: Path, services: Services, tree: Any) -> Compiled:
    """Compile a tree that is written to disk first."""
    return compile_model(read(write_pillar(root, tree)), services, "d" * 16, "l" * 16)


def services_of(root: Path, *services: dict[str, Any], files: dict[str, str] | None = None) -> Services:
    return load_services(write_services(root, *services, files=files), "services")


def keys(problems: list[Problem]) -> list[str]:
    return [problem.key for problem in problems]
