"""A master without Salt: a recoverer with a plan, hands that remember, and a clock that moves when it is told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saltern.contract import events
from saltern.recovery.drivers import Order
from saltern.recovery.recoverer import Recoverer

DIGEST = "0123456789abcdef"


def plan(**heal: Any) -> dict[str, Any]:
    """Two hosts; keystone needs mariadb (restart: health) and memcached (restart: engine)."""

    def container(service: str, restart: str, hosts: list[str], *needs: str) -> dict[str, Any]:
        return {"service": service, "restart": restart, "image": f"saltern/{service}:1", "hosts": hosts, "needs": needs}

    return {
        "digest": DIGEST,
        "cloud": "test",
        "hosts": {
            "ctl1": {"containers": ["mariadb", "memcached", "keystone"]},
            "ctl2": {"containers": ["keystone", "once"]},
        },
        "containers": {
            "mariadb": container("mariadb", "health", ["ctl1"]),
            "memcached": container("memcached", "engine", ["ctl1"]),
            "keystone": container("keystone", "engine", ["ctl1", "ctl2"], "mariadb", "memcached"),
            "once": container("once", "none", ["ctl2"]),
        },
        "heal": heal,
        "steps": [{"id": "start keystone", "hosts": ["ctl1", "ctl2"], "containers": ["keystone"]}],
    }


class Master:
    def __init__(self, root: Path, **heal: Any) -> None:
        self.root, self.now = root, 5000.0
        self.orders: list[Order] = []
        self.fired: list[tuple[str, dict[str, Any]]] = []
        self.deaf = False
        self._count = 0
        directory = root / "compiled" / DIGEST
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "plan.json").write_text(json.dumps(plan(**heal)))
        if not (root / "compiled" / "current").is_symlink():
            (root / "compiled" / "current").symlink_to(DIGEST)
        self.start()

    def start(self) -> None:
        """(Re)start the engine; what is not on disk is gone."""
        self.recoverer = Recoverer(self.root, self._send, lambda tag, data: self.fired.append((tag, data)), self.now)

    def _send(self, order: Order) -> str:
        if self.deaf:
            raise OSError("no minion")
        self.orders.append(order)
        return f"job {len(self.orders)}"

    def say(self, host: str, container: str | None, kind: str, sender: str | None = None, **data: Any) -> None:
        """A host says something over the bus."""
        tag = events.health_tag(host, container, kind) if container else events.snapshot_tag(host)
        payload = events.stamped("test", self.now, host=host, container=container, **data)
        self.recoverer.event(tag, payload, sender or host, self.now)

    def fail(self, host: str, container: str, **data: Any) -> str:
        """A container fails; returns the event's id."""
        event = self.failure(host, container, **data)
        tag = events.health_tag(host, container, "failed")
        self.recoverer.event(tag, event, host, self.now)
        return str(event["event"])

    def failure(self, host: str, container: str, **data: Any) -> dict[str, Any]:
        self._count += 1
        restart = plan()["containers"].get(container, {}).get("restart", "engine")
        event = events.event_id("01234567", container, self._count)
        known = {"event": event, "reason": "died", "exit_code": 137, "restart": restart, "attempts": 0, "spec": "1:aa"}
        return events.stamped("test", self.now, host=host, container=container, **{**known, **data})

    def snapshot(self, host: str, seq: int = 1, **healthy: bool) -> None:
        rows = {name: {"state": "running", "healthy": good, "restarts": 0} for name, good in healthy.items()}
        self.say(host, None, "snapshot", boot_id="b", seq=seq, containers=rows)

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.recoverer.tick(self.now)

    def decisions(self) -> list[tuple[str, str]]:
        lines = self.recoverer.history.read()
        return [(line["decision"], line["rule"]) for line in lines if line["kind"] == "decision"]

    def calls(self) -> list[tuple[str, str, str]]:
        return [(order.host, order.function, order.container) for order in self.orders]
