"""The default driver: one container, restarted on its own host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.recovery import decide as rules
from saltern.recovery import evidence as evidences
from saltern.recovery.decide import Decision
from saltern.recovery.drivers import Order, Scene
from saltern.recovery.evidence import Evidence


class Single:
    """Heals a container by an order to its host, or tells the host to wait."""

    name = "single"

    def gather(self, event: Mapping[str, Any], scene: Scene) -> Evidence:
        """See `evidence.gather`."""
        return evidences.gather(event, scene.state, scene.plan, scene.settings, scene.run, scene.now)

    def decide(self, evidence: Evidence) -> Decision:
        """See `decide.decide`."""
        return rules.decide(evidence)

    def act(self, decision: Decision, evidence: Evidence, order: str) -> list[Order]:
        """``heal``, or ``hold``; in a dry run also a heal that only says what it would do."""
        event = evidence.event
        host, container = str(event["host"]), str(event["container"])
        heal = {"order": order, "event": event["event"]}
        if event.get("started"):
            heal["started"] = event["started"]
        if decision.kind == "heal":
            return [Order(order, host, container, "heal", {"name": container, **heal})]
        if decision.kind != "hold":
            return []
        wait = {"name": container, "until": decision.until, "why": f"{decision.rule}: {decision.why}", "order": order}
        orders = [Order(order, host, container, "hold", wait)]
        if decision.rule == "dry run":
            orders.append(Order(order, host, container, "heal", {"name": container, **heal, "dry_run": True}))
        return orders

    def lease(self, evidence: Evidence) -> str:
        """One at a time on a container."""
        return f"{evidence.event['host']}/{evidence.event['container']}"
