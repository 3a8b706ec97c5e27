"""Databases, their users and rights: found out by a few reads, put right by the statements that are missing.

Passwords never reach the server's logs or its process list: the program sends the hash that the server would have
stored, and compares hashes to find out whether one is right.
"""

import hashlib
import hmac

from saltern_toolbox.report import change

CHARSET = "utf8mb4"


def native_hash(password):
    """What MariaDB stores for mysql_native_password."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def identifier(name):
    return "`" + name.replace("`", "``") + "`"


def pattern(name):
    """A database's name in GRANT, where _ is a wildcard."""
    return identifier(name.replace("_", "\\_"))


class Databases:
    """Compares and, when ``act``, changes the databases of one service after the other."""

    def __init__(self, server, act):
        self._server, self._act = server, act
        self._schemas = {name for (name,) in server.query("SELECT schema_name FROM information_schema.schemata")}
        self._users = {
            user: (plugin, stored)
            for user, plugin, stored in server.query(
                "SELECT user, plugin, authentication_string FROM mysql.user WHERE host = '%%'"
            )
        }

    def reconcile(self, wanted):
        """The changes that one service's databases need (or got)."""
        changes = []
        for entry in wanted:
            changes += self._schema(entry["name"])
            changes += self._user(entry["user"], entry["password"])
            changes += self._rights(entry["user"], entry["name"])
        return changes

    def _schema(self, name):
        # Its character set is a matter of its creation only: Keystone's own migrations change the default afterwards.
        if name not in self._schemas:
            self._schemas.add(name)
            self._do(f"CREATE DATABASE IF NOT EXISTS {identifier(name)} CHARACTER SET {CHARSET}")
            return [change("database", name, "create")]
        return []

    def _user(self, user, password):
        wanted = ("mysql_native_password", native_hash(password))
        found = self._users.get(user)
        if found and found[0] == wanted[0] and hmac.compare_digest(found[1].upper(), wanted[1]):
            return []
        self._users[user] = wanted
        self._do("CREATE USER IF NOT EXISTS %s@'%%'", (user,))
        self._do("ALTER USER %s@'%%' IDENTIFIED VIA mysql_native_password USING %s", (user, wanted[1]))
        return [change("user", user, "update", "password") if found else change("user", user, "create")]

    def _rights(self, user, name):
        wanted = f"GRANT ALL PRIVILEGES ON {pattern(name)}.* TO"
        if user in self._granted() and any(line.startswith(wanted) for line in self._grants(user)):
            return []
        self._do(f"GRANT ALL PRIVILEGES ON {pattern(name)}.* TO %s@'%%'", (user,))
        return [change("grant", f"{user} on {name}", "create")]

    def _granted(self):
        """Users that exist on the server by now: one that is only going to be made has no rights to ask for."""
        return {user for (user,) in self._server.query("SELECT user FROM mysql.user WHERE host = '%%'")}

    def _grants(self, user):
        return [line for (line,) in self._server.query("SHOW GRANTS FOR %s@'%%'", (user,))]

    def _do(self, sql, args=()):
        if self._act:
            self._server.query(sql, args)
