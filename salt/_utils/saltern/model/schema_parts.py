"""Pieces that both schemas share."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ROLES = ("control", "database", "messaging", "loadbalancer", "network", "compute", "storage", "builder")
NAME = "^[a-z][a-z0-9_]*$"
IMAGE = "^[a-z][a-z0-9-]*$"
HOST_ID = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"  # no path of any kind: it names files of ours


def mapping(properties: dict[str, Schema], required: tuple[str, ...] = (), **more: Any) -> Schema:
    """A mapping with these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def named(pattern: str, value: Schema, key: str) -> Schema:
    """A mapping of names to values; ``key`` says what a name is."""
    return {"type": "object", "patternProperties": {pattern: value}, "additionalProperties": False, "x-key": key}


def listing(items: Schema, **more: Any) -> Schema:
    """A list of items that all look like ``items``."""
    return {"type": "array", "items": items, **more}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    types = schema["type"]
    return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}


TEXT: Schema = {"type": "string"}
FILLED: Schema = {"type": "string", "minLength": 1, "description": "text that is not empty"}
BOOL: Schema = {"type": "boolean"}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535, "description": "a port, 1 to 65535"}
COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 1000000}
DURATION: Schema = {
    "type": ["string", "number"],
    "format": "duration",
    "description": "a duration: 500ms, 30s, 5m, 1h or a number of seconds",
}
SIZE: Schema = {"type": ["string", "integer"], "format": "size", "description": "a size: 512M or 1G"}
ADDRESS: Schema = {"type": "string", "format": "address", "minLength": 2, "description": "an IP address of a host"}
ADDRESS4: Schema = {
    "type": "string",
    "format": "address4",
    "minLength": 2,
    "description": "an IPv4 address: networks with IPv6 are not supported",
}
SCALAR: Schema = {"type": ["string", "number", "boolean"], "description": "text, a number, true or false"}
LIMITS: Schema = mapping(
    {
        "memory": SIZE,
        "pids": COUNT,
        "cpus": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 4096,
            "description": "a number of processors, 0.5 or 2",
        },
        "nofile": {
            "type": "integer",
            "minimum": 64,
            "maximum": 1048576,
            "description": "a number of open files, 64 to 1048576",
        },
    }
)
INI_VALUE: Schema = {
    "type": ["string", "number", "boolean", "array", "null"],
    "items": SCALAR,
    "description": "text, a number, true or false, a list of them, or null to remove the key",
}
