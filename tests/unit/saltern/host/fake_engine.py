"""A Docker Engine in memory, and a host around it whose process can be "killed" at any step."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.names import LABEL_CLOUD
from saltern.host import files, store
from saltern.host.context import Host
from saltern.host.engine import Conflict, NotThere
from saltern.host.probes import Answer
from saltern.host.store import Store

START = "2026-01-01T00:00:00Z"
NEVER = "0001-01-01T00:00:00Z"
IMAGES = {"saltern/web:1": "sha256:" + "1" * 64, "saltern/web:2": "sha256:" + "2" * 64}


class Killed(BaseException):
    """The process ends here: no handler for errors may see it."""


class FakeEngine:
    """Containers by id. ``calls`` has the name of every method asked; ``log`` the order of starts."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.gone_volumes: list[str] = []
        self.calls: list[str] = []
        self.log: list[str] = []
        self.answers: dict[str, tuple[int, bytes, bytes]] = {}
        self._ids = itertools.count(1)

    # reading

    def containers(self, cloud: str | None = None, labels: list[str] | None = None) -> list[dict[str, Any]]:
        self.calls.append("containers")
        return [
            {
                "Id": c["Id"], "Names": [c["Name"]], "ImageID": c["Image"], "State": c["State"]["Status"],
                "Labels": dict(c["Config"]["Labels"]), "Status": "",
            }
            for c in self.made.values() if c["Config"]["Labels"].get(LABEL_CLOUD) == cloud
        ]  # fmt: skip

    def images(self) -> list[dict[str, Any]]:
        self.calls.append("images")
        return [{"Id": id_, "RepoTags": [tag], "RepoDigests": None} for tag, id_ in IMAGES.items()]

    def inspect(self, name: str) -> dict[str, Any] | None:
        self.calls.append("inspect")
        found = self._find(name)
        return copy.deepcopy(found) if found else None

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": reference} if reference in (*IMAGES, *IMAGES.values()) else None

    def logs(self, name: str, lines: int = 20) -> list[str]:
        self._get(name)
        return [f"log of {name}"]

    def volumes(self, cloud: str | None = None) -> list[dict[str, Any]]:
        return []

    # acting

    def create(self, name: str, body: dict[str, Any]) -> str:
        if self._find(name):
            raise Conflict(f"name {name} is in use", where="create")
        id_ = f"id{next(self._ids)}"
        body = copy.deepcopy(body)
        self.made[id_] = {
            "Id": id_, "Name": f"/{name}", "Image": body["Image"], "RestartCount": 0,
            "Config": {key: body[key] for key in body if key != "HostConfig"}, "HostConfig": body["HostConfig"],
            "State": {"Status": "created", "Running": False, "StartedAt": NEVER, "ExitCode": 0},
        }  # fmt: skip
        return id_

    def start(self, name: str) -> None:
        container = self._get(name)
        others = [c["Name"] for c in self.made.values() if c["State"]["Running"] and c is not container]
        # In these tests every container is an instance of one service: two at a time would write the same data.
        assert not others, f"{name} starts while {others} run"
        if not container["State"]["Running"]:
            self.log.append(container["Id"])
            container["State"].update(Status="running", Running=True, StartedAt=START)

    def stop(self, name: str, timeout: int = 10) -> None:
        self._get(name)["State"].update(Status="exited", Running=False, ExitCode=0)

    def restart(self, name: str, timeout: int = 10) -> None:
        self.stop(name)
        self.start(name)

    def unpause(self, name: str) -> None:
        self._get(name)["State"].update(Status="running", Running=True, Paused=False)

    def kill(self, name: str, signal: str = "KILL") -> None:
        self._get(name)
        self.calls.append(f"kill {signal}")

    def rename(self, name: str, new: str) -> None:
        if self._find(new):
            raise Conflict(f"name {new} is in use", where="rename")
        self._get(name)["Name"] = f"/{new}"

    def restart_policy(self, name: str, policy: str) -> None:
        self._get(name)["HostConfig"]["RestartPolicy"] = {"Name": policy}

    def remove(self, name: str, *, force: bool = False) -> None:
        found = self._find(name)
        if found:
            del self.made[found["Id"]]

    def remove_volume(self, name: str) -> None:
        self.gone_volumes.append(name)

    def exec(self, name: str, argv: list[str], **_: Any) -> tuple[int, bytes, bytes]:
        assert self._get(name)["State"]["Running"]
        self.calls.append(" ".join(argv))
        return self.answers.get(argv[0], (0, b"", b""))

    # for tests

    def names(self) -> dict[str, str]:
        return {c["Name"][1:]: c["State"]["Status"] for c in self.made.values()}

    def get(self, name: str) -> dict[str, Any]:
        return self._get(name)

    def _find(self, name: str) -> dict[str, Any] | None:
        return self.made.get(name) or next((c for c in self.made.values() if c["Name"] == f"/{name}"), None)

    def _get(self, name: str) -> dict[str, Any]:
        found = self._find(name)
        if found is None:
            raise NotThere(f"No such container: {name}", where=name)
        return found


