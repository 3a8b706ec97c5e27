"""The toolbox host's share when a host leaves the cloud: what Nova, Neutron and Placement know of it (section 12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saltern.contract.errors import ToolboxFailed
from saltern.host import toolbox
from saltern.host.context import Host

MORE_SECONDS = 240.0  # besides the time for instances: calls that wait for a service

Slice = Mapping[str, Any]


def empty(
    host: Host,
    part: Slice,
    name: str,
    *,
    move: bool = False,
    reopen: bool = False,
    dry_run: bool = False,
    seconds: float = 60.0,
    cold: Iterable[str] = (),
) -> dict[str, Any]:
    """Nothing new comes to a host any more, and what is on it goes; see the toolbox's ``departure.py``.

    name
        The host as Nova and Neutron know it.
    move
        Move instances, for ``seconds``; ``cold``: ids of those that an earlier call could not move live.
    reopen
        Take the host back instead.

    Returns ``{"services", "agents", "instances", "up", "elsewhere", "changes", "cold", "errors"}``. Raises
    ToolboxFailed.
    """
    request = {"action": "host_empty", "identity": _identity(part), "host": name, "move": move, "reopen": reopen}
    request |= {"dry_run": dry_run, "seconds": seconds, "cold": list(cold)}
    return toolbox.ask(host.engine, request, timeout=seconds + MORE_SECONDS)


def forget(host: Host, part: Slice, name: str) -> dict[str, Any]:
    """Remove a host's records. Returns ``{"changes", "errors"}``. Raises ToolboxFailed."""
    return toolbox.ask(host.engine, {"action": "host_forget", "identity": _identity(part), "host": name})


def _identity(part: Slice) -> dict[str, Any]:
    identity = (part.get("batch") or {}).get("identity")
    if not identity:
        raise ToolboxFailed("this is not the toolbox host", where=str(part.get("host", "")))
    return dict(identity)
