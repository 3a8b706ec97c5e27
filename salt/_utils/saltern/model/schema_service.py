"""Schema of a service.yaml (docs/service-yaml.md)."""

from __future__ import annotations

from saltern.model.schema_parts import (
    ADDRESS,
    BOOL,
    COUNT,
    DURATION,
    FILLED,
    IMAGE,
    LIMITS,
    NAME,
    PORT,
    ROLES,
    SCALAR,
    SIZE,
    TEXT,
    Schema,
    listing,
    mapping,
    named,
    optional,
)

ABSOLUTE: Schema = {"type": "string", "pattern": "^(/|\\{\\{)", "description": "an absolute path"}
IDENTIFIER: Schema = {"type": "string", "pattern": NAME, "description": "a name of a-z, 0-9 and underscores"}
WORDS = listing(FILLED, description="a list of texts")
WHEN: Schema = {"enum": ["before_start", "after_start"]}

CONFIG_ENTRY = mapping(
    {
        "dest": ABSOLUTE,
        "owner": TEXT,
        "mode": {"type": "string", "pattern": "^0?[0-7]{3}$", "description": 'a mode as text: "0600"'},
        "format": {"enum": ["text", "ini"]},
        "on_change": {"enum": ["recreate", "reload"]},
        "template": FILLED,
        "with": {"type": "object"},
        "optional": BOOL,
    },
    required=("dest",),
)
CONFIG = named("^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", CONFIG_ENTRY, "a file name")

_EVERY = {"every": DURATION, "timeout": DURATION, "failures": COUNT}
PROBE = {
    "type": ["object", "null"],
    "properties": {
        "http": {
            "type": "string",
            "pattern": "^(/|:[0-9]+|https?://|\\{\\{)",
            "description": 'a path, ":port/path" or a URL',
        },
        "tcp": {"type": ["string", "integer"], "description": "listen, or a port"},
        "unix": ABSOLUTE,
        "connected": {"type": "string", "minLength": 1, "description": 'messaging, or "address:port,…"'},
        **_EVERY,
    },
    "additionalProperties": False,
    "anyOf": [{"required": ["http"]}, {"required": ["tcp"]}, {"required": ["unix"]}, {"required": ["connected"]}],
    "description": "a probe: http, tcp, unix or connected, with every, timeout and failures",
}

PRIVILEGES = mapping(
    {
        "capabilities": listing({"type": "string", "pattern": "^[A-Z_]+$", "description": "a capability: NET_ADMIN"}),
        "devices": listing(ABSOLUTE),
        "device_rules": listing(
            {
                "type": "string",
                "pattern": "^[abc] ([0-9]+|\\*):([0-9]+|\\*) r?w?m?$",
                "description": "a rule of the devices cgroup: c 10:200 rwm",
            }
        ),
        "security": WORDS,
        "pid_host": BOOL,
        "ipc_host": BOOL,
        "cgroup_host": BOOL,
        "root": BOOL,
    }
)

MOUNT = mapping(
    {
        "type": {"enum": ["volume", "bind", "tmpfs"]},
        "source": FILLED,
        "target": ABSOLUTE,
        "read_only": BOOL,
        "propagation": {"enum": ["private", "rprivate", "shared", "rshared", "slave", "rslave", None]},
        "create": {"enum": ["directory", "shared", None]},
        "owner": IDENTIFIER,
    },
    required=("type", "target"),
)

_ROLE: Schema = {"type": "string", "enum": list(ROLES)}

HOST = mapping(
    {
        "sysctls": named(
            "^[a-z0-9_]+([.][A-Za-z0-9_-]+)+$",
            {"type": ["string", "integer"], "description": "text or a whole number"},
            "a sysctl: net.ipv4.ip_forward",
        ),
        "paths": listing(ABSOLUTE),
        "acceleration": FILLED,
        "processors": FILLED,
    }
)

CONTAINER = mapping(
    {
        "image": {"type": "string", "pattern": IMAGE, "description": "an image's name: glance-api"},
        "runs_on": {"anyOf": [_ROLE, listing(_ROLE, minItems=1, uniqueItems=True)]},
        "for_each": optional(IDENTIFIER),
        "user": IDENTIFIER,
        "process": FILLED,
        "command": {"type": ["array", "null"], "items": FILLED, "description": "a list of texts"},
        "environment": named("^[A-Za-z_][A-Za-z0-9_]*$", SCALAR, "a variable's name"),
        "hostname": optional(FILLED),
        "init": BOOL,
        "read_only": BOOL,
        "config": CONFIG,
        "privileges": PRIVILEGES,
        "mounts": listing(MOUNT),
        "host": HOST,
        "limits": LIMITS,
        "writable": listing(ABSOLUTE),
        "healthcheck": {
            **mapping({"exec": listing(FILLED, minItems=1), **_EVERY, "start_period": DURATION}, required=("exec",)),
            "type": ["object", "null"],
        },
        "liveness": PROBE,
        "readiness": PROBE,
        "restart": {"enum": ["engine", "health", "none"]},
        "rollback": BOOL,
        "start_timeout": DURATION,
        "stop_timeout": DURATION,
        "stop_signal": {"type": ["string", "null"], "pattern": "^(SIG)?[A-Z0-9]+$", "description": "a signal: TERM"},
        "reload": {
            **mapping({"signal": {"type": "string", "pattern": "^[A-Z0-9]+$"}, "check": WORDS}, required=("signal",)),
            "type": ["object", "null"],
        },
        "serial": {"enum": [0, 1]},
        "cluster": optional(IDENTIFIER),
        "ports": listing(
            {
                "anyOf": [PORT, mapping({"port": PORT, "address": ADDRESS}, required=("port",))],
                "description": "a port, or {port, address}",
            }
        ),
        "binds_frontends": BOOL,
    },
    required=("image", "runs_on", "user", "process"),
)

