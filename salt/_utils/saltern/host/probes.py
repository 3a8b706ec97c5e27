"""Ask a service from the host's network whether it answers: HTTP, TCP, a Unix socket, or by what it is connected to.

Probes are made by the host, not by the engine: they cost no call there and need no program in the image. A probe never
raises; it says what it did and what came back, in words fit for an operator.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saltern.host import connections

TIMEOUT = 3.0

_CONNECTIONS, _REACH = connections.Connections(), connections.Reach()


@dataclass(frozen=True)
class Answer:
    """Outcome of a probe: ``text`` reads ``GET http://… → 200`` or ``… → connection refused``."""

    ok: bool
    text: str


def probe(check: dict[str, Any], timeout: float | None = None) -> Answer:
    """Make one probe.

    check
        ``{"http": url}``, ``{"tcp": "address:port"}``, ``{"unix": path}`` or ``{"connected": "address:port,…",
        "container": name}``, with ``timeout`` (seconds, 3) beside it.
    timeout
        Overrides the check's own.
    """
    limit = timeout if timeout is not None else float(check.get("timeout") or TIMEOUT)
    for kind, function in (("http", http_get), ("tcp", tcp_connect), ("unix", unix_connect)):
        if check.get(kind):
            return function(str(check[kind]), limit)
    if check.get("connected"):
        return connected(str(check["connected"]), str(check.get("container") or ""))
    return Answer(False, f"no http, tcp, unix or connected in the probe {check!r}")


def of(container: str, check: Mapping[str, Any]) -> dict[str, Any]:
    """A check of a spec, with the container that it is about."""
    return {**check, "container": container}


def http_get(url: str, timeout: float = TIMEOUT) -> Answer:
    """GET a URL: good when the status is 200 to 399. Certificates are not checked: this asks for life, not identity."""
    connection: http.client.HTTPConnection | None = None
    try:
        parts = urllib.parse.urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = _connection(parts, timeout)
        connection.request("GET", path, headers={"User-Agent": "saltern-probe", "Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(False, f"GET {url} → {reason(error)}")
    finally:
        if connection is not None:
            connection.close()
    return Answer(200 <= status < 400, f"GET {url} → {status}")


def tcp_connect(address: str, timeout: float = TIMEOUT) -> Answer:
    """Connect to ``host:port`` (IPv6 in brackets)."""
    try:
        parts = urllib.parse.urlsplit(f"//{address}")
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout):
            return Answer(True, f"connect {address} → open")
    except (OSError, ValueError) as error:
        return Answer(False, f"connect {address} → {reason(error)}")


def unix_connect(path: str, timeout: float = TIMEOUT) -> Answer:
    """Connect to a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(path)
    except OSError as error:
        return Answer(False, f"connect {path} → {reason(error)}")
    return Answer(True, f"connect {path} → open")


def connected(
    members: str,
    container: str,
    links: connections.Connections = _CONNECTIONS,
    reach: connections.Reach = _REACH,
) -> Answer:
    """Whether a process of this container has an established connection to one of ``members``.

    While none of these can be reached from here, the container is not to blame for having none, and passes.
    """
    try:
        wanted = connections.servers(members)
        found = links.to(container, wanted)
        if found is not None:
            return Answer(True, f"connected to {connections.shown(found)}")
        answering = reach.any_of(wanted)
    except (OSError, ValueError) as error:
        return Answer(False, f"connected to {members} → {reason(error)}")
    if answering is None:
        return Answer(True, f"no member of the message queue answers ({members}): not this container's fault")
    return Answer(False, f"no connection to {connections.shown(answering)}")


def reason(error: Exception) -> str:
    """An error in an operator's words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "connection closed without an answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _connection(parts: urllib.parse.SplitResult, timeout: float) -> http.client.HTTPConnection:
    if not parts.hostname:
        raise ValueError("no host in the URL")
    if parts.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
