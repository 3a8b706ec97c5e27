"""Whether a container is connected to one of several servers, and whether these answer at all.

An agent whose connection to the message queue is dead lives on and does nothing. The kernel knows: the established
connections are in /proc/net/tcp, their sockets among the open files of the container's processes. All probes of a
second share one reading of the tables; a socket once found is looked at directly, so that a host with many agents
walks their open files only while one is missing.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

from saltern.host import sockets

FRESH = 1.0  # seconds that a reading of /proc serves
PATIENCE = 1.0  # seconds that servers have to answer
SILENT = 5.0  # seconds that "nobody answers" is remembered: while it holds, no probe waits for it again

Server = tuple[str, int]


def servers(text: str) -> tuple[Server, ...]:
    """Addresses and ports of ``10.0.0.11:5672,[fd00::12]:5672``. Raises ValueError."""
    found = []
    for part in text.split(","):
        parts = urllib.parse.urlsplit(f"//{part.strip()}")
        if not parts.hostname or not parts.port:
            raise ValueError(f"{part.strip()!r} is not address:port")
        found.append((parts.hostname, parts.port))
    return tuple(found)


def shown(server: Server) -> str:
    """``10.0.0.11:5672`` or ``[fd00::12]:5672``."""
    address, port = server
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Connections:
    """Which of our containers have an established connection to which servers. Safe to use from several threads."""

    def __init__(self, proc: Path = sockets.PROC, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc, self._clock = proc, clock
        self._lock = threading.Lock()
        self._tables: Mapping[str, list[str]] = {}
        self._processes: Mapping[str, list[str]] = {}
        self._tables_until = self._processes_until = 0.0
        self._found: dict[str, str] = {}  # container → the open file that was its connection when last asked

    def to(self, container: str, wanted: tuple[Server, ...]) -> Server | None:
        """The server that a process of this container is connected to, None when to none of them."""
        with self._lock:
            ends = self._ends(wanted)
            if not ends:
                return None
            # What is answered was seen now, not a second ago: the process that had the socket may be a former one.
            known = ends.get(sockets.link(self._found.get(container, "")))
            return known or self._search(container, ends)

    def _ends(self, wanted: tuple[Server, ...]) -> dict[str, Server]:
        """Our ends of the connections to these servers."""
        now = self._clock()
        if now >= self._tables_until:
            self._tables, self._tables_until = sockets.established(self._proc), now + FRESH
        return {
            link: server for server in wanted for peer in sockets.peers(*server) for link in self._tables.get(peer, ())
        }

    def _search(self, container: str, ends: Mapping[str, Server]) -> Server | None:
        now = self._clock()
        if now >= self._processes_until:
            self._processes, self._processes_until = sockets.by_container(self._proc), now + FRESH
        for process in self._processes.get(container, ()):
            for path, link in sockets.open_links(process):
                if link in ends:
                    self._found[container] = path
                    return ends[link]
        self._found.pop(container, None)
        return None


class Reach:
    """Which servers take a connection from here, found out once for all who ask within a short time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[Server, ...], tuple[float, Server | None]] = {}

    def any_of(self, wanted: tuple[Server, ...]) -> Server | None:
        """The first of them that answers, None when none does within `PATIENCE`."""
        with self._lock:
            until, answer = self._known.get(wanted, (0.0, None))
            if self._clock() >= until:
                answer = first_answering(wanted)
                self._known[wanted] = (self._clock() + (FRESH if answer else SILENT), answer)
            return answer


def first_answering(wanted: tuple[Server, ...], patience: float = PATIENCE) -> Server | None:
    """Connect to all of them at once; the first that takes it, None when none does in time."""
    end = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        try:
            for server in wanted:
                sock = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET)
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_WRITE, server)
                sock.connect_ex(server)  # its outcome is read when the socket is ready
            while selector.get_map() and (left := end - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    sock = key.fileobj  # type: ignore[assignment]
                    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _connected(sock):
                        answering: Server = key.data
                        return answering
                    selector.unregister(sock)
                    sock.close()
            return None
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _connected(sock: socket.socket) -> bool:
    """A connect that failed at once (no route) leaves no error behind to be read, and no peer."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
