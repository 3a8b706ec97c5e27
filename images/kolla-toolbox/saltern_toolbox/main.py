"""Read a request, do it, write the answer."""

import json
import sys
import time

from saltern_toolbox import departure, jobs, overview
from saltern_toolbox.database import Databases
from saltern_toolbox.first_cloud import FirstCloud
from saltern_toolbox.identity import Identity
from saltern_toolbox.report import Failed, Unreachable, change, mask, secrets_of

# Seconds for what is just starting to answer.
WAIT = {"compare": 0, "apply": 60, "job_begin": 60, "job_end": 60, "overview": 0, "first_cloud": 60, "key_pair": 0}
WAIT |= {"host_empty": 10, "host_forget": 10}
CLOUD_SECONDS = 60  # for one call
OVERVIEW_SECONDS = 5  # for one call: somebody looks at a screen
PAUSE = 1.0


def connect_database(where):
    # Imported where it is used: a batch on the database alone does not pay for Keystone's client, and vice versa.
    from saltern_toolbox import mariadb

    return mariadb.connect(where)


def connect_identity(where):
    from saltern_toolbox import keystone

    return keystone.connect(where)


def connect_cloud(where, seconds):
    from saltern_toolbox import apis

    return apis.connect(where, seconds)


CONNECT = {"database": connect_database, "identity": connect_identity, "cloud": connect_cloud}


class Work:
    """One request.

    connect
        Functions that make a client of the database, of Keystone and of the cloud's other services, by "database",
        "identity" and "cloud".
    """

    def __init__(self, request, connect, sleep=time.sleep, clock=time.monotonic):
        self._request, self._connect = request, connect
        self._sleep, self._clock = sleep, clock
        self._wait = float(request.get("wait", WAIT[request["action"]]))
        self.errors = []

    def do(self):
        """The answer, but for ``errors``."""
        action = self._request["action"]
        if action in ("host_empty", "host_forget"):
            return self._departure(departure.empty if action == "host_empty" else departure.forget)
        if action in ("overview", "first_cloud", "key_pair"):
            return getattr(self, f"_{action}")()
        if action == "compare":
            return {"services": self._compare()}
        return {"services": self._apply() if action == "apply" else self._job(action)}

    def _overview(self):
        answer = overview.overview(self._connect["cloud"](self._request["identity"], OVERVIEW_SECONDS))
        self.errors += answer["errors"]
        return answer

    def _departure(self, work):
        cloud = self._patiently(lambda: self._connect["cloud"](self._request["identity"], CLOUD_SECONDS))
        answer = work(cloud, self._request, self._sleep, self._clock)
        self.errors += answer["errors"]
        return answer

    def _key_pair(self):
        from saltern_toolbox import keys

        return {"key_pair": keys.pair(self._request["comment"])}

    def _first_cloud(self):
        want, act = self._request["want"], not self._request["dry_run"]
        changes, notes, instance = [], [], None
        try:
            work = FirstCloud(self._patiently(self._reached), want, act, self._sleep, self._clock)
            changes, notes, self.errors = work.changes, work.notes, work.errors
            if self._request["remove"]:
                work.remove()
            else:
                instance = work.ensure()
        except Failed as error:  # what was changed until then is told all the same
            self.errors.append(str(error))
        return {"changes": changes, "instance": instance, "notes": notes}

    def _reached(self):
        """Clients of a cloud each of whose services answers."""
        cloud = self._connect["cloud"](self._request["identity"], CLOUD_SECONDS)
        cloud.network.get("/networks", limit=1)
        cloud.image.get("/images", limit=1)
        cloud.compute.get("/flavors", limit=1)
        return cloud

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
        work = Work(request, connect or CONNECT)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The text of a JSON error would quote nothing, but that of a KeyError names the key only: both are safe.
        print(f"saltern-toolbox: not a request: {type(error).__name__} {error}", file=sys.stderr)
        return 2
    answer = {"services": {}}
    try:
        answer = work.do()
    except Failed as error:
        work.errors.append(str(error))
    except Exception as error:  # a traceback could quote a password; the answer must stay JSON
        work.errors.append(f"toolbox failed: {type(error).__name__}: {error}")
    target.write(json.dumps(mask({**answer, "errors": work.errors}, secrets)) + "\n")
    return 0
