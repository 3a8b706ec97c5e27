"""A run as lines: which steps are done, go on, wait. Fed with the journal's lines, asked for lines to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saltern.terminal import failure
from saltern.terminal.marks import CHANGING, FAILED, OK, WAITING, count, cut, duration, names, tint

WAITING_SHOWN = 5
TITLE = 48


@dataclass
class Progress:
    """One run.

    document
        ``run.json``.
    estimates
        Seconds by step id, from earlier runs.
    brief
        Leave failures' details and the end to somebody else.
    """

    document: Mapping[str, Any]
    estimates: Mapping[str, float] = field(default_factory=dict)
    width: int = 100
    colour: bool = False
    brief: bool = False
    started: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    end: Mapping[str, Any] | None = None
    said_header: bool = False

    def feed(self, lines: Iterable[Mapping[str, Any]]) -> list[str]:
        """Lines that are final and stay on the screen."""
        final: list[str] = []
        for line in lines:
            event, step = line.get("event"), str(line.get("step", ""))
            if event == "step_start":
                self.started[step] = line
            elif event == "step_end":
                self.ended[step] = line
                final += self._ended(line)
            elif event == "note":
                final.append(f"  {line.get('comment') or line.get('summary', '')}")
            elif event == "end":
                self.end = line
                final += self._end(line)
        return final

    def header(self) -> str:
        hosts = self.document.get("hosts") or []
        verb = str(self.document.get("verb", "run")).capitalize()
        model = str(self.document.get("model", ""))[:6]
        return f"{verb} run {self.document.get('run', '')} · model {model} · {count(len(hosts), 'host')}"

    def live(self, now: float) -> list[str]:
        """Lines about what goes on and what waits; they are replaced by the next ones."""
        if self.end is not None:
            return []
        running = [step for step in self._steps() if step["id"] in self.started and step["id"] not in self.ended]
        waiting = [step for step in self._steps() if step["id"] not in self.started and step["id"] not in self.ended]
        lines = [self._line(CHANGING, step, self._time(step, now)) for step in running]
        lines += [self._line(WAITING, step, "") for step in waiting[:WAITING_SHOWN]]
        if len(waiting) > WAITING_SHOWN:
            lines.append(f"  … and {len(waiting) - WAITING_SHOWN} more")
        return ([] if self.said_header else [self.header()]) + lines

    def _ended(self, line: Mapping[str, Any]) -> list[str]:
        if line.get("result") == "failed":
            if self.brief:
                return [*self._header(), f"{tint(FAILED, colour=self.colour)} {line.get('title', '')}"]
            verb = str(self.document.get("verb", ""))
            return [*self._header(), *failure.step(line, verb, width=self.width, colour=self.colour)]
        if line.get("result") == "skipped":
            return []
        step = {"id": line.get("step"), "title": line.get("title"), "hosts": line.get("hosts")}
        if line.get("step") == "compare" and not line.get("summary"):
            return []
        took = f"{duration(float(line.get('seconds', 0.0))):>8}   {line.get('summary', '')}"
        return [*self._header(), self._line(OK, step, took)]

    def _end(self, line: Mapping[str, Any]) -> list[str]:
        if self.brief:
            return [""] if self.said_header else []
        skipped = [
            step["title"] for step in self._steps() if step["id"] not in self.ended and step["id"] not in self.started
        ]
        lines = []
        if skipped and line.get("result") != "ok":
            lines.append(f"  not begun: {names(skipped)}")
        failed = line.get("result") != "ok"
        lines.append(f"{tint(FAILED, colour=self.colour)} {line.get('summary', '')}" if failed else self._good(line))
        if line.get("comment"):
            lines.append(str(line["comment"]))
        return ([""] if self.said_header else []) + lines

    def _good(self, line: Mapping[str, Any]) -> str:
        text = str(line.get("summary", ""))
        deployed = self.document.get("mode") == "deploy" and not text.startswith("Nothing")
        return f"{text} Next: openstack token issue" if deployed else text

    def _header(self) -> list[str]:
        if self.said_header:
            return []
        self.said_header = True
        return [self.header()]

    def _steps(self) -> list[Mapping[str, Any]]:
        return list(self.document.get("steps") or [])

    def _time(self, step: Mapping[str, Any], now: float) -> str:
        elapsed = max(0.0, now - float(self.started[step["id"]].get("at", now)))
        text = f"{duration(elapsed):>8}"
        likely = self.estimates.get(str(step["id"]))
        return f"{text}   of about {duration(likely)}" if likely and likely > elapsed else text

    def _line(self, mark: str, step: Mapping[str, Any], rest: str) -> str:
        started = self.started.get(str(step["id"])) or {}
        hosts = list(started.get("hosts") or step.get("hosts") or [])
        where = count(len(hosts), "host") if len(hosts) > 3 else ", ".join(hosts)
        if mark == WAITING and step.get("serial") and len(hosts) > 1:
            where += ", one at a time"
        text = f"{step.get('title', '')!s:<{TITLE}}  {where:<12}  {rest}".rstrip()
        return f"{tint(mark, colour=self.colour)} {cut(text, max(10, self.width - 2))}"
