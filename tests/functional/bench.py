"""A small cloud of real containers on this machine's engine, without Salt: specs as a host gets them, names of our own.

Everything listens on an address of the loopback network that nobody else uses, so it stands beside other clouds.
"""

import contextlib
import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from unit.services import cloud

from saltern.host import files, probes, spec
from saltern.host.context import Host
from saltern.host.engine import Engine, image_ids
from saltern.host.store import Store
from saltern.images.options import Options

PREFIX = "bench_"
# Another namespace than the operator's: tests of images that are not deployed here
IMAGES = Options(namespace=os.environ.get("SALTERN_TEST_NAMESPACE", "saltern"))


class Prefixed(Engine):
    """The engine, but every container has our prefix, which the library does not see."""

    def inspect(self, name: str) -> dict[str, Any] | None:
        return super().inspect(PREFIX + name)

    def create(self, name: str, body: dict[str, Any]) -> str:
        return super().create(PREFIX + name, body)

    def start(self, name: str) -> None:
        super().start(PREFIX + name)

    def stop(self, name: str, timeout: int = 10) -> None:
        super().stop(PREFIX + name, timeout)

    def kill(self, name: str, signal: str = "KILL") -> None:
        super().kill(PREFIX + name, signal)

    def remove(self, name: str, *, force: bool = False) -> None:
        super().remove(PREFIX + name, force=force)

    def wait(self, name: str, timeout: float) -> int | None:
        return super().wait(PREFIX + name, timeout)

    def logs(self, name: str, lines: int = 20) -> list[str]:
        return super().logs(PREFIX + name, lines)

    def exec(self, name: str, argv: list[str], **options: Any) -> tuple[int, bytes, bytes]:
        return super().exec(PREFIX + name, argv, **options)


def cannot(reason: str) -> None:
    """End a test that lacks something: it fails under ``./saltern test``, elsewhere it is skipped."""
    pytest.fail(reason) if os.environ.get("SALTERN_TEST_STRICT") else pytest.skip(reason)


@contextlib.contextmanager
def running(root: Path, address: str, *names: str, **options: Any) -> Iterator["Bench"]:
    """A cloud with these containers' images here (else the test is skipped); what a killed run left is removed."""
    made = Bench(root, address, **options)
    if lacking := made.lacking(*names):
        made.engine.close()
        cannot(f"build these first: {', '.join(lacking)}")
    try:
        made.clear()
        yield made
    finally:
        made.close()


def token(bench: "Bench", user: str, password: str, project: str) -> str:
    """A token, asked for through HAProxy."""
    login = {"user": {"name": user, "domain": {"id": "default"}, "password": password}}
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": login}, "scope": scope}}
    request = urllib.request.Request(
        f"http://{bench.address}:5000/v3/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers["X-Subject-Token"])


def admin(bench: "Bench") -> str:
    """A token of the administrator."""
    login = bench.part["batch"]["identity"]
    return token(bench, login["user"], login["password"], login["project"])


class Bench:
    """One host's slice of a compiled cloud, and the containers made from it."""

    def __init__(
        self, root: Path, address: str, namespace: str = "saltern", type: str = "source", **openstack: Any
    ) -> None:
        self.address = address
        hosts = {"bench": {"address": address, "roles": cloud.ALL}}
        made = cloud.compiled(hosts, cloud="bench", images={"namespace": namespace, "type": type}, **openstack)
        self.part = made.slices["bench"]
        self.engine = Prefixed()
        self.images = image_ids(self.engine.images())
        self.host = Host(self.engine, Store(root), "bench", "bench", secrets=tuple(self.part["secrets"]))

    def lacking(self, *names: str) -> list[str]:
        """Images of these containers that are not on this machine."""
        return [self.spec(name)["image"] for name in names if self.spec(name)["image"] not in self.images]

    def spec(self, name: str) -> dict[str, Any]:
        (found,) = [entry for entry in self.part["containers"] if entry["name"] == name]
        return dict(found)

    def start(self, name: str, *, wait: bool = True, **changes: Any) -> None:
        """Make and start a container; with ``wait`` until it is ready."""
        wanted = {**self.spec(name), **changes}
        for mount in wanted["mounts"]:
            mount["source"] = PREFIX + mount["source"].removeprefix(PREFIX)
        folder = files.write(self.host.store.config, wanted)
        self.engine.create(name, spec.body(wanted, self.images[wanted["image"]], folder))
        self.engine.start(name)
        if wait:
            self.ready(wanted)

    def ready(self, wanted: Mapping[str, Any]) -> None:
        """Wait until a container is healthy; its log is the failure's text."""
        name, probe = wanted["name"], wanted["readiness"] or wanted["liveness"]
        until = time.monotonic() + wanted["start_timeout"]
        while True:
            found = self.engine.inspect(name)
            assert found and found["State"]["Running"], "\n".join(self.engine.logs(name, 40))
            if not probe or probes.probe(probe).ok:
                return
            assert time.monotonic() < until, "\n".join(self.engine.logs(name, 40))
            time.sleep(0.1)

    def again(self, name: str) -> None:
        """Start a container that has ended."""
        self.engine.start(name)
        self.ready(self.spec(name))

    def clear(self) -> None:
        """Remove all containers, jobs and volumes of this cloud, also those of a run that was killed."""
        for entry in [*self.part["containers"], *(job["spec"] for job in self.part["jobs"])]:
            self.engine.remove(entry["name"], force=True)
        for entry in self.part["containers"]:
            for mount in entry["mounts"]:
                if mount["type"] == "volume":
                    self.engine.remove_volume(PREFIX + mount["source"].removeprefix(PREFIX))

    def close(self) -> None:
        self.clear()
        self.engine.close()


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition; fails with ``what`` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.1)
