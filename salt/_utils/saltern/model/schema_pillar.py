"""Schema of the operator's tree (docs/configuration.md)."""

from __future__ import annotations

from saltern.model.schema_parts import (
    ADDRESS,
    ADDRESS4,
    BOOL,
    COUNT,
    DURATION,
    FILLED,
    HOST_ID,
    IMAGE,
    INI_VALUE,
    LIMITS,
    NAME,
    ROLES,
    TEXT,
    Schema,
    listing,
    mapping,
    named,
    optional,
)

_FILE = "^[^\\0]+$"
_SECTION = r"^[^\]\r\n]+$"
_KEY = r"^[^=\s\[#;!][^=\r\n]*$"  # nothing that a reader of the file could take for a section or a comment
_PROFILE = "^(?!(all|enabled)$)[a-z][a-z0-9_-]*$"  # those two mean something already
_CERTIFICATES = r"^(?![\s\S]*PRIVATE KEY)\s*-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----\s*$"
INI: Schema = named(_FILE, named(_SECTION, named(_KEY, INI_VALUE, "a key"), "a section"), "a file")

INTERFACE: Schema = {
    "type": ["string", "null"],
    "pattern": "^[A-Za-z0-9._@-]{1,15}$",
    "description": "a network interface",
}
_PHYSNET = r"^[A-Za-z][A-Za-z0-9_-]{0,62}\Z"
_NETWORK_RANGE = r"^[0-9]{1,8}(:[0-9]{1,8})?\Z"
_MTU: Schema = {"type": "integer", "minimum": 576, "maximum": 65535, "description": "an MTU, 576 to 65535"}


def _ranges(description: str, *forms: Schema) -> Schema:
    """Ranges of numbers. In one form of several: YAML reads some as a number to the base of 60, not worth a quote."""
    return {"anyOf": [{"type": "string", "pattern": _NETWORK_RANGE}, *forms], "description": description}


PROVIDER = mapping(
    {
        "bridge": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}\Z",
            "description": "a bridge's name of up to 15 characters: br-ex",
        },
        "interface": INTERFACE,
        "mtu": _MTU,
        "vlans": _ranges(
            'a range of VLAN ids in quotes, "100:199", or a list of them',
            listing({"type": "string", "pattern": _NETWORK_RANGE}, minItems=1),
            {"type": "null"},
        ),
        "roles": listing({"enum": list(ROLES)}, minItems=1, uniqueItems=True),
    },
    required=("bridge",),
)
EXTERNAL = mapping(
    {
        "name": FILLED,
        "provider": {**FILLED, "description": "a name under openstack:networks:provider"},
        "vlan": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 4094,
            "description": "a VLAN id, 1 to 4094, or null",
        },
        "cidr": {
            "type": "string",
            "format": "network4",
            "description": "a network of IPv4 by its lowest address, 172.29.0.0/24 (IPv6 is not supported)",
        },
        "gateway": optional(ADDRESS4),
        "floating": listing(
            ADDRESS4, minItems=2, maxItems=2, description="the first and the last of the floating addresses, as a list"
        ),
        "host_address": {
            "type": ["string", "null"],
            "format": "interface4",
            "description": "an IPv4 address with its prefix, 172.29.0.1/24, or null",
        },
    },
    required=("provider", "cidr", "floating"),
)
NETWORKS = mapping(
    {
        "tunnel": mapping({"type": {"enum": ["vxlan"]}, "range": _ranges('a range in quotes, "1:65535"'), "mtu": _MTU}),
        "provider": named(_PHYSNET, PROVIDER, "a physical network's name"),
        "external": optional(EXTERNAL),
        "datapath": {"enum": ["auto", "system", "netdev"]},
    }
)

HOST = mapping(
    {
        "address": ADDRESS,
        "roles": listing({"enum": list(ROLES)}, uniqueItems=True),
        "interface": INTERFACE,
        "tunnel_address": optional(ADDRESS4),
        "provider_interfaces": named(_PHYSNET, INTERFACE, "a physical network's name"),
        "config": INI,
    },
    required=("address",),
)

SERVICE = mapping(
    {
        "enabled": BOOL,
        "variables": {"type": "object"},
        "limits": named(NAME, LIMITS, "a container"),
    }
)

