"""A container that tests hurt, and what was said and done about it."""

from __future__ import annotations

import time
from typing import Any

from rig.cloud import SaltCloud
from rig.events import Event


class Patient:
    """One container under observation."""

    def __init__(self, cloud: SaltCloud, host: str, name: str) -> None:
        self.cloud, self.host, self.name = cloud, host, name
        self.engine = cloud.rig[host].engine()
        self.mark = cloud.events.mark()

    @property
    def container(self) -> Any:
        return self.engine.containers.get(self.name)

    def event(self, kind: str, timeout: float = 60, **fields: Any) -> Event:
        tag = f"openstack/{'heal' if kind == 'decided' else 'health'}/{self.host}/{self.name}/{kind}"
        return self.cloud.events.wait(
            tag, since=self.mark, timeout=timeout, where=lambda data: all(data.get(k) == v for k, v in fields.items())
        )

    def events(self, kind: str) -> list[Event]:
        return self.cloud.events.seen(f"openstack/*/{self.host}/{self.name}/{kind}", self.mark)

    def docker_kill(self) -> None:
        self.container.kill()

    def comes_back_from_a_kill(self, timeout: float = 90) -> bool:
        """Kill it: True when it was started again, False when it was given up as a crash loop."""
        before = self.container.attrs["State"]["StartedAt"]
        self.docker_kill()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = self.container.attrs["State"]
            if state["Running"] and state["StartedAt"] != before:
                return True
            if self.events("crashloop"):
                return False
            time.sleep(0.05)  # a condition of the engine
        raise TimeoutError(f"{self.name} was neither started again nor given up")

    def remove(self) -> None:
        self.container.remove(force=True)

    def kill_process(self) -> None:
        """As the kernel would, out of memory: the engine is not told."""
        pids = self._pids()
        self.cloud.rig[self.host].run("kill", "-9", *pids)

    def hang(self) -> None:
        """The process neither answers nor dies."""
        self.cloud.rig[self.host].run("kill", "-STOP", *self._pids())

    def cut_off(self, port: int) -> None:
        """Its connections to this port are gone at once, and it alone is told."""
        host, pids = self.cloud.rig[self.host], self._pids()
        for line in host.run("ss", "-tnpH", "state", "established", f"dport = :{port}").stdout.splitlines():
            if any(f"pid={pid}," in line for pid in pids):
                own = line.split()[2].rpartition(":")[2]
                host.run("ss", "-K", "-tnH", f"sport = :{own} and dport = :{port}")

    def _pids(self) -> list[str]:
        """The container's processes but its init (as the host numbers them)."""
        main = self.container.attrs["State"]["Pid"]
        rows = self.container.top()["Processes"]
        return [row[1] for row in rows if row[1] != str(main)] or [str(main)]

    def running(self, timeout: float = 60) -> None:
        """Wait on the engine's own events until the container runs."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.engine.containers.list(all=True, filters={"name": f"^/{self.name}$"})
            if found and found[0].status == "running":
                return
            time.sleep(0.05)  # a condition of the engine; its event stream may start too late
        raise TimeoutError(f"{self.name} does not run")
