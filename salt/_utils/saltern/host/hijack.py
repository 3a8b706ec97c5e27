"""Talk with a program inside a container over the connection that the engine hands over ("hijacks").

docker-py's own way takes the raw socket below Python's buffered reader, so bytes that came in one packet with the
response's headers are lost, and it never closes stdin. Here the buffered reader is read first, a thread writes stdin
(a program that answers before it has read all would else block both sides), and the write side is then shut.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, BinaryIO

STDOUT, STDERR = 1, 2


def run(api: Any, exec_id: str, stdin: bytes | None, timeout: float) -> tuple[bytes, bytes]:
    """Start an exec that was created, give it ``stdin``, return what it wrote to stdout and stderr.

    Raises TimeoutError when nothing came for ``timeout`` seconds.
    """
    response = api._post_json(
        api._url("/exec/{0}/start", exec_id),
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        data={"Tty": False, "Detach": False},
        stream=True,
    )
    try:
        api._raise_for_status(response)
        reader = response.raw._fp.fp
        sock = reader.raw._sock
        sock.settimeout(timeout)
        writer = threading.Thread(target=_feed, args=(sock, stdin or b""), daemon=True)
        writer.start()
        return _demultiplexed(reader)
    finally:
        response.close()


def _feed(sock: Any, data: bytes) -> None:
    # A program that ends without reading its input breaks the pipe: its exit code tells, not this error.
    with contextlib.suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


def _demultiplexed(reader: BinaryIO) -> tuple[bytes, bytes]:
    """Split Docker's stream: frames of 1 byte stream, 3 bytes nothing, 4 bytes length, then data."""
    streams: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    while len(header := reader.read(8)) == 8:
        stream, length = struct.unpack(">BxxxL", header)
        streams.setdefault(stream, []).append(reader.read(length))
    return b"".join(streams[STDOUT]), b"".join(streams[STDERR])
