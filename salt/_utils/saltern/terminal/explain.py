"""Who set a key of a configuration file: one block for containers that agree, the setting that counts marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltern.terminal.marks import OK, WAITING, cut, names, table, tint

Setting = Mapping[str, Any]


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"file", "key", "host", "containers": {name: [{"value", "who", "where", "hosts"}]}}``."""
    groups: dict[str, list[str]] = {}
    chains: dict[str, Sequence[Setting]] = {}
    for container, settings in (data.get("containers") or {}).items():
        same = repr(settings)
        groups.setdefault(same, []).append(container)
        chains[same] = settings
    parts = []
    for same, containers in groups.items():
        where = f" on {data['host']}" if data.get("host") else ""
        value = _result(chains[same], data.get("host"))
        head = f"{data.get('file')} {data.get('key')} in {names(containers)}{where}: {value}"
        parts.append("\n".join([cut(head, width), *_chain(chains[same], width, colour)]))
    return "\n\n".join(parts)


def _result(settings: Sequence[Setting], host: str | None) -> str:
    """The value that counts; ``differs by host`` where hosts have different ones."""
    last = settings[-1]
    if host or last.get("hosts") is None:
        return str(last["value"])
    return "differs by host" if len({s["value"] for s in settings}) > 1 or len(settings) == 1 else str(last["value"])


def _chain(settings: Sequence[Setting], width: int, colour: bool) -> list[str]:
    rows = []
    for index, setting in enumerate(settings):
        counts = not _covered(setting, settings[index + 1 :])
        hosts = f"on {names(setting['hosts'])}" if setting.get("hosts") else ""
        rows.append(
            [OK if counts else WAITING, str(setting["value"]), str(setting["who"]), str(setting["where"]), hosts]
        )
    if not any(row[4] for row in rows):
        rows = [row[:4] for row in rows]
    lines = table(rows, indent=2, width=width)
    return [line[:2] + tint(line[2], colour=colour) + line[3:] for line in lines]


def _covered(setting: Setting, later: Sequence[Setting]) -> bool:
    """Whether later settings, which win, hold on all hosts of this one."""
    if any(other.get("hosts") is None for other in later):
        return True
    if setting.get("hosts") is None:
        return False
    return set(setting["hosts"]) <= {host for other in later for host in other["hosts"]}
