"""Why a container was healed, or was not: one line for each thing that happened."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import CHANGING, FAILED, OK, WAITING, bold, count, tint

_MARKS = {"healthy": OK, "failed": CHANGING, "crash loop": FAILED, "nothing known": WAITING}
_TEXT_LEAST = 24


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"stories": [`saltern.recovery.why.story`…]}``, one for each host."""
    return "\n\n".join(_story(story, width, colour) for story in data.get("stories") or [])


def _story(story: Mapping[str, Any], width: int, colour: bool) -> str:
    state = str(story["state"])
    healed, mended = int(story.get("healed_today") or 0), int(story.get("mended_today") or 0)
    often = [f"healed {count(healed, 'time')} today"] if healed else []
    often += [f"mended by Docker {count(mended, 'time')} today"] if mended else []
    head = f"{story['container']} on {story['host']}: {', '.join([state, *often])}"
    mark = tint(_MARKS.get(state, WAITING), colour=colour)
    lines = [f"{mark} {bold(head, colour=colour)}", *_steps(story.get("steps") or [], width)]
    if not story.get("steps"):
        lines.append("  No failure of it is on record.")
    return "\n".join([*lines, str(story.get("next") or "")]).rstrip()


def _steps(steps: list[Mapping[str, Any]], width: int) -> list[str]:
    if not steps:
        return []
    whats = max(len(str(step["what"])) for step in steps)
    bys = max(len(str(step["by"])) for step in steps)
    room = max(_TEXT_LEAST, width - 2 - 12 - 2 - whats - 2 - 2 - bys)
    texts = min(room, max(len(str(step["text"])) for step in steps))
    lines = []
    for step in steps:
        # Wrapped, never cut: the reason tends to stand at the end.
        text, *more = textwrap.wrap(str(step["text"]), texts, break_on_hyphens=False) or [""]
        head = f"  {_clock(float(step['at']))}  {str(step['what']).ljust(whats)}  "
        lines.append(f"{head}{text.ljust(texts)}  {step['by']}".rstrip())
        lines += [f"{' ' * len(head)}{line}" for line in more]
    return lines


def _clock(at: float) -> str:
    """Local time of the day with milliseconds."""
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at * 1000) % 1000:03d}"
