"""A host that exists in memory: what the health engine's state machine looks at and does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import EngineUnavailable
from saltern.host.healing import Hold, Rules
from saltern.host.observe import DockerEvent, Observation
from saltern.host.watch import Watch


def committed(restart: str = "health", digest: str = "1:aa", **spec: Any) -> dict[str, Any]:
    """A committed document."""
    return {
        "spec": {"cloud": "test", "restart": restart, **spec},
        "digest": digest,
        "image_id": "sha256:1",
        "state": "running",
    }


class FakeWorld:
    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, Observation] = {}
        self.locked: set[str] = set()
        self.holds: dict[str, Hold] = {}
        self.images = {"sha256:1"}
        self.up = True
        self.master = True
        self.settings = Rules()
        self.cleared: list[str] = []
        self._changed = True

    def change(self, **documents: dict[str, Any] | None) -> None:
        for name, document in documents.items():
            if document is None:
                self.documents.pop(name, None)
            else:
                self.documents[name] = document
        self._changed = True

    def desired(self) -> Mapping[str, Mapping[str, Any]] | None:
        changed, self._changed = self._changed, False
        return dict(self.documents) if changed else None

    def listed(self) -> Mapping[str, Observation]:
        if not self.up:
            raise EngineUnavailable("no engine")
        return dict(self.containers)

    def inspect(self, name: str) -> Observation | None:
        return self.listed().get(name)

    def planned(self, name: str) -> bool:
        return name in self.locked

    def hold(self, name: str) -> Hold | None:
        return self.holds.get(name)

    def image_there(self, image_id: str) -> bool:
        return image_id in self.images

    def connected(self) -> bool:
        return self.master

    def rules(self) -> Rules:
        return self.settings

    def resets(self) -> list[str]:
        found, self.cleared = self.cleared, []
        return found


class FakeHands:
    def __init__(self) -> None:
        self.fired: list[tuple[str, str | None, dict[str, Any]]] = []
        self.heals: list[tuple[str, str]] = []
        self.probes: list[tuple[str, int, str]] = []
        self.remembered: dict[str, Any] = {}

    def fire(self, kind: str, name: str | None, data: dict[str, Any]) -> None:
        self.fired.append((kind, name, data))

    def heal(self, name: str, event: str, started: str | None) -> None:
        self.heals.append((name, event))

    def probe(self, name: str, generation: int, probing: Any) -> None:
        self.probes.append((name, generation, probing.kind))

    def remember(self, backoffs: Mapping[str, Any]) -> None:
        self.remembered = dict(backoffs)


class Bench:
    """A watch over a fake host with a clock that moves when it is told to."""

    def __init__(self, **documents: dict[str, Any]) -> None:
        self.world, self.hands, self.now = FakeWorld(), FakeHands(), 1000.0
        self._starts = 0
        self.watch = Watch(self.world, self.hands, boot_id="0123456789")
        for name, document in documents.items():
            self.world.change(**{name: document})
            self.run(name)
        self.watch.tick(self.now)
        self.pass_time(40)
        self.hands.fired.clear()

    def run(self, name: str, **seen: Any) -> None:
        """A new process of the container runs (no event)."""
        self._starts += 1
        self.world.containers[name] = Observation(name, "running", started=f"start {self._starts}", **seen)

    def die(self, name: str, *, code: int = 137, state: str = "exited", tick: bool = True) -> None:
        """The container's process ends, and Docker says so."""
        self.world.containers[name] = Observation(name, state, exit_code=code)
        self.event("die", name, exit_code=code)
        if tick:
            self.watch.tick(self.now)

    def start(self, name: str) -> None:
        """Somebody starts it, and Docker says so."""
        self.run(name)
        self.event("start", name)
        self.watch.tick(self.now)

    def event(self, action: str, name: str, **more: Any) -> None:
        self.watch.docker(DockerEvent(action, name, self.now, **more), self.now)

    def heal(self, name: str, result: str = "healed") -> None:
        """The heal that was begun has ended, well by default."""
        if result == "healed":
            self.run(name)
        self.watch.healed(name, {"result": result, "why": "test"}, self.now)
        self.watch.tick(self.now)

    def pass_time(self, seconds: float, *, answers: bool | None = True) -> None:
        """Let time pass as the loop would: from one due moment to the next, probes answered on the spot.

        answers
            What probes say; None = they never answer.
        """
        end = self.now + seconds
        turns = 0
        while True:
            self.now = min(end, max(self.now, self.watch.next_due(self.now)))
            self.watch.tick(self.now)
            self.answer(answers)
            turns += 1
            assert turns < 20 * seconds + 100, "the loop would spin"
            if self.now >= end:
                return
            self.now += 0.001

    def answer(self, ok: bool | None) -> None:
        while self.hands.probes and ok is not None:
            name, generation, kind = self.hands.probes.pop(0)
            self.watch.answered(name, generation, kind, ok, "GET / → test", self.now)

    def kinds(self, name: str | None = None) -> list[str]:
        """Kinds of the events fired, snapshots apart."""
        return [kind for kind, who, _ in self.hands.fired if kind != "snapshot" and (name is None or who == name)]

    def data(self, kind: str) -> dict[str, Any]:
        """Payload of the last event of a kind."""
        return next(data for k, _, data in reversed(self.hands.fired) if k == kind)
