"""``[uwsgi]`` as all APIs have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHARED: dict[str, Any] = {
    "enable-threads": True,
    "lazy-apps": True,
    "need-app": True,
    "die-on-term": True,
    "buffer-size": 65535,
    "thunder-lock": True,
    "listen": 128,
}
LOGS: dict[str, Any] = {
    "log-5xx": True,
    # A health check that does not wait for the whole answer is no error.
    "ignore-sigpipe": True,
    "ignore-write-errors": True,
    "disable-write-exception": True,
    "add-header": "Connection: close",
}


def options_of(
    place: str, module: str, env: Mapping[str, Any], variables: Mapping[str, Any], debug: bool, own: Mapping[str, Any]
) -> dict[str, Any]:
    """All options of one API; a value of None removes one.

    place
        ``address:port`` to bind.
    variables
        The service's: ``workers`` and, where it has them, ``threads``.
    own
        What this API has otherwise, underscores for dashes. ``http=True`` binds by uwsgi's own router instead of
        the workers themselves: only the router understands chunked bodies.
    """
    given = {key.replace("_", "-"): value for key, value in own.items()}
    return {
        "http" if given.pop("http", False) else "http-socket": place,
        "module": module,
        "env": [f"{key}={value}" for key, value in env.items()],
        "master": True,
        "processes": variables.get("workers", 1),
        "threads": variables.get("threads"),
        **SHARED,
        "disable-logging": not debug,
        **LOGS,
        **given,
    }
