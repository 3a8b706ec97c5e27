"""A small client of OVSDB (RFC 7047): select and transact over the database's unix socket, and wait for the switch.

Open vSwitch's database is the contract with its switch: what is written there, the switch makes so, and it says how far
it has come in ``cur_cfg``. That is all that bridges need, so no program of Open vSwitch has to be on the host.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from saltern.contract.errors import SalternError

SOCKET = "/run/openvswitch/db.sock"
DATABASE = "Open_vSwitch"
LOOK = "Look at it: docker logs openvswitch_db"

Connection = TypeVar("Connection", bound="JsonRpc")
Row = dict[str, Any]
Operation = dict[str, Any]


class NoDatabase(SalternError):
    """Nobody answers at the socket."""


class JsonRpc:
    """One connection to a program of Open vSwitch, to be used with ``with``.

    path
        The unix socket: the database's, or a program's control socket (what ``ovs-appctl`` talks to).
    timeout
        Seconds for each answer.
    """

    def __init__(self, path: str, *, timeout: float = 10.0) -> None:
        self.path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer, self._number = "", 0
        self._decoder = json.JSONDecoder()

    def __enter__(self: Connection) -> Connection:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(self._timeout)
        try:
            made.connect(self.path)
        except OSError as error:
            made.close()
            raise NoDatabase(f"no answer: {error.strerror or error}", where=self.path, hint=LOOK) from error
        self._socket = made
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, method: str, parameters: list[Any]) -> Any:
        """The result of a method. Raises SalternError with the other side's error, NoDatabase when it is silent."""
        self._number += 1
        self._send({"method": method, "params": parameters, "id": self._number})
        while True:
            message = self._receive()
            if message.get("method") == "echo":  # it asks whether we are alive
                self._send({"result": message.get("params"), "error": None, "id": message.get("id")})
            elif message.get("id") == self._number:
                if message.get("error"):
                    raise SalternError(f"it refuses: {message['error']}", where=self.path)
                return message["result"]

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._socket is not None, "used outside of its with"
        try:
            self._socket.sendall(json.dumps(message).encode())
        except OSError as error:
            raise NoDatabase(f"the connection is lost: {error}", where=self.path, hint=LOOK) from error

    def _receive(self) -> dict[str, Any]:
        assert self._socket is not None, "used outside of its with"
        while True:
            self._buffer = self._buffer.lstrip()
            try:
                message, end = self._decoder.raw_decode(self._buffer)
            except ValueError:  # not yet whole
                message, end = None, 0
            if isinstance(message, dict):
                self._buffer = self._buffer[end:]
                return message
            try:
                # One line of ASCII text a message: the server escapes everything else
                more = self._socket.recv(65536).decode("utf-8", "replace")
            except OSError as error:
                raise NoDatabase(f"no answer: {error}", where=self.path, hint=LOOK) from error
            if not more:
                raise NoDatabase("it closed the connection", where=self.path, hint=LOOK)
            self._buffer += more


class Ovsdb(JsonRpc):
    """A connection to the database."""

    def __init__(self, path: str = SOCKET, *, timeout: float = 10.0) -> None:
        super().__init__(path, timeout=timeout)

    def select(self, table: str, columns: Sequence[str], where: Sequence[Any] = ()) -> list[Row]:
        """Rows of a table, their values plain: a set is a list, a map a dict, a UUID its text."""
        (found,) = self.transact({"op": "select", "table": table, "where": list(where), "columns": list(columns)})
        return [{column: plain(value) for column, value in row.items()} for row in found["rows"]]

    def transact(self, *operations: Operation) -> list[dict[str, Any]]:
        """All of the operations or none of them; their results. Raises SalternError with the first one's error."""
        results = self.call("transact", [DATABASE, *operations])
        for result in results:
            if result and result.get("error"):
                text = ": ".join(str(result[key]) for key in ("error", "details") if result.get(key))
                raise SalternError(f"the database refuses: {text}", where=self.path)
        return [result or {} for result in results]

    def commit(
        self,
        *operations: Operation,
        patience: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """As :meth:`transact`, then wait until the switch has made it so.

        Raises SalternError when it has not within ``patience`` seconds; what was written stays written.
        """
        root = {"table": DATABASE, "where": []}
        *_, answer = self.transact(
            *operations,
            {"op": "mutate", **root, "mutations": [["next_cfg", "+=", 1]]},
            {"op": "select", **root, "columns": ["next_cfg"]},
        )
        wanted = int(answer["rows"][0]["next_cfg"]) if answer["rows"] else 0
        end = clock() + patience
        while True:
            rows = self.select(DATABASE, ["cur_cfg"])
            if rows and int(rows[0]["cur_cfg"]) >= wanted:
                return
            if clock() >= end:
                raise SalternError(
                    f"the switch has not taken up a change within {patience:g} s",
                    where=self.path,
                    hint="Look at it: docker logs openvswitch_vswitchd",
                )
            sleep(0.05)


def plain(value: Any) -> Any:
    """A value of the wire in Python's own terms.

    >>> plain(["map", [["a", "1"]]]), plain(["set", []]), plain(["uuid", "x"]), plain("b")
    ({'a': '1'}, [], 'x', 'b')
    """
    if isinstance(value, list) and len(value) == 2:
        kind, content = value
        if kind == "set":
            return [plain(item) for item in content]
        if kind == "map":
            return {key: plain(item) for key, item in content}
        if kind in ("uuid", "named-uuid"):
            return content
    return value


def many(value: Any) -> list[Any]:
    """A column that holds a set: one element comes bare."""
    return value if isinstance(value, list) else [value]


def mapping(values: Mapping[str, str]) -> list[Any]:
    """A map as the wire has it."""
    return ["map", [[key, value] for key, value in values.items()]]


def named(name: str) -> list[str]:
    """A row that the same transaction inserts (``uuid-name``)."""
    return ["named-uuid", name]


def by_uuid(uuid: str) -> list[Any]:
    """The condition that picks one row."""
    return [["_uuid", "==", ["uuid", uuid]]]
