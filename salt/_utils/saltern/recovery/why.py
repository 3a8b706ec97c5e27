"""The story of one container's last outage, out of the history: what happened, who decided what, and by which rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DAY = 86400.0

Line = Mapping[str, Any]


def story(lines: Iterable[Line], host: str, container: str, now: float) -> dict[str, Any]:
    """What ``openstack.why`` shows.

    lines
        The history's lines about the container, the oldest first.
    now
        Seconds since the epoch.

    Returns ``{"host", "container", "state", "healed_today", "steps": [{"at", "what", "text", "by"}], "next"}``, where
    ``state`` is ``healthy``, ``failed``, ``crash loop`` or ``nothing known``.
    """
    known = list(lines)
    told = _last_outage(known)
    return {
        "host": host,
        "container": container,
        "state": _state(told),
        "healed_today": sum(1 for line in known if _healed(line) and line["at"] >= now - DAY),
        "mended_today": sum(1 for line in known if line.get("what") == "mended" and line["at"] >= now - DAY),
        "steps": sorted((step for line in told for step in _steps(line)), key=lambda step: step["at"]),
        "next": _next(told, host, container),
    }


def _last_outage(lines: list[Line]) -> list[Line]:
    """From the first failure after the container was last healthy, or the last thing that Docker mended."""
    start, open_failure = None, False
    for index, line in enumerate(lines):
        what = line.get("what") if line.get("kind") == "event" else None
        if (what == "failed" and not open_failure) or (what == "mended" and not open_failure):
            start = index
        if what == "failed":
            open_failure = True
        elif what == "healthy":
            open_failure = False
    return lines[start:] if start is not None else lines[-20:]


def _steps(line: Line) -> list[dict[str, Any]]:
    if line.get("kind") == "decision":
        return [_step(line["at"], "decided", f"{line.get('decision')}: {line.get('why')}", _rule(line))]
    if line.get("kind") == "order" and line.get("error"):
        return [_step(line["at"], "not sent", f"{line.get('function')}: {line['error']}", f"order {line.get('order')}")]
    if line.get("kind") in ("setting", "reset"):
        return [_step(line["at"], str(line["kind"]), str(line.get("why") or "by an operator"), "operator")]
    if line.get("kind") != "event":
        return []
    data, what = line.get("data") or {}, str(line.get("what"))
    at = float(data.get("at") or line["at"])
    if what == "failed":
        return _failed(line, data, at)
    if what == "healed":
        return [_step(at, _outcome(data), str(data.get("why") or ""), str(data.get("by") or ""))]
    if what == "healthy":
        return [_step(at, "healthy", f"{float(data.get('seconds') or 0):.1f} s after it failed", "health engine")]
    if what == "mended":
        text = f"by Docker's restart policy, exit code {data.get('exit_code')}, restart {data.get('restarts')}"
        return [_step(at, "mended", text, "Docker")]
    return [_step(at, what, str(data.get("why") or ""), "health engine")]


def _failed(line: Line, data: Mapping[str, Any], at: float) -> list[dict[str, Any]]:
    tag = f"openstack/health/{line.get('host')}/{line.get('container')}/failed"
    via = {"bus": "heard on the bus", "reactor": "through the reactor", "sweep": "found by the sweep"}
    how = via.get(str(line.get("via")), "")
    began = float(data.get("died_at") or at)
    return [
        _step(began, _what_failed(data), _cause(data), "probe" if data.get("reason") == "unhealthy" else "Docker"),
        _step(at, "reported", f"{tag} ({how})" if how else tag, "health engine"),
    ]


def _what_failed(data: Mapping[str, Any]) -> str:
    return {"image_gone": "image gone", "crashloop": "crash loop"}.get(str(data.get("reason")), str(data.get("reason")))


def _cause(data: Mapping[str, Any]) -> str:
    if data.get("reason") == "unhealthy":
        return str(data.get("probe") or "its health check")
    if data.get("signal"):
        return f"docker kill (signal {data['signal']})"
    if data.get("reason") == "died":
        return f"exit code {data.get('exit_code')}"
    return ""


def _outcome(data: Mapping[str, Any]) -> str:
    result = str(data.get("result"))
    return {"healed": "started", "nothing": "nothing to do"}.get(result, f"heal {result}")


def _rule(line: Line) -> str:
    return f'recovery engine, rule "{line.get("rule")}"'


def _step(at: float, what: str, text: str, by: str) -> dict[str, Any]:
    return {"at": float(at), "what": what, "text": text, "by": by}


def _healed(line: Line) -> bool:
    return line.get("what") == "healed" and (line.get("data") or {}).get("result") == "healed"


def _state(told: list[Line]) -> str:
    state = "nothing known"
    for line in told:
        what = line.get("what")
        if what in ("healthy", "mended"):
            state = "healthy"
        elif what == "crashloop":
            state = "crash loop"
        elif what == "failed":
            state = "failed"
    return state


def _next(told: list[Line], host: str, container: str) -> str:
    state = _state(told)
    last = next((line for line in reversed(told) if line.get("kind") == "decision"), {})
    if state in ("healthy", "nothing known"):
        return "Nothing asked of you."
    if state == "crash loop":
        return (
            f"Look: salt-run openstack.logs {container} host={host}. Mended? "
            f"salt-run openstack.heal_reset {container} host={host}"
        )
    if last.get("rule") == "paused":
        return "Healing is paused: salt-run openstack.heal_resume"
    if last.get("rule") == "image gone":
        return f"Build its image, then: salt-run openstack.deploy. {last.get('why')}"
    return f"It is being looked after. Look: salt-run openstack.logs {container} host={host}"
