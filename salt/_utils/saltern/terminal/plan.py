"""A plan: why, then per container what would happen where, with the diffs of its files, then the next command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltern.terminal.marks import FAILED, SKIPPED, bold, count, cut, duration, names, tint

VERBS = {
    "create": "started, new",
    "start": "started again",
    "replace": "replaced",
    "reload": "reloaded, no interruption",
    "remove": "removed",
    "stop": "stopped",
    "prepare": "its host is prepared, no interruption",
}
DIFF_LINES = 60
_GREEN, _RED = "32", "31"


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.plan``; see ``saltern.plan.view``."""
    lines = _head(data, width)
    if data.get("problem"):
        lines += _problem(str(data["problem"]), colour)
    for group in data.get("changes") or []:
        lines += ["", *_group(group, width, colour)]
    if data.get("toolbox"):
        lines += ["", *_toolbox(data["toolbox"], width)]
    lines += [f"{tint(SKIPPED, colour=colour)} {note}" for note in data.get("notes") or []]
    return "\n".join([*lines, *_last(data)])


def _head(data: Mapping[str, Any], width: int) -> list[str]:
    model, current = str(data["model"])[:6], str(data.get("current") or "")[:6]
    if not current:
        return [f"Model {model}, the first one of this cloud"]
    if current == model:
        return [f"Model {model}, as it was applied last"]
    because = data.get("because") or []
    if not because:
        return [f"Model {current} → {model}"]
    first = f"Model {current} → {model}, because"
    files = list(dict.fromkeys(_place(item) for item in because))
    lines = [f"{first} {names(files, 3)} changed:"]
    for item in because:
        lines.append(cut(f"{item['key']}   ({item['old']} → {item['new']})", width))
    return lines


def _place(item: Mapping[str, Any]) -> str:
    return f"{item['file']}:{item['line']}" if item.get("line") else str(item.get("file") or "the pillar")


def _problem(text: str, colour: bool) -> list[str]:
    first, *rest = text.splitlines()
    return ["", f"{tint(FAILED, colour=colour)} {first}", *(f"  {line}" for line in rest)]


def _group(group: Mapping[str, Any], width: int, colour: bool) -> list[str]:
    what = VERBS.get(str(group["action"]), str(group["action"]))
    hosts = list(group["hosts"])
    if len(hosts) > 1 and group.get("serial"):
        what += " one at a time"
    if group.get("estimate"):
        what += f", about {duration(float(group['estimate']))}"
    where = f"{group['container']} on {names(hosts)}"
    lines = [cut(f"{bold(where, colour=colour)}{' ' * max(2, 48 - len(where))}{what}", width + 8 * colour)]
    for reason in group.get("reasons") or []:
        lines.append(cut(f"  {_reason(reason)}", width))
    for file in group.get("files") or []:
        lines.append(f"  {file['name']}")
        diff = list(file.get("diff") or [])
        lines += [_diff(line, colour) for line in diff[:DIFF_LINES]]
        if len(diff) > DIFF_LINES:
            lines.append(f"    … {len(diff) - DIFF_LINES} more lines (--out=json shows all)")
    return lines


def _reason(reason: Mapping[str, Any]) -> str:
    current, desired = reason.get("current"), reason.get("desired")
    if current in (None, "") and desired in (None, ""):
        return str(reason.get("field"))
    return f"{reason.get('field')}: {_value(current)} → {_value(desired)}"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _diff(line: str, colour: bool) -> str:
    """A line of a diff, whole: what is cut off may be what somebody has to see before they apply it."""
    code = {"+": _GREEN, "-": _RED}.get(line[:1], "")
    return tint(f"    {line}", code, colour=colour) if code else f"    {line}"


def _toolbox(services: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    unknown = [str(item["service"]) for item in services if item.get("unknown")]
    lines = ["Databases, users, endpoints and jobs"]
    if unknown:
        return [*lines, f"  {', '.join(unknown)}: all of it (the database does not answer yet)"]
    for item in services:
        changes = [*item.get("database", []), *item.get("identity", [])]
        parts = [f"{change.get('what', 'change')} {change.get('kind')} {change.get('name')}" for change in changes]
        parts += [f"run {job}" for job in item.get("jobs", [])]
        lines.append(cut(f"  {item['service']}: {', '.join(parts)}", width))
    return lines


def _last(data: Mapping[str, Any]) -> list[str]:
    if data.get("problem"):
        return ["", "Nothing can be applied before that is mended."]
    if not data.get("changes") and not data.get("toolbox"):
        took = duration(float(data.get("seconds") or 0.0))
        hosts, containers = count(int(data["hosts"]), "host"), count(int(data["containers"]), "container")
        return [f"Nothing to do: {hosts}, {containers}, all as the model says (compared in {took})."]
    text = ", ".join([*_counts(data), f"{int(data['containers']) - _kept(data)} untouched"])
    if data.get("mode") != "deploy":
        return ["", f"{text}. Apply it: salt-run state.orch openstack.{data.get('mode')}"]
    apply = f"Apply exactly this: salt-run openstack.apply {str(data['model'])[:6]}"
    return ["", f"{text}. {apply}", "(it refuses if pillar or hosts have changed since)"]


def _counts(data: Mapping[str, Any]) -> list[str]:
    files = {file["name"] for group in data["changes"] for file in group.get("files") or []}
    words = {"create": "started", "start": "started", "replace": "replaced", "reload": "reloaded"}
    words |= {"remove": "removed", "stop": "stopped", "prepare": "whose host is prepared"}
    number: dict[str, int] = {}
    for group in data["changes"]:
        word = words.get(str(group["action"]), str(group["action"]))
        number[word] = number.get(word, 0) + len(group["hosts"])
    first = [count(len(files), "file")] if files else []
    return first + [f"{count(amount, 'container')} {word}" for word, amount in number.items()]


def _kept(data: Mapping[str, Any]) -> int:
    gone = sum(len(group["hosts"]) for group in data["changes"] if group.get("step") == "remove")
    return int(data.get("touched") or 0) - gone
