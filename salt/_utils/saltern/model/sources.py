"""Where in which file a key stands.

YAML's loader forgets positions, so plain YAML is composed a second time for its marks alone. Files that pass through
Jinja or gpg first have no lines worth naming: there the file is all that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from saltern.contract.errors import Problem

Path = tuple[str, ...]
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Base):  # type: ignore[misc]
    """YAML's safe loader, with dates left as the text they were written as (JSON has no dates)."""


Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


@dataclass(frozen=True)
class Where:
    """A file and, where known, a line of it (1-based)."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Sources:
    """Positions of keys, and the file to name when nothing better is known."""

    default: str
    places: dict[Path, Where] = field(default_factory=dict)

    def locate(self, path: Path) -> Where:
        """The place of ``path``, or of the nearest key above it."""
        for length in range(len(path), 0, -1):
            if found := self.places.get(path[:length]):
                return found
        return Where(self.default)

    def note(self, path: Path, where: Where) -> None:
        """Remember a place; one with a line wins over one without."""
        known = self.places.get(path)
        if known is None or (known.line is None and where.line is not None):
            self.places[path] = where


def text_of(path: Path) -> str:
    """``openstack:hosts:ctl1``, as operators write keys."""
    return ":".join(path)


@dataclass
class Marked:
    """A YAML text with its positions. ``data`` is None when it could not be read at all."""

    data: Any
    lines: dict[Path, int]
    problems: list[Problem]


def load_marked(text: str, file: str) -> Marked:
    """Load plain YAML with the line of every key; duplicate keys and syntax errors become problems.

    text
        The YAML.
    file
        Its name, for messages.
    """
    try:
        node = yaml.compose(text, Loader=Loader)
        data = yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as exc:
        return Marked(None, {}, [_syntax_problem(exc, file)])
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    if node is not None:
        for path, key_node in _keys(node, (), set()):
            line = key_node.start_mark.line + 1
            if path in lines:
                problems.append(
                    Problem(
                        file,
                        text_of(path),
                        "a key once",
                        f"the key twice, first in line {lines[path]}",
                        line,
                        "remove one of the two",
                    )
                )
            else:
                lines[path] = line
    return Marked(data, lines, problems)


def _keys(node: Any, path: Path, above: set[int]) -> Iterator[tuple[Path, Any]]:
    """Every key of a composed node with its path. ``above`` stops at aliases that contain themselves."""
    if id(node) in above:
        return
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            here = (*path, str(getattr(key, "value", "?")))
            yield here, key
            yield from _keys(value, here, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _keys(value, (*path, str(index)), above)


def _syntax_problem(exc: Exception, file: str) -> Problem:
    mark = getattr(exc, "problem_mark", None)
    # only YAML's own sentence: its excerpt of the text could show a secret
    found = str(getattr(exc, "problem", None) or "something that is not YAML")
    return Problem(file, "", "valid YAML", found, mark.line + 1 if mark else None)
