"""How services log in to Keystone, and how they check who calls them: the same lines in every service's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.model.cloud import Cloud

DOMAIN = "Default"  # where the toolbox makes projects and users
PROJECT = "service"


def user_of(cloud: Cloud, name: str) -> Mapping[str, Any] | None:
    """The entry of ``identity: users`` of an enabled service that makes this user."""
    users = (user for service in cloud.services.values() for user in service.identity["users"])
    return next((user for user in users if user["name"] == name), None)


def service_auth(cloud: Cloud, identity: str, user: Mapping[str, Any], password: str) -> dict[str, str]:
    """keystoneauth's options.

    identity
        URL of Keystone.
    password
        As oslo.config reads it (:func:`escaped`).
    """
    return {
        "auth_url": identity,
        "auth_type": "password",
        "username": user["name"],
        "password": password,
        "user_domain_name": DOMAIN,
        "project_domain_name": DOMAIN,
        "project_name": user.get("project", PROJECT),
        "region_name": cloud.region,
    }


def token_auth(cloud: Cloud, identity: str, user: Mapping[str, Any], password: str) -> dict[str, str]:
    """Options of ``[keystone_authtoken]``: the login, and what checks a caller's token."""
    return {
        "www_authenticate_uri": identity,
        **service_auth(cloud, identity, user, password),
        "memcached_servers": cloud.memcached_servers(),
        # a token that is passed on counts as a service's only where its owner has this role
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def escaped(value: str) -> str:
    """A value that oslo.config reads back as it is: to it ``$name`` is another option's value."""
    return value.replace("$", "$$")
