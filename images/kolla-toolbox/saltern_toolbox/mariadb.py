"""A client for MariaDB: one connection, bounded in time, errors in words."""

import socket

import pymysql

from saltern_toolbox.report import Failed, Unreachable

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
# Codes that say "not now" (no route, no backend, not yet synced), as opposed to "never" (access denied).
NOT_NOW = {1040, 1047, 1053, 1205, 1213, 2002, 2003, 2006, 2013, 2055}


def connect(where):
    """A connection of the administrator, as ``query(sql, args) -> rows``."""
    connection = pymysql.Connection(
        host=where["host"],
        port=int(where["port"]),
        user=where["user"],
        password=where["password"],
        charset="utf8mb4",
        autocommit=True,
        read_timeout=ANSWER_SECONDS,
        write_timeout=ANSWER_SECONDS,
        defer_connect=True,
    )
    try:
        connection.connect(greeted(where["host"], int(where["port"])))
    except pymysql.MySQLError as error:
        raise translated(error) from None
    except OSError as error:
        raise Unreachable(f"database unreachable: {error}") from None
    return Server(connection)


def greeted(host, port):
    """A connection on which the server has begun to speak: a load balancer takes any and may have nobody behind it."""
    found = socket.create_connection((host, port), CONNECT_SECONDS)
    try:
        if found.recv(1, socket.MSG_PEEK):
            return found
    except OSError as error:
        found.close()
        raise Unreachable(f"database unreachable: no greeting from {host}:{port} ({error})") from None
    found.close()
    raise Unreachable(f"database unreachable: {host}:{port} hangs up, no member behind it is ready")


def translated(error):
    code = error.args[0] if error.args else 0
    text = error.args[1] if len(error.args) > 1 else str(error)
    if code in NOT_NOW:
        return Unreachable(f"database unreachable: {text} ({code})")
    return Failed(f"database refused: {text} ({code})")


class Server:
    """One connection; errors leave it as Failed or Unreachable."""

    def __init__(self, connection):
        self._connection = connection

    def query(self, sql, args=()):
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, args)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise translated(error) from None
        except OSError as error:
            raise Unreachable(f"database unreachable: {error}") from None

    def close(self):
        self._connection.close()
