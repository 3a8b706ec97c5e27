"""The faults of a model, each with its place and what would be accepted; or what the model holds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from saltern.terminal.marks import FAILED, OK, count, tint

NARROWEST = 30


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """``{"errors": [problem], "digest", "cloud", "release", "hosts", "containers", "services"}``."""
    errors: Sequence[Mapping[str, Any]] = data.get("errors") or []
    if errors:
        head = f"{tint(FAILED, colour=colour)} {count(len(errors), 'error')}, nothing was changed"
        return "\n".join([head, *lines(errors, width=width)])
    holds = ", ".join(count(int(data.get(f"{noun}s") or 0), noun) for noun in ("host", "service", "container"))
    name = f"cloud {data.get('cloud')}, OpenStack {data.get('release')}"
    return "\n".join(
        [
            f"{tint(OK, colour=colour)} No errors: {name} · model {str(data.get('digest'))[:6]} · {holds}",
            "See what it would change: salt-run openstack.plan",
        ]
    )


def lines(problems: Sequence[Mapping[str, Any]], *, width: int = 100) -> list[str]:
    """Problems in columns: place, key, what is wrong. Where the terminal is too narrow, what is wrong goes below."""
    places = [place(problem) for problem in problems]
    keys = [str(problem.get("key") or "") for problem in problems]
    first = max(map(len, places), default=0) + 2
    second = max(map(len, keys), default=0) + 2
    made: list[str] = []
    for problem, where, key in zip(problems, places, keys, strict=True):
        if width - first - second >= NARROWEST:
            head, indent = f"{where:<{first}}{key:<{second}}", " " * (first + second)
        else:
            made.append(f"{where:<{first}}{key}".rstrip())
            head = indent = "    "
        made += textwrap.wrap(
            sentence(problem),
            max(width, NARROWEST),
            initial_indent=head,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return made


def place(problem: Mapping[str, Any]) -> str:
    """``file:line``, or the file alone."""
    return f"{problem.get('file')}:{problem['line']}" if problem.get("line") else str(problem.get("file") or "")


def sentence(problem: Mapping[str, Any]) -> str:
    """What is wrong and what would be accepted, in one sentence."""
    found, expected, hint = (str(problem.get(name) or "") for name in ("found", "expected", "hint"))
    if found.startswith("unknown") and hint:
        return f"{found}; {hint}"
    return f"expected {expected}, found {found}" + (f"; {hint}" if hint else "")