_DATABASE = mapping(
    {"name": IDENTIFIER, "user": IDENTIFIER, "password": IDENTIFIER}, required=("name", "user", "password")
)
DATABASE: Schema = {"anyOf": [_DATABASE, listing(_DATABASE, minItems=1)]}

OPTIONS = named("^[a-z][a-z0-9_]*$", SCALAR, "an option's name")

MESSAGING = mapping({"options": OPTIONS})

IDENTITY = mapping(
    {
        "roles": WORDS,
        "projects": WORDS,
        "users": listing(
            mapping(
                {"name": FILLED, "password": IDENTIFIER, "project": FILLED, "roles": WORDS},
                required=("name", "password"),
            )
        ),
        "services": listing(
            mapping(
                {
                    "name": FILLED,
                    "type": FILLED,
                    "description": TEXT,
                    "path": {"type": "string", "pattern": "^(/|$)"},
                    "frontend": IDENTIFIER,
                },
                required=("name", "type"),
            )
        ),
    }
)

_FRONTEND = mapping(
    {
        "port": PORT,
        "listen": PORT,
        "mode": {"enum": ["http", "tcp"]},
        "container": IDENTIFIER,
        "check": mapping({"http": {"type": "string", "pattern": "^/"}, "tcp": BOOL}),
        "backend_options": listing(TEXT),
        "single_writer": BOOL,
    },
    required=("port", "listen", "container"),
)

JOB = mapping(
    {
        "container": IDENTIFIER,
        "process": FILLED,
        "when": WHEN,
        "timeout": DURATION,
        "inputs": listing(
            {
                "type": "string",
                "pattern": "^(release|region|url|config|vars(\\.[a-z0-9_]+)?|secret\\.[a-z0-9_]+|hosts\\.[a-z0-9_]+)$",
                "description": "release, region, url, config, vars, vars.<name>, secret.<name> or hosts.<container>",
            }
        ),
        "config": CONFIG,
    },
    required=("container", "process"),
)

SECRET = mapping(
    {
        "kind": {"enum": ["password", "fernet", "hex", "uuid"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 100},
        "length": {"type": "integer", "minimum": 8, "maximum": 256},
    },
    required=("kind",),
)

PROVIDES = mapping(
    {
        "database": mapping({"user": IDENTIFIER, "password": IDENTIFIER}, required=("user", "password")),
        "identity": mapping(
            {
                "user": FILLED,
                "password": IDENTIFIER,
                "project": FILLED,
                "domain": FILLED,
                "path": {"type": "string", "pattern": "^(/|$)"},
            },
            required=("user", "password"),
        ),
        "messaging": mapping(
            {
                "user": IDENTIFIER,
                "password": IDENTIFIER,
                "vhost": IDENTIFIER,
                "container": IDENTIFIER,
                "port": PORT,
                "options": OPTIONS,
            },
            required=("user", "password", "vhost", "container", "port"),
        ),
        # the container that the hosts' bridges belong to
        "network": mapping({"container": IDENTIFIER}, required=("container",)),
    }
)

SERVICE = mapping(
    {
        "name": IDENTIFIER,
        "title": FILLED,
        "enabled": {
            "type": ["boolean", "string"],
            "enum": [True, False, *ROLES],
            "description": "true, false, or the role of whose hosts there must be one",
        },
        "needs": listing(IDENTIFIER, uniqueItems=True),
        "secrets": named(NAME, SECRET, "a secret's name"),
        "variables": {"type": "object", "propertyNames": {"pattern": NAME}},
        "containers": {**named(NAME, CONTAINER, "a container's name"), "minProperties": 1},
        "database": DATABASE,
        "messaging": MESSAGING,
        "identity": IDENTITY,
        "frontend": _FRONTEND,
        "frontends": named(NAME, _FRONTEND, "a frontend's name"),
        "jobs": named(NAME, JOB, "a job's name"),
        "prechecks": mapping({"min_memory_mb": COUNT, "min_disk_gb": COUNT}),
        "upgrade": listing({"enum": ["expand", "migrate", "roll", "contract"]}),
        "provides": PROVIDES,
        "override": mapping({"files": {"type": "object", "maxProperties": 0}}),
    },
    required=("name", "containers"),
)

__all__ = ["SERVICE", "SIZE"]
