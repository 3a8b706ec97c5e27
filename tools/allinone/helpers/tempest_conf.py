"""Writes Tempest's configuration for a cloud, from what the cloud itself says it has.

Usage: tempest_conf.py CLOUDS.YAML TEMPEST.CONF

Runs in the OpenStack client's environment. Prints one line about what was found.
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path
from typing import Any

import openstack
import yaml


def main() -> int:
    """See the module."""
    clouds, target = map(Path, sys.argv[1:3])
    entry = yaml.safe_load(clouds.read_text(encoding="utf-8"))["clouds"]
    name, settings = next(iter(entry.items()))
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
    connection = openstack.connect(cloud=name)
    services = {service.type: service for service in connection.identity.services() if service.is_enabled}
    made = sections(connection, settings, set(services))
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_dict(made)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        parser.write(file)
    print(f"{', '.join(sorted(services))}; image {made['compute'].get('image_ref', 'none')}")
    return 0


def sections(connection: Any, settings: dict[str, Any], services: set[str]) -> dict[str, dict[str, Any]]:
    """Tempest's sections; what is not there is said to be not available, and its tests are skipped."""
    auth = settings["auth"]
    region = settings.get("region_name", "RegionOne")
    made: dict[str, dict[str, Any]] = {
        "DEFAULT": {"use_stderr": False},
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": True,
            "admin_username": auth["username"],
            "admin_password": auth["password"],
            "admin_project_name": auth["project_name"],
            "admin_domain_name": auth.get("user_domain_name", "Default"),
            "tempest_roles": "member",
        },
        "identity": {"uri_v3": auth["auth_url"], "auth_version": "v3", "region": region},
        "identity-feature-enabled": {"api_v2": False, "application_credentials": True, "security_compliance": False},
        "oslo_concurrency": {"lock_path": "/tmp/saltern-tempest-locks"},
        "service_available": {
            "cinder": "block-storage" in services or "volumev3" in services,
            "glance": "image" in services,
            "horizon": False,
            "neutron": "network" in services,
            "nova": "compute" in services,
            "swift": "object-store" in services,
        },
        "image": {"region": region},
        "image-feature-enabled": {"import_image": True},
        "validation": {"run_validation": False},
        "compute": {"region": region, "fixed_network_name": ""},
        "compute-feature-enabled": {
            "resize": False,  # one host: the stated selection has no test that moves an instance
            "attach_encrypted_volume": False,
            "vnc_console": True,
            "console_output": True,
            "config_drive": False,
            "volume_backed_live_migration": False,
            "volume_multiattach": False,
            "shelve": True,
            "snapshot": True,
        },
        "network": {"region": region},
        "network-feature-enabled": {"ipv6": True, "ipv6_subnet_attributes": True, "floating_ips": True},
        "volume": {"region": region},
    }
    if "network" in services:
        made["network-feature-enabled"]["api_extensions"] = ",".join(
            sorted(extension.alias for extension in connection.network.extensions())
        )
        external = next(connection.network.networks(is_router_external=True), None)
        if external is not None:
            made["network"] |= {"public_network_id": external.id, "floating_network_name": external.name}
    if "compute" in services:
        made["compute"] |= compute(connection)
    return made


def compute(connection: Any) -> dict[str, Any]:
    """The newest microversion; image and flavors: the smallest flavor, and another one that differs from it."""
    newest = connection.compute.get_endpoint_data().max_microversion
    made = {"max_microversion": ".".join(map(str, newest))} if newest else {}
    images = [image for image in connection.image.images() if image.status == "active" and image.disk_format == "ami"]
    images = images or [image for image in connection.image.images() if image.status == "active"]
    flavors = sorted(connection.compute.flavors(), key=lambda flavor: (flavor.ram, flavor.disk))
    if not images or not flavors:
        return made
    return made | {
        "image_ref": images[0].id,
        "image_ref_alt": images[-1].id,
        "flavor_ref": flavors[0].id,
        "flavor_ref_alt": flavors[1 if len(flavors) > 1 else 0].id,
        "min_compute_nodes": 1,
    }


if __name__ == "__main__":
    sys.exit(main())
