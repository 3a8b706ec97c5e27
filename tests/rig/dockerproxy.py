"""A proxy in front of a Docker Engine's socket that counts what is asked of the engine.

A test gives one address to Saltern's modules and another to its health engine, so the calls of a deploy and those of
healing are counted apart. Requests are parsed, not guessed: connections are kept alive and carry bodies. An upgraded
connection (exec, attach) is passed through as raw bytes.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = re.compile(r"^/v\d+\.\d+")
EXEC = re.compile(r"^/(exec/|containers/[^/]+/exec$)")


@dataclass(frozen=True)
class Call:
    """One request: when (epoch seconds), method, path without API version and query."""

    at: float
    method: str
    path: str

    @property
    def kind(self) -> str:
        """``read``, ``create``, ``exec`` (create, start and inspect of one) or ``write``."""
        if EXEC.match(self.path):
            return "exec"
        if self.method in ("GET", "HEAD"):
            return "read"
        return "create" if self.path == "/containers/create" else "write"


class DockerProxy:
    """Listens at ``address`` and forwards to the engine at ``engine`` until closed."""

    def __init__(self, address: Path, engine: Path) -> None:
        self.address, self.engine = address, engine
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        address.unlink(missing_ok=True)
        self._server.bind(str(address))
        os.chmod(address, 0o600)
        self._server.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def calls(self, since: float = 0.0, kinds: Iterable[str] = ("read", "create", "exec", "write")) -> list[Call]:
        """Calls made since an epoch time, in order."""
        with self._lock:
            return [call for call in self._calls if call.at >= since and call.kind in tuple(kinds)]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(timeout=5)
        self.address.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        try:
            engine.connect(str(self.engine))
        except OSError:
            client.close()
            return
        back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
        back.start()
        with suppress(OSError, ValueError):
            self._requests(client, engine)
        with suppress(OSError):
            engine.shutdown(socket.SHUT_WR)
        back.join()
        client.close()
        engine.close()

    def _requests(self, client: socket.socket, engine: socket.socket) -> None:
        source = client.makefile("rb", buffering=65536)
        while line := source.readline():
            head = [line]
            while (header := source.readline()) not in (b"\r\n", b"\n", b""):
                head.append(header)
            fields = {
                k.strip().lower(): v.strip().lower()
                for k, _, v in (h.decode("latin-1").partition(":") for h in head[1:])
            }
            self._note(line.decode("latin-1"))
            engine.sendall(b"".join([*head, b"\r\n"]))
            if "upgrade" in fields.get("connection", "") or "upgrade" in fields:
                _stream(source, engine)
                return
            if fields.get("transfer-encoding") == "chunked":
                _chunks(source, engine)
            else:
                _exactly(source, engine, int(fields.get("content-length", 0)))

    def _note(self, request: str) -> None:
        method, target, _ = request.split(" ", 2)
        call = Call(time.time(), method, VERSION.sub("", target.partition("?")[0]))
        with self._lock:
            self._calls.append(call)


def _field(header: bytes) -> tuple[str, str]:
    name, _, value = header.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip().lower()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _stream(source: object, target: socket.socket) -> None:
    while data := source.read1(65536):  # type: ignore[attr-defined]
        target.sendall(data)


def _exactly(source: object, target: socket.socket, size: int) -> None:
    while size > 0:
        data = source.read1(min(size, 65536))  # type: ignore[attr-defined]
        if not data:
            raise ValueError("request cut short")
        target.sendall(data)
        size -= len(data)


def _chunks(source: object, target: socket.socket) -> None:
    while True:
        line = source.readline()  # type: ignore[attr-defined]
        target.sendall(line)
        size = int(line.split(b";")[0], 16)
        _exactly(source, target, size + 2)  # the chunk and its line end; after the last chunk, the empty trailer
        if size == 0:
            return