ACTS = ("create", "start", "stop", "restart", "rename", "restart_policy", "remove", "kill", "exec")


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def make_host(root: Path, engine: FakeEngine, **more: Any) -> Host:
    """A host; a running container whose environment has BAD fails its probe."""
    clock = Clock()

    def probe(check: dict[str, Any]) -> Answer:
        running = [c for c in engine.made.values() if c["State"]["Running"]]
        good = len(running) == 1 and "BAD=1" not in running[0]["Config"]["Env"]
        return Answer(good, "GET http://x/ → 200" if good else "GET http://x/ → connection refused")

    values: dict[str, Any] = {"name": "ctl1", "cloud": "test", "model": "m", "workers": 1, "lock_timeout": 0.0, **more}
    values = {"probe": probe, "clock": clock, "sleep": clock.sleep, "now": clock, **values}
    return Host(engine, Store(root), **values)  # type: ignore[arg-type]


def web(**more: Any) -> dict[str, Any]:
    """A spec with a file of each kind."""
    content = more.pop("content", "setting = 1")
    reload = more.pop("reload_content", "list = 1")
    return {
        "name": "web", "service": "web", "cloud": "test", "image": "saltern/web:1", "command": None, "user": None,
        "uid": 0, "gid": 0, "environment": {}, "restart": "engine", "stop_timeout": 2, "start_timeout": 5,
        "rollback": True, "liveness": {"http": "http://x/"}, "process": "web --serve",
        "reload": {"signal": "USR2", "check": ["webcheck"]},
        "files": [
            {"name": "web.conf", "dest": "/etc/web/web.conf", "owner": "web", "mode": "0600", "content": content},
            {"name": "list/a", "dest": "/etc/web/list", "owner": "web", "mode": "0600", "content": reload,
             "on_change": "reload"},
        ],
        **more,
    }  # fmt: skip


def kill_at(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, step: int) -> Callable[[], int]:
    """Kill the process at the n-th half step: before an act takes effect, or after it did and before we know.

    An act is a changing call of the engine, or a change of the disk. Returns a function that tells how many half steps
    were counted.
    """
    count = itertools.count()
    seen = [0]

    def half_step() -> None:
        seen[0] = next(count)
        if seen[0] == step:
            raise Killed

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            half_step()
            result = function(*args, **kwargs)
            half_step()
            return result

        return wrapped

    for name in ACTS:
        monkeypatch.setattr(engine, name, wrap(getattr(engine, name)), raising=True)
    for owner, name in ((store.Shelf, "put"), (store.Shelf, "drop"), (files, "write"), (files, "prune")):
        monkeypatch.setattr(owner, name, wrap(getattr(owner, name)))
    return lambda: seen[0]
