"""An engine whose toolbox container answers from a function and whose one-shot containers end as they are told to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saltern.contract.errors import EngineRefused
from saltern.host.context import Host
from saltern.host.store import Store

SECRET = "s3cret-value"
IMAGE = "saltern/keystone:2025.2"
JOB_SPEC = {
    "name": "keystone--db_sync",
    "service": "keystone",
    "cloud": "saltern",
    "image": IMAGE,
    "uid": 0,
    "gid": 0,
    "process": "keystone-manage db_sync",
    "restart": "none",
    "files": [{"name": "keystone.conf", "dest": "/etc/k", "owner": "keystone", "mode": "0600", "content": SECRET}],
}
JOB = {
    "name": "db_sync",
    "service": "keystone",
    "when": "before_start",
    "input": "i1",
    "timeout": 30,
    "spec": JOB_SPEC,
}
LATER = {**JOB, "name": "map", "when": "after_start", "spec": {**JOB_SPEC, "name": "keystone--map"}}
PART = {
    "host": "ctl1",
    "cloud": "saltern",
    "model": "m1",
    "jobs": [JOB, LATER],
    "secrets": [SECRET],
    "batch": {
        "database": {"host": "v", "port": 3306, "user": "saltern", "password": SECRET},
        "identity": {"auth_url": "http://v:5000/v3", "user": "admin", "password": SECRET},
        "services": {
            "keystone": {
                "databases": [{"name": "keystone", "user": "keystone", "password": SECRET}],
                "identity": {"services": [{"name": "keystone"}]},
                "jobs": [{"name": "db_sync", "input": "i1"}, {"name": "map", "input": "i1"}],
            },
            "glance": {"databases": [{"name": "glance", "user": "glance", "password": "other-secret"}], "jobs": []},
        },
    },
}
IMAGES = {IMAGE: "sha256:a"}


class Engine:
    """Records its calls; ``answer`` plays the toolbox program."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer, self.calls, self.requests = answer, [], []  # type: ignore[var-annotated]
        self.there: dict[str, dict[str, Any]] = {}
        self.ends: int | None = 0
        self.running = True
        self.log = ["one", f"two {SECRET}"]

    def exec(
        self, name: str, argv: list[str], *, stdin: bytes | None = None, user: Any = None, timeout: float = 0
    ) -> Any:
        assert SECRET not in " ".join(argv)
        if not self.running:
            raise EngineRefused("No such container: kolla_toolbox")
        request = json.loads(stdin or b"")
        self.requests.append(request)
        self.calls.append(request["action"])
        answer = self.answer(request)
        return answer if isinstance(answer, tuple) else (0, json.dumps(answer).encode(), b"")

    def inspect(self, name: str) -> Any:
        return self.there.get(name)

    def create(self, name: str, body: dict[str, Any]) -> str:
        assert name not in self.there
        self.calls.append(f"create {name}")
        self.there[name] = {"Config": {"Labels": body["Labels"]}, "State": {"Running": False}, "body": body}
        return "id"

    def start(self, name: str) -> None:
        self.calls.append(f"start {name}")
        self.there[name]["State"]["Running"] = True

    def wait(self, name: str, timeout: float) -> int | None:
        self.calls.append(f"wait {name} {timeout:g}")
        return self.ends

    def logs(self, _name: str, lines: int) -> list[str]:
        return self.log[-lines:]

    def remove(self, name: str, *, force: bool = False) -> None:
        if self.there.pop(name, None):
            self.calls.append(f"remove {name}")


def host(engine: Engine, root: Path) -> Host:
    return Host(engine=engine, store=Store(root), name="ctl1", secrets=(SECRET,), lock_timeout=0)  # type: ignore[arg-type]


def agreeable(request: dict[str, Any]) -> dict[str, Any]:
    """A toolbox for which every job is to run and every change succeeds."""
    service = request.get("service")
    if request["action"] == "compare":
        empty: dict[str, Any] = {"database": [], "identity": [], "jobs_due": []}
        return {"services": {name: dict(empty) for name in request["services"]}, "errors": []}
    if request["action"] == "apply":
        return {
            "services": {service: {request["part"]: [{"kind": "user", "name": "u", "what": "create"}]}},
            "errors": [],
        }
    begun = {"begin": "run", "holder": request["lease"]["holder"], "until": "later"}
    return {"services": {service: {"job": begun}}, "errors": []}
