"""Fakes of what the toolbox program talks to: a database server and a Keystone, in memory."""

import itertools
import re
from typing import Any


class Server:
    """Answers the statements that the program sends, as MariaDB would; the clock is the test's."""

    def __init__(self) -> None:
        self.schemas = {"mysql": "utf8mb4"}
        self.users: dict[str, tuple[str, str]] = {}
        self.grants: dict[str, list[str]] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] | None = None
        self.now = 1000
        self.statements: list[str] = []
        self.writes = 0

    def query(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        self.statements.append(sql)
        sql = " ".join(sql.replace("%%", "%").split())
        if not sql.startswith(("SELECT", "SHOW")):
            self.writes += 1
        for start in (n for n in dir(self) if n.startswith("on_")):
            method = getattr(self, start)
            found = re.match(method.__doc__, sql)
            if found:
                return list(method(found, args) or [])
        raise AssertionError(f"unexpected statement: {sql}")

    def close(self) -> None:
        pass

    def on_schemata(self, _found: Any, _args: Any) -> Any:
        r"SELECT schema_name FROM"
        return [(name,) for name in self.schemas]

    def on_users(self, _found: Any, _args: Any) -> Any:
        r"SELECT user, plugin"
        return [(user, *rest) for user, rest in self.users.items()]

    def on_user_names(self, _found: Any, _args: Any) -> Any:
        r"SELECT user FROM mysql.user"
        return [(user,) for user in self.users]

    def on_create_schema(self, found: Any, _args: Any) -> None:
        r"CREATE DATABASE IF NOT EXISTS `?(\w+)`? CHARACTER SET (\w+)"
        self.schemas.setdefault(found[1], found[2])

    def on_create_user(self, _found: Any, args: Any) -> None:
        r"CREATE USER IF NOT EXISTS %s@'%'$"
        self.users.setdefault(args[0], ("mysql_native_password", ""))

    def on_alter_user(self, _found: Any, args: Any) -> None:
        r"ALTER USER %s@'%' IDENTIFIED VIA mysql_native_password USING %s"
        self.users[args[0]] = ("mysql_native_password", args[1])

    def on_show_grants(self, _found: Any, args: Any) -> Any:
        r"SHOW GRANTS FOR %s@'%'"
        return [(line,) for line in self.grants.get(args[0], [])]

    def on_grant(self, found: Any, args: Any) -> None:
        r"(GRANT ALL PRIVILEGES ON `\S+`\.\* TO) %s@'%'"
        self.grants.setdefault(args[0], []).append(f"{found[1]} `{args[0]}`@`%`")

    def on_jobs_there(self, _found: Any, _args: Any) -> Any:
        r"SELECT 1 FROM information_schema.tables"
        return [] if self.jobs is None else [(1,)]

    def on_jobs_create(self, _found: Any, _args: Any) -> None:
        r"CREATE TABLE IF NOT EXISTS saltern.jobs"
        self.jobs = self.jobs if self.jobs is not None else {}

    def on_jobs_insert(self, _found: Any, args: Any) -> None:
        r"INSERT IGNORE INTO saltern.jobs"
        assert self.jobs is not None
        empty = {"image_id": "", "input": "", "finished": False, "holder": None, "until": None}
        self.jobs.setdefault((args[0], args[1]), empty)

    def on_jobs_recorded(self, _found: Any, _args: Any) -> Any:
        r"SELECT service, job, image_id, input FROM saltern.jobs WHERE finished IS NOT NULL"
        rows = (self.jobs or {}).items()
        return [(*key, row["image_id"], row["input"]) for key, row in rows if row["finished"]]

    def on_jobs_lease(self, _found: Any, args: Any) -> None:
        r"UPDATE saltern.jobs SET holder = %s"
        holder, image, given, seconds, service, job, host = args
        assert self.jobs is not None
        row = self.jobs[service, job]
        if row["holder"] is None or row["until"] < self.now or row["holder"].split("/")[0] == host:
            row.update(holder=holder, image_id=image, input=given, finished=False, until=self.now + seconds)

    def on_jobs_holder(self, _found: Any, args: Any) -> Any:
        r"SELECT holder, DATE_FORMAT"
        row = (self.jobs or {}).get((args[0], args[1]))
        return [(row["holder"], str(row["until"]))] if row else []

    def on_jobs_end(self, found: Any, args: Any) -> None:
        r"UPDATE saltern.jobs SET finished = (\S+), lease_until"
        assert self.jobs is not None
        row = self.jobs[args[0], args[1]]
        if row["holder"] == args[2]:
            row.update(finished=found[1] != "NULL", holder=None, until=None)


class Keystone:
    """Enough of Keystone's API for what the program asks."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.things: dict[str, list[dict[str, Any]]] = {
            "domains": [{"id": "default", "name": "Default"}],
            "projects": [],
            "roles": [],
            "users": [],
            "services": [],
            "endpoints": [],
        }
        self.assignments: set[tuple[str, str, str]] = set()
        self.writes: list[tuple[str, str]] = []

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        kind = path.strip("/")
        if kind == "role_assignments":
            wanted = (query["user.id"], query["scope.project.id"])
            held = [role for user, project, role in self.assignments if (user, project) == wanted]
            return {kind: [{"role": {"id": role}} for role in held]}
        return {kind: [dict(t) for t in self.things[kind] if all(t.get(k) == v for k, v in query.items())]}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.writes.append(("post", path))
        ((kind, thing),) = body.items()
        made = {"id": f"{kind}{next(self._ids)}", **thing}
        self.things[path.strip("/")].append(made)
        return {kind: made}

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self.writes.append(("patch", path))
        ((_, fields),) = body.items()
        self._find(path).update(fields)

    def put(self, path: str, _body: Any) -> None:
        self.writes.append(("put", path))
        _, project, _, user, _, role = path.strip("/").split("/")
        self.assignments.add((user, project, role))

    def delete(self, path: str, _body: Any) -> None:
        self.writes.append(("delete", path))
        self.things[path.strip("/").split("/")[0]].remove(self._find(path))

    def password_is_right(self, user: str, password: str) -> bool:
        found = self._find(f"/users/{user}")
        assert found["enabled"], "a disabled user cannot log in"
        return bool(found["password"] == password)

    def _find(self, path: str) -> dict[str, Any]:
        kind, wanted = path.strip("/").split("/")
        (found,) = [thing for thing in self.things[kind] if thing["id"] == wanted]
        return found
