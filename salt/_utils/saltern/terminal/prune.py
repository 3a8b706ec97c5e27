"""What ``images_prune`` would remove, or has removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.build import megabytes
from saltern.terminal.marks import FAILED, OK, SKIPPED, WAITING, count, table, tint


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of `saltern.images.distribute.pruned`."""
    hosts: Mapping[str, Mapping[str, Any]] = data["hosts"]
    applied = bool(data["applied"])
    parts = [
        _host(host, each, applied, width, colour) for host, each in hosts.items() if each.get("error") or each["images"]
    ]
    good = [each for each in hosts.values() if "error" not in each]
    gone = sum(1 for each in good for image in each["images"] if not image["left"])
    kept = sum(each["kept"] for each in good)
    if applied:
        freed = sum(each["freed"] or 0 for each in good)
        end = f"{count(gone, 'image')} removed, {kept} kept, {megabytes(freed)} freed on {count(len(good), 'host')}."
    elif gone:
        least = sum(each["unique"] for each in good)
        end = (
            f"{count(gone, 'image')} would go, {kept} stay; at least {megabytes(least)} on {count(len(good), 'host')}. "
            "Nothing was removed: add yes=True"
        )
    else:
        end = f"Nothing to remove: {count(kept, 'image')} on {count(len(good), 'host')}, all needed."
    return "\n\n".join([*parts, end])


def _host(host: str, each: Mapping[str, Any], applied: bool, width: int, colour: bool) -> str:
    if each.get("error"):
        return f"{tint(FAILED, colour=colour)} {host}: {each['error']}"
    rows = [[f"{host}", "size".rjust(8), "alone".rjust(8), ""]]
    for image in each["images"]:
        name = ", ".join(image["tags"]) or f"{image['image'] or 'a stage'} without a name ({image['id'][7:19]})"
        mark = SKIPPED if image["left"] else OK if applied else WAITING
        why = f"stays: {image['left']}" if image["left"] else ""
        rows.append([f"{mark} {name}", megabytes(image["size"]).rjust(8), megabytes(image["unique"]).rjust(8), why])
    lines = table(rows, width=width)
    return "\n".join([lines[0], *(tint(line[:1], colour=colour) + line[1:] for line in lines[1:])])
