"""One run: how it ended, and for ``show`` each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal import failure
from saltern.terminal.marks import FAILED, OK, SKIPPED, WAITING, count, cut, duration, table, tint

_MARKS = {"ok": OK, "changed": OK, "failed": FAILED, "skipped": SKIPPED}


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"document": run.json, "lines": journal, "state", "all": whether to list every step}``."""
    document, lines = data.get("document") or {}, list(data.get("lines") or [])
    ended = {line["step"]: line for line in lines if line.get("event") == "step_end"}
    text: list[str] = []
    if data.get("all"):
        text += [_header(document, data), *_steps(document, ended, width, colour), ""]
    for line in ended.values():
        if line.get("result") == "failed":
            text += [*failure.step(line, str(document.get("verb", "")), width=width, colour=colour), ""]
    return "\n".join([*text, *_end(document, lines, str(data.get("state")), colour)])


def _header(document: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    hosts = count(len(document.get("hosts") or []), "host")
    verb = str(document.get("verb", "run")).capitalize()
    return f"{verb} run {document.get('run')} · model {str(document.get('model'))[:6]} · {hosts} · {data.get('state')}"


def _steps(document: Mapping[str, Any], ended: Mapping[str, Any], width: int, colour: bool) -> list[str]:
    rows = []
    for step in document.get("steps") or []:
        line = ended.get(step["id"])
        mark = WAITING if line is None else _MARKS.get(str(line.get("result")), WAITING)
        hosts = (line or {}).get("hosts") or []
        took = duration(float(line["seconds"])) if line and line.get("result") != "skipped" else ""
        what = str((line or {}).get("summary") or ("not begun" if line is None else ""))
        rows.append([mark, str(step["title"]), ", ".join(hosts[:3]) + (" …" if len(hosts) > 3 else ""), took, what])
    return [tint(line[:1], colour=colour) + line[1:] for line in table(rows, width=width)]


def _end(document: Mapping[str, Any], lines: list[Mapping[str, Any]], state: str, colour: bool) -> list[str]:
    end = next((line for line in reversed(lines) if line.get("event") == "end"), None)
    if end is None:
        if state == "running":
            return ["It goes on: salt-run openstack.watch"]
        verb = str(document.get("verb", "deploy"))
        again = "openstack.deploy" if verb in ("deploy", "apply") else f"state.orch openstack.{verb}"
        return [f"{tint(FAILED, colour=colour)} The run's process is gone; nothing is lost: salt-run {again}"]
    text = str(end.get("summary", ""))
    if state != "ok":
        text = f"{tint(FAILED, colour=colour)} {text}"
    elif document.get("mode") == "deploy" and not text.startswith("Nothing"):
        text += " Next: openstack token issue"
    return [text, *([cut(str(end["comment"]), 400)] if end.get("comment") else [])]
