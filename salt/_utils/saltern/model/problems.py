"""Collect faults of a pillar or a service.yaml, in words an operator can act on, without ever showing a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from saltern.contract.errors import Problem
from saltern.contract.masking import MASK
from saltern.model.sources import Path, Sources, text_of

SENSITIVE = re.compile(
    r"passw(or)?d|secret|fernet|private|transport_url|(^|[_./-])(pass|token|keys?|connection|auth|credentials?)$", re.I
)
LONGEST = 60


def sensitive(path: Iterable[Any]) -> bool:
    """Whether a value at this path may be a secret: better to hide a harmless one than to show one that is not."""
    return any(SENSITIVE.search(str(part)) for part in path)


def shown(value: Any, *, path: Sequence[Any] = ()) -> str:
    """A value as an operator wrote it, short; its kind only where it may be a secret."""
    kind = kind_of(value)
    if isinstance(value, (dict, list)):
        return f"{kind} of {len(value)}" if value else f"an empty {kind.split()[-1]}"
    if value is None:
        return "nothing"
    if sensitive(path):
        return f"{kind} ({MASK})"
    text = str(value)
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f'{kind} "{text}"' if isinstance(value, str) else f"{kind} {text}"


def kind_of(value: Any) -> str:
    """What a YAML value is, in YAML's words."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value), "a value")


def did_you_mean(word: Any, choices: Iterable[str]) -> str:
    """A hint when one of ``choices`` is near, else an empty text."""
    near = difflib.get_close_matches(str(word), list(choices), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """``a, b, c`` with the rest counted."""
    names = list(names)
    rest = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


class Problems:
    """A list of problems about one set of sources; equal ones are kept once."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.items: list[Problem] = []
        self._seen: set[Problem] = set()

    def add(self, path: Path, expected: str, found: str, hint: str = "") -> None:
        """Add a fault of the value (or the key) at ``path``."""
        where = self.sources.locate(path)
        self.append(Problem(where.file, text_of(path), expected, found, where.line, hint))

    def append(self, problem: Problem) -> None:
        if problem not in self._seen:
            self._seen.add(problem)
            self.items.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)


def known(path: Path, name: str, choices: Iterable[str], problems: Problems) -> None:
    """Add a problem when ``name`` is none of ``choices``."""
    choices = list(choices)
    if name not in choices:
        expected = f"one of {listed(choices)}" if choices else "nothing, as there is none"
        problems.add(path, expected, f'"{name}"', did_you_mean(name, choices))
