"""Two images beside each other: packages, configuration, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import OK, bold, cut, table, tint

SHOWN = 40  # packages of a kind, and files


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.images_diff`` (`saltern.images.difference`)."""
    lines = table([_image("-", data["references"][0], data["a"]), _image("+", data["references"][1], data["b"])])
    if data["same"]:
        same = "the same image" if data["a"]["id"] == data["b"]["id"] else "equal content; only times and ids differ"
        return "\n".join([*lines, f"{tint(OK, colour=colour)} {same}"])
    for kind, title in (("distribution", "Packages of the distribution"), ("python", "Packages of Python")):
        rows = _packages(data["packages"][kind])
        lines += _section(f"{title}: {_counts(data['packages'][kind])}", rows, width, colour) if rows else []
    rows = [[field, _value(former), "→", _value(new)] for field, former, new in data["config"]]
    lines += _section("Configuration", rows, width, colour) if rows else []
    rows = _files(data["files"])
    if rows:
        words = ", ".join(f"{found['count']} {kind}" for kind, found in data["files"].items() if found["count"])
        lines += _section(f"Files: {words}; the biggest", rows, width, colour)
    return "\n".join(lines)


def _image(sign: str, reference: str, image: Mapping[str, Any]) -> list[str]:
    return [sign, reference, str(image["id"]).removeprefix("sha256:")[:12], _bytes(image["size"])]


def _section(title: str, rows: list[list[str]], width: int, colour: bool) -> list[str]:
    more = [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return ["", bold(cut(title, width), colour=colour), *table(rows[:SHOWN], indent=2, width=width), *more]


def _counts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{len(found[kind])} {kind}" for kind in ("added", "removed", "changed") if found[kind])


def _packages(found: Mapping[str, Any]) -> list[list[str]]:
    return [
        *(["~", name, former, "→", new] for name, former, new in found["changed"]),
        *(["+", name, version] for name, version in found["added"]),
        *(["-", name, version] for name, version in found["removed"]),
    ]


def _files(found: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for kind, sign in (("changed", "~"), ("added", "+"), ("removed", "-")):
        for path, former, new in found[kind]["biggest"][:10]:
            rows.append([sign, _change(former, new), path])
    return rows


def _change(former: list[Any] | None, new: list[Any] | None) -> str:
    """What of a file differs, in few words."""
    if former is None or new is None:
        return _bytes((former or new or [None] * 5)[4])
    if former[0] != new[0]:
        return f"{former[0]} → {new[0]}"
    told = [f"mode {former[1]:04o} → {new[1]:04o}"] if former[1] != new[1] else []
    told += [f"owner {former[2]}:{former[3]} → {new[2]}:{new[3]}"] if former[2:4] != new[2:4] else []
    if former[5] != new[5]:
        link = f"{former[5]} → {new[5]}"
        size = f"{_bytes(former[4])} → {_bytes(new[4])}" if former[4] != new[4] else f"{_bytes(new[4])}, other content"
        told.append(link if new[0] == "link" else size)
    return ", ".join(told)


def _value(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bytes(size: int | None) -> str:
    """
    >>> _bytes(12), _bytes(34_000), _bytes(257_000_000)
    ('12 B', '34 kB', '257 MB')
    """
    if size is None:
        return ""
    for least, unit in ((1_000_000, "MB"), (1_000, "kB")):
        if size >= least:
            return f"{size / least:.3g} {unit}" if size < 100 * least else f"{size / least:.0f} {unit}"
    return f"{size} B"
