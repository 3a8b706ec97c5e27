"""The rules for a single container: from evidence to heal, hold or report.

Pure: the same evidence, the same answer. The first rule that applies decides. ``hold`` always has an end, at which
the failure is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saltern.host import healing
from saltern.recovery.evidence import Evidence

RUN_HOLD, NEED_HOLD, PAUSE_HOLD = 15.0, 30.0, 300.0


@dataclass(frozen=True)
class Decision:
    """``heal``, ``hold`` (until a time) or ``report``; ``rule`` names the rule, ``why`` is a sentence for people."""

    kind: str
    rule: str
    why: str
    until: float | None = None


Rule = Callable[[Evidence], Decision | None]


def decide(evidence: Evidence) -> Decision:
    """What to do about one failure of a single container."""
    for rule in RULES:
        decision = rule(evidence)
        if decision is not None:
            return decision
    if evidence.settings.get("dry_run"):
        return _hold(evidence, "dry run", f"would heal: {_calm(evidence)}", PAUSE_HOLD)
    return Decision("heal", "single container", _calm(evidence))


def _over(evidence: Evidence) -> Decision | None:
    if not evidence.over:
        return None
    return Decision("report", "already over", "it is healthy again, or a younger failure of it is open")


def _unknown(evidence: Evidence) -> Decision | None:
    if evidence.known is not None:
        return None
    why = f"the model has no container {evidence.event.get('container')} on {evidence.event.get('host')}"
    return Decision("report", "unknown container", why)


def _never(evidence: Evidence) -> Decision | None:
    if evidence.event.get("restart") != "none":
        return None
    return Decision("report", "restart: none", "its service says that it is never restarted")


def _crashloop(evidence: Evidence) -> Decision | None:
    attempts = int(evidence.event.get("attempts") or 0)
    if evidence.event.get("reason") != healing.IN_CRASHLOOP and attempts < healing.CRASHLOOP:
        return None
    why = f"{attempts or healing.CRASHLOOP} heals in a row did not last {healing.SETTLED:.0f} s"
    return Decision("report", "crash loop", f"{why}; when it is mended: {_reset_verb(evidence)}")


def _paused(evidence: Evidence) -> Decision | None:
    if evidence.settings.get("enabled") is False:
        return _hold(evidence, "healing is off", "openstack:heal:enabled is false in the model", PAUSE_HOLD)
    if evidence.settings.get("paused"):
        return _hold(evidence, "paused", "healing is paused (openstack.heal_resume)", PAUSE_HOLD)
    return None


def _run(evidence: Evidence) -> Decision | None:
    if evidence.run is None:
        return None
    why = f"run {evidence.run.get('run')} ({evidence.run.get('verb')}) is at work on it"
    return _hold(evidence, "open run", why, RUN_HOLD)


def _image(evidence: Evidence) -> Decision | None:
    if evidence.event.get("reason") != healing.IMAGE_GONE:
        return None
    image = (evidence.known or {}).get("image") or "its image"
    return Decision("report", "image gone", f"{image} is not on the host: build or pull it, then it is started again")


def _needs(evidence: Evidence) -> Decision | None:
    if not evidence.dead:
        return None
    names = ", ".join(sorted({need["container"] for need in evidence.dead}))
    return _hold(evidence, "needs", f"{names} is healthy nowhere, and it needs that", NEED_HOLD)


def _backoff(evidence: Evidence) -> Decision | None:
    not_before = float(evidence.event.get("not_before") or 0)
    if not_before <= evidence.now:
        return None
    attempts = int(evidence.event.get("attempts") or 0)
    why = f"{attempts} heal{'s' if attempts != 1 else ''} in a row did not last {healing.SETTLED:.0f} s"
    return Decision("hold", "back-off", why, not_before)


def _budget(evidence: Evidence) -> Decision | None:
    budget, window = int(evidence.settings["budget"]), float(evidence.settings["budget_window"])
    if len(evidence.heals) < budget:
        return None
    until = sorted(evidence.heals)[-budget] + window
    why = f"healed {len(evidence.heals)} times in {window / 60:.0f} min"
    return Decision("hold", "budget", f"{why}; to try at once: {_reset_verb(evidence)}", until)


RULES: tuple[Rule, ...] = (_over, _unknown, _never, _crashloop, _paused, _run, _image, _needs, _backoff, _budget)


def _hold(evidence: Evidence, rule: str, why: str, seconds: float) -> Decision:
    return Decision("hold", rule, why, evidence.now + seconds)


def _calm(evidence: Evidence) -> str:
    window = float(evidence.settings["budget_window"]) / 60
    count = len(evidence.heals)
    used = f"healed {count} time{'s' if count != 1 else ''} in {window:.0f} min" if count else "no budget used"
    needs = (evidence.known or {}).get("needs")
    return f"{used}, what it needs is there" if needs else used


def _reset_verb(evidence: Evidence) -> str:
    return f"salt-run openstack.heal_reset {evidence.event.get('container')} host={evidence.event.get('host')}"
