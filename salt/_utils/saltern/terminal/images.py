"""The tree of images: what is fresh, what is stale and why, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltern.terminal.build import away, megabytes
from saltern.terminal.marks import CHANGING, OK, WAITING, ago, count, names, table, tint

_MARKS = {"fresh": OK, "stale": CHANGING, "missing": WAITING}
SHORT = 12  # characters of an id or a digest that tell it from all others here
Entry = Mapping[str, Any]


def short(name: str | None) -> str:
    """
    >>> short("sha256:488f5596e58147a1c0"), short(None)
    ('488f5596e581', '')
    """
    return (name or "").removeprefix("sha256:")[:SHORT]


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.images`` (`saltern.images.overview.overview`)."""
    images: Sequence[Entry] = data["images"]
    counts: Mapping[str, int] = data["counts"]
    pushed = any(entry["digest"] for entry in images)
    head = ["  image", "size".rjust(8), "adds".rjust(8), "id", "built", *(["pushed"] if pushed else []), "state"]
    rows = [head]
    for branch, entry in _tree(images):
        built = ago(float(data["now"]) - float(entry["at"])) if entry["at"] else ""
        name = f"{_MARKS[entry['state']]} {branch}{entry['image']}{'' if entry['shipped'] else ' *'}"
        sizes = [megabytes(entry["size"]).rjust(8), megabytes(entry["own"]).rjust(8)]
        rows.append(
            [name, *sizes, short(entry["id"]), built, *([short(entry["digest"])] if pushed else []), entry["state"]]
        )
    lines = table(rows, width=width)
    lines = [lines[0], *(tint(line[:1], colour=colour) + line[1:] for line in lines[1:])]
    lines += [] if all(entry["shipped"] for entry in images) else ["* serves builds only, stays on the builder"]
    parts = (lines, _why(images, colour), away(data, colour), _end(data, counts))
    return "\n\n".join("\n".join(part) for part in parts if part)


def _why(images: Sequence[Entry], colour: bool) -> list[str]:
    """A line for each cause, with the images that it concerns: one edit makes many of them stale."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in images:
        if entry["reason"]:
            found.setdefault((entry["state"], entry["reason"]), []).append(str(entry["image"]))
    return [
        f"{tint(_MARKS[state], colour=colour)} {state}: {reason} ({names(concerned, 6)})"
        for (state, reason), concerned in found.items()
    ]


def _end(data: Mapping[str, Any], counts: Mapping[str, int]) -> list[str]:
    said = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    where = f" on {data['builder']}" if data["builder"] else ""
    size = f"Shipped images take {megabytes(int(data['unique']))} on a host, shared layers counted once."
    lines = [f"{count(sum(counts.values()), 'image')} of {data['release']}{where}: {said}. {size}"]
    return lines if counts["fresh"] == sum(counts.values()) else [*lines, "Build them: salt-run openstack.build"]


def _tree(images: Sequence[Entry]) -> list[tuple[str, Entry]]:
    """Entries below the image whose layers they continue, each with its branch; leaves before those with children."""
    known = {entry["image"] for entry in images}
    below: dict[str | None, list[Entry]] = {}
    for entry in images:
        below.setdefault(entry["base"] if entry["base"] in known else None, []).append(entry)
    found: list[tuple[str, Entry]] = []

    def add(parent: str | None, indent: str) -> None:
        children = sorted(
            below.get(parent, ()), key=lambda each: (not each["shipped"], each["image"] in below, each["image"])
        )
        for child in children:
            last = child is children[-1]
            found.append(("" if parent is None else f"{indent}{'└' if last else '├'} ", child))
            add(child["image"], "" if parent is None else f"{indent}{' ' if last else '│'} ")

    add(None, "")
    return found
