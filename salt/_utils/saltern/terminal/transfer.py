"""Images on their way to hosts, and what came of it (verbs ``pull`` and ``images_import``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.terminal.build import megabytes
from saltern.terminal.marks import CHANGING, FAILED, OK, SKIPPED, WAITING, count, cut, duration, names, table, tint

_GOT = {"pull": "pulled", "images_import": "loaded"}


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of `saltern.images.distribute.report`."""
    hosts: Mapping[str, Mapping[str, Any]] = data["hosts"]
    got = _GOT[data["verb"]]
    total = {kind: sum(each["counts"][kind] for each in hosts.values()) for kind in (got, "there", "failed")}
    took = duration(float(data["seconds"]))
    if not data["retcode"] and not total[got]:
        return f"{count(len(hosts), 'host')}: all images of {data['release']} are there ({took})."
    rows = [["  host", got, "there", "failed", "seconds"]]
    for host, each in hosts.items():
        counts = each["counts"]
        state = FAILED if each["error"] or counts["failed"] else SKIPPED if each["silent"] else OK
        cells = [str(counts[kind]).rjust(len(kind)) for kind in (got, "there", "failed")]
        rows.append([f"{state} {host}", *cells, f"{each['seconds']:.1f}".rjust(7)])
    lines = table(rows, width=width)
    parts = ["\n".join([lines[0], *(tint(line[:1], colour=colour) + line[1:] for line in lines[1:])])]
    parts += _faults(hosts, colour)
    said = [f"{total[kind]} {kind}" for kind in (got, "there", "failed") if total[kind]]
    end = f"{', '.join(said) or 'Nothing done'} on {count(len(hosts), 'host')} in {took}."
    if data["retcode"]:
        end += f" What is there stays. Mend the cause, then again: salt-run openstack.{data['verb']}"
    return "\n\n".join([*parts, end])


def _faults(hosts: Mapping[str, Mapping[str, Any]], colour: bool) -> list[str]:
    """Each cause once, with the hosts and images that it concerns."""
    causes: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for host, each in hosts.items():
        whole = each["error"] or ("it does not answer" if each["silent"] else "")
        if whole:
            hint = f"Look: salt {host} test.ping" if each["silent"] else ""
            causes.setdefault((whole, hint), ({}, {}))[0][host] = None
        for reference, image in each["images"].items():
            if image["result"] == "failed":
                cause = str(image["error"]).replace(reference, "<image>")
                where = causes.setdefault((cause, str(image.get("hint") or "")), ({}, {}))
                where[0][host], where[1][reference] = None, None
    found = []
    for (cause, hint), (on, images) in causes.items():
        lines = [f"{tint(FAILED, colour=colour)} {names(list(on), 8)}: {cause}"]
        lines += [f"  images    {names(list(images), 4)}"] if images else []
        lines += [f"  {hint}"] if hint else []
        found.append("\n".join(lines))
    return found


@dataclass
class Progress:
    """Transfers as lines: fed with reports of hosts, asked for lines to show.

    actions
        Hosts that are to have images.
    settled
        Those that are done with.
    """

    width: int = 100
    colour: bool = False
    actions: dict[str, str] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def feed(self, kind: str, data: Mapping[str, Any], now: float) -> list[str]:
        """Lines that are final; ``kind`` is begin, progress or end."""
        if kind == "begin":
            self.actions = dict.fromkeys(data["hosts"], "wait")
            return [f"Images for {count(len(self.actions), 'host')}, {data['parallel']} at once"]
        host = str(data.get("host", ""))
        if host not in self.actions or host in self.settled:
            return []
        if kind == "progress":
            self.told[host] = data
            return []
        self.settled.add(host)
        counts: Mapping[str, int] = data.get("counts") or {}
        said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        state = FAILED if counts.get("failed") or not counts else OK
        return [cut(f"{tint(state, colour=self.colour)} {host:<16} {said or data.get('text', '')}", self.width)]

    def live(self, now: float) -> list[str]:
        """What goes on and what waits."""
        lines = []
        for host in self.actions:
            if host in self.told and host not in self.settled:
                text = cut(f"{CHANGING} {host:<16} {self._so_far(self.told[host])}", self.width)
                lines.append(tint(text[:1], colour=self.colour) + text[1:])
        waiting = [host for host in self.actions if host not in self.told and host not in self.settled]
        if waiting:
            lines.append(f"{tint(WAITING, colour=self.colour)} {names(waiting, 12)}")
        return lines

    def _so_far(self, data: Mapping[str, Any]) -> str:
        parts = [f"{data['finished']} of {count(int(data['of']), 'image')}"]
        for reference, layers in data["images"].items():
            name = reference.rpartition("/")[2].rpartition(":")[0]
            size = f" {megabytes(layers['bytes'])} of {megabytes(layers['of'])}" if layers["of"] else ""
            parts.append(f"{name} {layers['done']}/{layers['layers']} layers{size}")
        return " · ".join(parts)
