"""Read a request, do it, write the answer."""

import json
import sys
import time

from saltern_toolbox import jobs
from saltern_toolbox.database import Databases
from saltern_toolbox.identity import Identity
from saltern_toolbox.report import Failed, Unreachable, change, mask, secrets_of

WAIT = {"compare": 0, "apply": 60, "job_begin": 60, "job_end": 60}  # seconds for what is just starting to answer
PAUSE = 1.0


def connect_database(where):
    # Imported where it is used: a batch on the database alone does not pay for Keystone's client, and vice versa.
    from saltern_toolbox import mariadb

    return mariadb.connect(where)


def connect_identity(where):
    from saltern_toolbox import keystone

    return keystone.connect(where)


class Work:
    """One request.

    connect
        Functions that make a client of the database and of Keystone, by "database" and "identity".
    """

    def __init__(self, request, connect, sleep=time.sleep, clock=time.monotonic):
        self._request, self._connect = request, connect
        self._sleep, self._clock = sleep, clock
        self._wait = float(request.get("wait", WAIT[request["action"]]))
        self.errors = []

    def do(self):
        """The answer's services."""
        action = self._request["action"]
        if action == "compare":
            return self._compare()
        return self._apply() if action == "apply" else self._job(action)

    def _compare(self):
        answer = {name: {"database": [], "identity": [], "jobs_due": []} for name in self._request["services"]}
        self._compare_database(answer)
        self._compare_identity(answer)
        return answer

    def _compare_database(self, answer):
        wanted = {n: s for n, s in self._request["services"].items() if s.get("databases") or s.get("jobs")}
        if not wanted:
            return
        try:
            server = self._server()
            done = jobs.recorded(server)
            databases = self._databases(server, act=False)
            for name, service in wanted.items():
                answer[name]["database"] = databases.reconcile(service.get("databases") or [])
                answer[name]["jobs_due"] = jobs.due(name, service.get("jobs") or [], done)
        except Failed as error:
            self.errors.append(str(error))
            for name, service in wanted.items():
                answer[name]["database"] = [change("database", name, "unknown")] if service.get("databases") else []
                answer[name]["jobs_due"] = [job["name"] for job in service.get("jobs") or []]

    def _compare_identity(self, answer):
        wanted = {
            n: s["identity"] for n, s in self._request["services"].items() if any((s.get("identity") or {}).values())
        }
        if not wanted:
            return
        try:
            identity = self._identity(act=False)
            for name, part in wanted.items():
                answer[name]["identity"] = identity.reconcile(part)
        except Failed as error:
            self.errors.append(str(error))
            for name in wanted:
                answer[name]["identity"] = [change("identity", name, "unknown")]

    def _apply(self):
        name, part = self._request["service"], self._request["part"]
        service = self._request["services"][name]
        if part == "database":
            changes = self._databases(self._server(), act=True).reconcile(service.get("databases") or [])
        else:
            changes = self._identity(act=True).reconcile(service.get("identity") or {})
        return {name: {part: changes}}

    def _job(self, action):
        name, lease = self._request["service"], self._request["lease"]
        (job,) = self._request["services"][name]["jobs"]
        server = self._server()
        if action == "job_begin":
            return {name: {"job": jobs.begin(server, name, job, lease)}}
        return {name: {"job": jobs.end(server, name, job, lease, self._request["result"] == "ok")}}

    def _server(self):
        return self._patiently(lambda: self._connect["database"](self._request["database"]))

    def _databases(self, server, act):
        return Databases(server, act)

    def _identity(self, act):
        where = self._request["identity"]
        cloud = self._patiently(lambda: self._connect["identity"](where))
        return Identity(cloud, where["domain"], where["region"], act)

    def _patiently(self, connect):
        """Try again while nobody answers: what was started a moment ago is not behind its load balancer yet."""
        until = self._clock() + self._wait
        while True:
            try:
                return connect()
            except Unreachable:
                if self._clock() >= until:
                    raise
            self._sleep(PAUSE)


def main(source, target, connect=None):
    """Exit code: 0 done (differences and errors are in the answer), 2 the request is none."""
    try:
        request = json.load(source)
        secrets = secrets_of(request)
        work = Work(request, connect or {"database": connect_database, "identity": connect_identity})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The text of a JSON error would quote nothing, but that of a KeyError names the key only: both are safe.
        print(f"saltern-toolbox: not a request: {type(error).__name__} {error}", file=sys.stderr)
        return 2
    answer = {"services": {}, "errors": work.errors}
    try:
        answer["services"] = work.do()
    except Failed as error:
        work.errors.append(str(error))
    except Exception as error:  # a traceback could quote a password; the answer must stay JSON
        work.errors.append(f"toolbox failed: {type(error).__name__}: {error}")
    target.write(json.dumps(mask(answer, secrets)) + "\n")
    return 0
