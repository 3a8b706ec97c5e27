"""A sentence, lines below it, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import mark


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"title", "result": ok|failed|…, "lines": [...], "next": text}``."""
    head = f"{mark(str(data['result']), colour=colour)} {data['title']}" if data.get("result") else str(data["title"])
    lines = [f"  {line}" for line in data.get("lines") or []]
    return "\n".join([head, *lines, *([f"Next: {data['next']}"] if data.get("next") else [])])
