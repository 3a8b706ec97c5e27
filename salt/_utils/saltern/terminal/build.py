"""Images as they are built and as they are afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saltern.images.schedule import simulate
from saltern.terminal.marks import CHANGING, FAILED, OK, SKIPPED, WAITING, count, cut, duration, names, table, tint

_MARKS = {"built": OK, "tagged": OK, "unchanged": OK, "failed": FAILED, "blocked": SKIPPED}


def megabytes(size: int | None) -> str:
    """
    >>> megabytes(97_836_248), megabytes(18_500), megabytes(None)
    ('98 MB', '0.0 MB', '')
    """
    if size is None:
        return ""
    return f"{size / 1e6:.0f} MB" if size >= 10e6 else f"{size / 1e6:.1f} MB"


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.build`` (`saltern.images.run.build_all`)."""
    images: Sequence[Mapping[str, Any]] = data["images"]
    counts: Mapping[str, int] = data["counts"]
    changed = [entry for entry in images if entry["result"] != "unchanged"]
    if not changed and not any("push" in entry for entry in images):
        took = f"{float(data['seconds']):.1f} s"
        return "\n\n".join(
            [
                *away(data, colour),
                f"Nothing to build: {count(len(images), 'image')}, inputs unchanged ({took}). {_unique(data)}",
            ]
        )
    parts = [_table(images, width, colour)]
    parts += [_failure(entry, width, colour) for entry in images if entry["result"] == "failed"]
    noted = [f"{entry['image']}: {note}" for entry in images for note in entry.get("notes") or []]
    parts += ["\n".join(f"{tint(SKIPPED, colour=colour)} {note}" for note in noted)] if noted else []
    pushed = [entry for entry in images if "digest" in entry.get("push", {})]
    said = [f"{counts[kind]} {kind}" for kind in ("built", "tagged", "unchanged", "failed", "blocked") if counts[kind]]
    said += [f"{len(pushed)} pushed"] if pushed else []
    parts += _not_pushed(images, width, colour)
    parts += away(data, colour)
    end = f"{', '.join(said)} in {duration(float(data['seconds']))}. {_unique(data)}"
    if counts["failed"]:
        failed = [str(entry["image"]) for entry in images if entry["result"] == "failed"]
        end += f"\nFormer images are untouched. Mend the cause, then: salt-run openstack.build names={','.join(failed)}"
    if data.get("report"):
        end += f"\nReport: {data['report']}"
    return "\n\n".join([*parts, end])


def away(data: Mapping[str, Any], colour: bool) -> list[str]:
    """Builders that took no part (`saltern.images.roll.Roll.away`), a paragraph each."""
    found = []
    for each in data.get("away") or ():
        named = "" if each["error"].startswith(each["builder"]) else f"{each['builder']}: "
        hint = f"\n  {each['hint']}" if each["hint"] else ""
        found.append(f"{tint(SKIPPED, colour=colour)} {named}{each['error']}; it took no part{hint}")
    return found


def _unique(data: Mapping[str, Any]) -> str:
    return f"Shipped images take {megabytes(int(data['unique']))} on a host, shared layers counted once."


def _table(images: Sequence[Mapping[str, Any]], width: int, colour: bool) -> str:
    rows = [["  image", "size".rjust(8), "adds".rjust(8), "seconds", "why"]]
    for entry in images:
        result = str(entry["result"])
        took = f"{float(entry['seconds']):.1f}" if entry.get("seconds") else ""
        why = "" if result == "unchanged" else f"waits for {entry['by']}" if result == "blocked" else entry["reason"]
        name = str(entry["image"]) + ("" if entry["shipped"] else " *")
        sizes = [megabytes(entry.get("size")), megabytes(entry.get("own"))]
        rows.append([f"{_MARKS[result]} {name}", *(text.rjust(8) for text in sizes), took.rjust(7), str(why)])
    lines = table(rows, width=width)
    lines = [lines[0], *(tint(line[:1], colour=colour) + line[1:] for line in lines[1:])]
    return "\n".join([*lines, "* serves builds only, stays on the builder"])


