"""How services reach the message queue: one URL with all of its members, and oslo.messaging's options for it.

The service that provides ``messaging`` says once how everybody talks to it; a service that uses it says ``messaging:``
in its service.yaml, and its templates get both by ``transport_url()`` and ``oslo_messaging()``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from saltern.model import ini
from saltern.model.cloud import Cloud
from saltern.model.units import hostport


def transport_url(cloud: Cloud, given: Mapping[str, Any], password: str) -> str:
    """oslo.messaging's URL of all members, in the order of the pillar; user and password percent-encoded.

    given
        ``provides: messaging:`` of the service.yaml that has it.
    """
    login = f"{quote(given['user'], safe='')}:{quote(password, safe='')}"
    places = [f"{login}@{hostport(host.address, given['port'])}" for host in cloud.members(given["container"])]
    return f"rabbit://{','.join(places)}/{given['vhost']}"


def servers(cloud: Cloud) -> str:
    """``a:5672,b:5672``: all members, in the order of the pillar; empty where no enabled service provides messaging."""
    provider = cloud.provider("messaging")
    if provider is None:
        return ""
    given = provider.provides["messaging"]
    return ",".join(hostport(host.address, given["port"]) for host in cloud.members(given["container"]))


def section(given: Mapping[str, Any], own: Mapping[str, Any], host: str, process: str) -> str:
    """Text of ``[oslo_messaging_rabbit]``: the provider's options, then the service's own.

    host, process
        Name this process in the whole cloud. Queues are named after them, so two processes that share a name would
        read each other's replies: oslo.messaging's own guess is "uwsgi" for every API.
    """
    options = {**given.get("options", {}), **own, "hostname": host, "processname": process}
    return ini.section("oslo_messaging_rabbit", options)