PATH: Schema = {"type": "string", "pattern": "^/.", "description": "an absolute path"}
CUSTOM = mapping(
    {
        "packages": listing(FILLED),
        "pip": listing(FILLED),
        "steps": listing(FILLED),
        "append": listing(FILLED),
        "source": optional(mapping({"path": PATH}, required=("path",))),
    }
)
IMAGES = mapping(
    {
        "registry": {
            "type": ["string", "null"],
            "pattern": "^[A-Za-z0-9][A-Za-z0-9.:/_-]*$",
            "description": "a registry, host:port",
        },
        "registry_username": optional(FILLED),
        "registry_ca": {
            "type": ["string", "null"],
            "pattern": _CERTIFICATES,
            "description": "certificates as PEM text, no key",
        },
        "pull_parallel": {"type": "integer", "minimum": 1, "maximum": 500},
        "namespace": {
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9._/-]*$",
            "description": "a namespace of images: saltern",
        },
        "prefix": {
            "type": "string",
            "pattern": "^[a-z0-9._-]*$",
            "description": "a prefix of image names, or empty text",
        },
        "tag": {
            "type": ["string", "null"],
            "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
            "description": "a tag, or null for the release",
        },
        "builder": {"type": ["string", "null"], "pattern": HOST_ID, "description": "a minion id, or null"},
        "mirrors": mapping({"apt": optional(TEXT), "pypi": optional(TEXT)}),
        "network": {"enum": ["host", "default", "bridge", "none"]},
        "parallel": {"type": "integer", "minimum": 1, "maximum": 64},
        "suite": optional(FILLED),
        "base": {
            "type": ["string", "null"],
            "pattern": "^[^ @]+@sha256:[0-9a-f]{64}$",
            "description": "an image with its digest, name@sha256:…, or null",
        },
        "type": {"enum": ["source", "binary"]},
        "profiles": named(_PROFILE, listing(FILLED, minItems=1), "a profile"),
        "folders": listing(PATH, uniqueItems=True),
        "custom": named(IMAGE, optional(CUSTOM), "an image"),
        "distro": {"enum": ["debian", "ubuntu", "centos", "rocky", "oraclelinux", "fedora", "rhel"]},
    }
)

HEAL = mapping(
    {
        "enabled": BOOL,
        "dry_run": BOOL,
        "patience": DURATION,
        "sweep": DURATION,
        "interval": DURATION,
        "budget": COUNT,
        "budget_window": DURATION,
        "silent": DURATION,
    }
)

_THING: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    "description": "a name of letters, digits, - and _",
}
FIRST_CLOUD = mapping(
    {
        **dict.fromkeys(("instance", "flavor", "image", "network", "router", "security_group", "key_pair"), _THING),
        "flavors": named(
            "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
            mapping({"vcpus": COUNT, "ram": COUNT, "disk": COUNT}, required=("vcpus", "ram", "disk")),
            "a flavor",
        ),
        "cidr": {"type": "string", "format": "network4", "description": "an IPv4 network by its lowest address"},
        "dns": listing(ADDRESS4, uniqueItems=True),
        "wait": DURATION,
    }
)

SECRET: Schema = {"anyOf": [FILLED, listing(FILLED, minItems=1)], "description": "text, or a list of texts"}

OPENSTACK = mapping(
    {
        "cloud": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]{0,62}$",
            "description": "a name of a-z, 0-9 and dashes",
        },
        "release": {"type": "string", "pattern": "^[0-9]{4}\\.[12]$", "description": 'a release as text: "2025.2"'},
        "region": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "description": "a region: RegionOne"},
        "vip": {**ADDRESS, "type": ["string", "null"], "description": "an IP address"},
        "debug": BOOL,
        "hosts": {
            **named(HOST_ID, HOST, "a minion id"),
            "minProperties": 1,
            "description": "a mapping with at least one host",
        },
        "networks": NETWORKS,
        "services": named(NAME, SERVICE, "a service"),
        "images": IMAGES,
        "config": mapping(
            {
                "global": INI,
                "services": named(NAME, INI, "a service"),
                "containers": named("^[a-z][a-zA-Z0-9_]*$", INI, "a container"),
            }
        ),
        "heal": HEAL,
        "auto_join": BOOL,
        "first_cloud": FIRST_CLOUD,
        "secrets": named("^[a-z][a-z0-9_]*$", SECRET, "a secret's name"),
    },
    required=("hosts",),
)

__all__ = ["FIRST_CLOUD", "HEAL", "HOST", "IMAGE", "IMAGES", "OPENSTACK", "SERVICE"]
