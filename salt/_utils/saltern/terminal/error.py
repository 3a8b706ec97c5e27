"""An error as a person reads it: what and where, then what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import FAILED, tint


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"message", "where", "hint", "details": [lines]}``; only the message is needed."""
    where = f"{data['where']}: " if data.get("where") else ""
    lines = [f"{tint(FAILED, colour=colour)} {where}{data.get('message', 'unknown error')}"]
    lines += [f"  {line}" for line in data.get("details", [])]
    if data.get("hint"):
        lines += [f"  {data['hint']}"]
    return "\n".join(lines)