def _not_pushed(images: Sequence[Mapping[str, Any]], width: int, colour: bool) -> list[str]:
    """Images that did not get into the registry, together where the cause is the same."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in images:
        push = entry.get("push") or {}
        if "error" in push:
            key = (str(push["error"]), str(push.get("where") or ""), str(push.get("hint") or ""))
            found.setdefault(key, []).append(str(entry["image"]))
    return [
        _failure(
            {"image": f"not pushed: {names(each, 6)}", "error": error, "where": where, "hint": hint}, width, colour
        )
        for (error, where, hint), each in found.items()
    ]


def _failure(entry: Mapping[str, Any], width: int, colour: bool) -> str:
    lines = [f"{tint(FAILED, colour=colour)} {entry['image']}: {entry['error']}"]
    if entry.get("where"):
        lines.append(f"  where     {cut(str(entry['where']), max(20, width - 12))}")
    lines += [f"  {'last log' if not index else '':<10}{line}" for index, line in enumerate(entry.get("log") or [])]
    if entry.get("blocks"):
        lines.append(f"  blocks    {names(list(entry['blocks']), 12)}")
    if entry.get("hint"):
        lines.append(f"  {entry['hint']}")
    return "\n".join(lines)


@dataclass
class Progress:
    """A build as lines: fed with its reports, asked for lines to show; all in the order of the graph, parents first.

    parallel
        Builds at once; the build itself says it at its begin.
    """

    width: int = 100
    colour: bool = False
    actions: dict[str, str] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    blocked: dict[str, str] = field(default_factory=dict)
    parallel: int = 2

    def feed(self, kind: str, data: Mapping[str, Any], now: float) -> list[str]:
        """Lines that are final and stay; ``kind`` is begin, start, step, retry, end, failed, push or pushed."""
        image = str(data.get("image", ""))
        if kind == "begin":
            return self._begin(data)
        if kind == "push":
            return [f"{count(len(data['images']), 'image')} to push"] if data["images"] else []
        if kind == "pushed":
            layers = count(int(data["layers_pushed"]), "new layer")
            return [self._cut(f"{tint(OK, colour=self.colour)} {image:<16}     pushed   {layers}")]
        if image not in self.actions:
            return []  # another build's
        if kind in ("start", "step"):
            self.started.setdefault(image, now)
            if kind == "step":
                text = str(data["text"])
                self.steps[image] = f"step {data['step']} of {data['of']}: {text}" if data["of"] else text
        elif kind == "retry":
            return [self._cut(f"{tint(CHANGING, colour=self.colour)} {image}: try {data['try']} after {data['text']}")]
        elif kind == "failed":
            self._failed(image, data)
        elif kind == "end" and image not in self.ended:
            return self._end(image, data)
        return []

    def live(self, now: float) -> list[str]:
        """What goes on, what waits, what cannot go on, and how long it may take."""
        open_ = [image for image in self.actions if image not in self.ended and image not in self.failed]
        running = [image for image in open_ if image in self.started and image not in self.blocked]
        lines = []
        for image in running:
            took = duration(max(0.0, now - self.started[image]))
            text = f"{CHANGING} {image:<16} {took:>10}   {self.steps.get(image, '')}"
            lines.append(tint(text[:1], colour=self.colour) + self._cut(text)[1:])
        waiting = [image for image in open_ if image not in self.started and image not in self.blocked]
        if waiting:
            lines.append(self._cut(f"{tint(WAITING, colour=self.colour)} {names(waiting, 12)}"))
        for origin in sorted({*self.blocked.values()}):
            held = [image for image in self.actions if self.blocked.get(image) == origin]
            text = f"{tint(SKIPPED, colour=self.colour)} {names(held, 12)}: waits for {origin}, which failed"
            lines.append(self._cut(text))
        if lines and len(self.actions) > 1:
            lines.append(self._cut(self._counts(running, now)))
        return lines

    def _counts(self, running: Sequence[str], now: float) -> str:
        parts = [f"{len(self.ended)} of {len(self.actions)} done"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [f"{len(self.blocked)} blocked"] if self.blocked else []
        if self.known:
            left = {name: parents for name, parents in self.needs.items() if name not in self.settled}
            took = {image: now - self.started[image] for image in running if image in left}
            rest = simulate(left, self.known, parallel=self.parallel, running=took)
            parts += [f"about {duration(float(round(rest)))} left"] if rest >= 1 else []
        return " · ".join(parts)

    @property
    def settled(self) -> set[str]:
        """Images of which nothing more is heard."""
        return self.ended | self.failed | set(self.blocked)

    def _begin(self, data: Mapping[str, Any]) -> list[str]:
        self.actions = {name: action for name, action in data["images"].items() if action != "unchanged"}
        self.needs = {name: list(parents) for name, parents in (data.get("needs") or {}).items()}
        self.known, self.parallel = dict(data.get("known") or {}), int(data.get("parallel") or self.parallel)
        about = f" · about {duration(float(data['seconds']))} by earlier runs" if data.get("seconds") else ""
        header = f"{count(len(self.actions), 'image')} to build, {self.parallel} at once{about}"
        return [header] if self.actions else []

    def _failed(self, image: str, data: Mapping[str, Any]) -> None:
        """It is not tried again."""
        self.failed.add(image)
        self.ended.discard(image)
        self.blocked |= dict.fromkeys(data["blocks"], image)

    def _end(self, image: str, data: Mapping[str, Any]) -> list[str]:
        took = duration(float(data.get("seconds") or 0.0))
        if data.get("result") == "failed":
            # tried again, it starts anew; the answer at the end tells the cause in full
            self.started.pop(image, None)
            return [self._cut(f"{tint(FAILED, colour=self.colour)} {image:<16} {took:>10}   {data.get('text', '')}")]
        self.ended.add(image)
        text = f"{image:<16} {took:>10}   {megabytes(data.get('size')):>7}"
        return [f"{tint(OK, colour=self.colour)} {text}".rstrip()]

    def _cut(self, text: str) -> str:
        return cut(text, self.width + (9 if self.colour else 0))
