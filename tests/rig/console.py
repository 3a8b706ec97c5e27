"""An instance's console as a browser reaches it: a WebSocket (RFC 6455) through HAProxy and novncproxy to VNC."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
import urllib.parse
from typing import Any

from rig.openstackapi import OpenStack

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 2, 8
MASKED, LAST = 0x80, 0x80


def url(api: OpenStack, server: str) -> str:
    """A new console of an instance, as Nova hands it to a browser."""
    wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    headers = {"OpenStack-API-Version": "compute 2.6"}
    _, _, answer = api.call("POST", 8774, f"/v2.1/servers/{server}/remote-consoles", wanted, headers=headers)
    return str(answer["remote_console"]["url"])


def greeting(address: str, timeout: float = 20) -> str:
    """The first line that the VNC server behind a console's URL says: ``RFB 003.008``.

    Raises ConnectionError with the proxy's answer where there is no WebSocket, or it is closed.
    """
    parts = urllib.parse.urlsplit(address)
    # The page takes the WebSocket's address out of its query; the token is in it.
    path = urllib.parse.parse_qs(parts.query).get("path", [""])[0]
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout) as connection:
        stream = connection.makefile("rwb")
        _shake_hands(stream, parts.netloc, path if path.startswith("/") else f"/{path}")
        kind, text = _frame(stream)
        if kind != BINARY:
            raise ConnectionError(f"no VNC server: {text[2:].decode(errors='replace') or 'closed'}")
        stream.write(bytes([LAST | CLOSE, MASKED]) + bytes(4))
        stream.flush()
        return text.decode("ascii", "replace").strip()


def _shake_hands(stream: Any, host: str, path: str) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Protocol: binary",
        "Sec-WebSocket-Version: 13",
    )
    stream.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    stream.flush()
    status = stream.readline().decode(errors="replace").strip()
    headers = {}
    while line := stream.readline().decode(errors="replace").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    accepted = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
    if " 101 " not in f"{status} " or headers.get("sec-websocket-accept") != accepted:
        raise ConnectionError(f"no WebSocket: {status}")


def _frame(stream: Any) -> tuple[int, bytes]:
    """Kind and content of the next frame; servers do not mask theirs."""
    head = _exactly(stream, 2)
    size = head[1] & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(stream, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", _exactly(stream, 8))
    return head[0] & 0xF, _exactly(stream, size)


def _exactly(stream: Any, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise ConnectionError("the proxy hangs up")
    return bytes(found)
