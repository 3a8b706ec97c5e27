"""Read the operator's tree: every ``*.sls`` below ``<pillar_roots>/openstack/``, rendered and merged.

Merging is deep; the order of files carries no meaning, so two files that set one key to different values are a fault
and not a puzzle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from saltern.contract.errors import Problem
from saltern.model.problems import Problems, did_you_mean, shown
from saltern.model.sources import Path, Sources, Where, load_marked

Render = Callable[[FilePath], Any]
DEEPEST = 40


@dataclass
class Tree:
    """The merged tree (what stands below ``openstack:``), where its keys stand, and what is wrong with the files."""

    data: dict[str, Any]
    sources: Sources
    problems: list[Problem] = field(default_factory=list)


@dataclass
class _File:
    name: str
    data: Any
    lines: dict[Path, int]


def read_tree(roots: Iterable[FilePath], render: Render, shown_as: Callable[[FilePath], str] = str) -> Tree:
    """Read and merge the operator's files.

    roots
        Folders ``<pillar_roots>/openstack``.
    render
        Gives the data of one file (Salt's renderers, from the adapter); what it raises becomes a problem.
    shown_as
        How messages name a file.
    """
    roots = list(roots)
    paths = [path for root in roots for path in sorted(root.rglob("*.sls")) if path.is_file()]
    default = shown_as(paths[0]) if paths else shown_as(roots[0]) if roots else "pillar"
    problems = Problems(Sources(default))
    if not paths:
        problems.append(
            Problem(
                default,
                "openstack",
                "a file that describes your cloud",
                "no *.sls file",
                hint="copy one of pillar/examples",
            )
        )
    merged: dict[str, Any] = {}
    for path in paths:
        file = _read(path, shown_as(path), render, problems)
        if file is not None:
            _merge_file(merged, file, problems)
    return Tree(merged, problems.sources, problems.items)


def is_plain(text: str) -> bool:
    """Whether a file is YAML and nothing else, so that its lines are the operator's."""
    return not text.startswith("#!") and not any(mark in text for mark in ("{{", "{%", "{#"))


def _read(path: FilePath, name: str, render: Render, problems: Problems) -> _File | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        problems.append(Problem(name, "", "a readable file", type(exc).__name__))
        return None
    lines: dict[Path, int] = {}
    if is_plain(text) or text.startswith(("#!yaml\n", "#!yaml ")):
        marked = load_marked(text, name)
        if marked.problems:
            problems.extend(marked.problems)
            return None
        lines = marked.lines
    if not text.strip():
        return None
    try:
        data = plain(render(path))
    except RecursionError:
        problems.append(Problem(name, "", "YAML without a value that contains itself", "one that does"))
        return None
    except Exception as exc:  # a renderer may raise anything; nothing of it may reach the operator as a traceback
        problems.append(Problem(name, "", "a file that renders", _sentence(exc), _line(exc)))
        return None
    return _File(name, data, lines)


def _sentence(exc: Exception) -> str:
    """The line of an error that says what is wrong: the others are excerpts of the file, where secrets may be."""
    # Salt's SaltRenderError keeps YAML's own error, whose text begins with what was being read
    if isinstance(problem := getattr(getattr(exc, "error", exc), "problem", None), str):
        return problem
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:200]


def _line(exc: Exception) -> int | None:
    line = getattr(exc, "line_num", None)
    return line if isinstance(line, int) and line > 0 else None


def plain(value: Any, depth: int = 0) -> Any:
    """Only dicts with text keys, lists, texts, numbers, booleans and None: what JSON can say.

    Raises ValueError for anything else and RecursionError for a value that contains itself.
    """
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, Mapping):
        return {_key(k): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, depth + 1) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is infinite or none at all")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"a value of the kind {type(value).__name__}, which JSON cannot say")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return "null" if key is None else str(key)


def _merge_file(merged: dict[str, Any], file: _File, problems: Problems) -> None:
    if file.data is None:
        return
    whole = Where(file.name)
    if not isinstance(file.data, dict):
        problems.append(Problem(file.name, "", "a mapping with the key openstack", shown(file.data)))
        return
    for key, value in file.data.items():
        if key != "openstack":
            line = file.lines.get((key,))
            problems.append(Problem(file.name, key, "openstack", "unknown key", line, did_you_mean(key, ["openstack"])))
        elif isinstance(value, dict):
            problems.sources.note(("openstack",), Where(file.name, file.lines.get(("openstack",))))
            _merge(merged, value, ("openstack",), file, whole, problems)
        elif value is not None:
            problems.append(Problem(file.name, "openstack", "a mapping", shown(value), file.lines.get(("openstack",))))


def _merge(
    into: dict[str, Any], new: dict[str, Any], path: Path, file: _File, whole: Where, problems: Problems
) -> None:
    for key, value in new.items():
        here = (*path, key)
        where = Where(file.name, file.lines.get(here)) if here in file.lines else whole
        if key not in into:
            into[key] = _copy(value)
            _note(value, here, file, where, problems.sources)
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(into[key], value, here, file, whole, problems)
        elif into[key] != value or type(into[key]) is not type(value):
            first = problems.sources.locate(here)
            expected = f"one value for this key; {first} sets it to {shown(into[key], path=here)}"
            problems.append(
                Problem(
                    where.file, ":".join(here), expected, shown(value, path=here), where.line, "remove one of the two"
                )
            )


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def _note(value: Any, path: Path, file: _File, where: Where, sources: Sources) -> None:
    """Remember where a key and all below it stand."""
    sources.note(path, where)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        here = (*path, str(key))
        line = file.lines.get(here)
        _note(below, here, file, Where(file.name, line) if line else where, sources)
