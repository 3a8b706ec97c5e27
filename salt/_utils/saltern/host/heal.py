"""Heal one container: the one function behind orders from the master, operators and the minion that acts alone.

It works from the committed desired document, so it needs no master, and looks again under the container's lock, so an
order that comes late, or twice, does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saltern.contract.errors import LockHeld, SalternError
from saltern.contract.names import LABEL_SPEC, missing_hint
from saltern.host import committed, health, journal, mounts, swap
from saltern.host import spec as specs
from saltern.host.committed import Document
from saltern.host.context import Host
from saltern.host.engine import require_ours
from saltern.host.lock import ContainerLock
from saltern.host.spec import START_TIMEOUT, STOP_TIMEOUT

HEALED, NOTHING, HELD, REFUSED, FAILED = "healed", "nothing", "held", "refused", "failed"
LOCK_TIMEOUT = 2.0


@dataclass(frozen=True)
class Outcome:
    """``result`` is one of the five above, ``why`` a sentence for ``openstack.why``."""

    result: str
    why: str


@dataclass(frozen=True)
class Request:
    """``dry_run``: only say what would be done. ``ordered``: the master asks, so its own holds do not count.
    ``started``: when the process that was found unhealthy had started, as Docker writes it; that one gets no time to
    start, as it has had it."""

    dry_run: bool = False
    ordered: bool = False
    started: str | None = None


def heal(
    host: Host, name: str, *, dry_run: bool = False, ordered: bool = False, started: str | None = None
) -> dict[str, Any]:
    """Bring a container back, if it needs that and nothing speaks against it.

    name
        Container.
    dry_run, ordered, started
        See `Request`.

    Returns ``{"result", "why", "seconds"}``; never raises for what the engine or the host refuses.
    """
    begin = host.clock()
    outcome = _guarded(host, name, Request(dry_run, ordered, started))
    return {
        "result": outcome.result,
        "why": host.mask(outcome.why),
        "seconds": round(host.clock() - begin, 3),
    }


def hold(host: Host, name: str, until: float, why: str, order: str | None = None) -> dict[str, Any]:
    """Do not heal a container before ``until`` (epoch seconds); a time that is past lifts the hold.

    order
        Id of the master's order: a later order to heal overrides such a hold, but never an operator's.
    """
    if until <= host.now():
        host.store.holds.drop(name)
        return {"until": until, "why": why, "held": False}
    host.store.holds.put(name, {"until": until, "why": why, "order": order})
    return {"until": until, "why": why, "held": True}


def _guarded(host: Host, name: str, request: Request) -> Outcome:
    try:
        document = host.store.desired.get(name)
        refusal = _refusal(host, name, document, request)
        if refusal is not None:
            return refusal
        with ContainerLock(host.store.locks, name, "heal", timeout=LOCK_TIMEOUT):
            return _locked(host, name, request)
    except LockHeld as error:
        return Outcome(HELD, error.message)
    except (SalternError, OSError) as error:
        return Outcome(FAILED, str(error))


def _refusal(host: Host, name: str, document: Document | None, request: Request) -> Outcome | None:
    """What speaks against healing, without asking the engine."""
    if document is None:
        return Outcome(REFUSED, "nothing is committed for it on this host")
    if document.get("state") == committed.STOPPED:
        return Outcome(NOTHING, "its stop is planned")
    if document["spec"].get("restart") == "none":
        return Outcome(REFUSED, "its service says restart: none; it is only reported")
    held = host.store.holds.get(name)
    overridden = request.ordered and held is not None and held.get("order")
    if held is not None and not overridden and float(held.get("until") or 0) > host.now():
        return Outcome(HELD, str(held.get("why") or "on hold"))
    return None


def _locked(host: Host, name: str, request: Request) -> Outcome:
    # The document again: a run may have stopped, removed or replaced the container while we waited for the lock.
    document = host.store.desired.get(name)
    if document is None or document.get("state") == committed.STOPPED:
        return Outcome(NOTHING, "its stop is planned")
    if journal.open_swap(host.store, name) is not None:
        if request.dry_run:
            return Outcome(HEALED, "would finish or take back an interrupted swap")
        said = swap.resume(host, name)
        document = host.store.desired.get(name) or document
        return _one(host, name, document, request, said)
    return _one(host, name, document, request, "")


def _one(host: Host, name: str, document: Document, request: Request, said: str) -> Outcome:
    inspected = host.engine.inspect(name)
    require_ours(inspected, document["spec"]["cloud"])
    if inspected is None:
        return _created(host, name, document, request.dry_run)
    state = inspected["State"]
    if state.get("Paused"):
        return Outcome(REFUSED, "it is paused by somebody; docker unpause lets it go on")
    if state.get("Running"):
        return _running(host, name, document, inspected, request, said)
    why = f"started again; it had ended with exit code {state.get('ExitCode')}"
    if state.get("Status") in ("dead", "removing"):
        why = f"made again; it was {state['Status']}"
    if request.dry_run:
        return Outcome(HEALED, f"would be {why}")
    if state.get("Status") in ("dead", "removing"):
        host.engine.remove(inspected["Id"], force=True)
        return _created(host, name, document, request.dry_run)
    # After a boot the engine could not start what mounts a place below /run: that is made first.
    mounts.prepare(host.store.locks, document["spec"])
    host.engine.start(inspected["Id"])
    return Outcome(HEALED, why)


def _running(
    host: Host, name: str, document: Document, inspected: dict[str, Any], request: Request, said: str
) -> Outcome:
    spec = document["spec"]
    state = health.healthy(inspected, spec, host.probe, live=True)
    if state.ok:
        return Outcome(HEALED, said) if said else Outcome(NOTHING, "it is running and healthy")
    since = inspected["State"].get("StartedAt")
    age = None if request.started == since else health.seconds_since(since, host.now())
    if age is not None and 0 <= age < float(spec.get("start_timeout") or START_TIMEOUT):
        # A start that somebody else has just made must get its time.
        return Outcome(HEALED, said) if said else Outcome(NOTHING, f"it is starting since {age:.0f} s")
    why = f"restarted; {state.why}" + (f" ({state.probe})" if state.probe else "")
    if request.dry_run:
        return Outcome(HEALED, f"would be {why}")
    mounts.prepare(host.store.locks, spec)
    # What does not answer its probe seldom answers SIGTERM either: no long grace while clients wait.
    host.engine.restart(inspected["Id"], min(int(spec.get("stop_timeout") or STOP_TIMEOUT), STOP_TIMEOUT))
    return Outcome(HEALED, why)


def _created(host: Host, name: str, document: Document, dry_run: bool) -> Outcome:
    """A container that was removed: the same image and configuration, from what was committed."""
    spec, image = document["spec"], document["image_id"]
    target = host.store.config / name / document["config"] if document.get("config") else None
    if target is not None and not target.is_dir():
        return Outcome(REFUSED, f"its configuration {target} is gone; salt-run openstack.deploy writes it again")
    if host.engine.inspect_image(image) is None:
        hint = missing_hint([spec["image"]])
        return Outcome(REFUSED, f"its image {spec['image']} is gone. {hint}. Then salt-run openstack.deploy")
    if dry_run:
        return Outcome(HEALED, "would be made again from its committed spec")
    made = specs.body(spec, image, target)
    mounts.prepare(host.store.locks, spec)
    host.engine.create(name, made)
    host.engine.start(name)
    if made["Labels"][LABEL_SPEC] != document.get("label"):
        host.store.desired.put(name, {**document, "label": made["Labels"][LABEL_SPEC]})
    return Outcome(HEALED, "made again from its committed spec; it had been removed")
