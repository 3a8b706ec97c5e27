#!/usr/bin/env python3
"""Docs check: public functions say what they do; prints ``file:line: what is missing``, exit code 1 for any.

What is asked of whom:

- every module, class and public function of a module has a docstring whose first line is a summary (methods may be
  plain by their name and class);
- execution modules, runners, states and ext_pillars describe each parameter as Salt does, by its name on a line of its
  own (``name`` or ``name : default``) with the text indented below it; several may share the line (``main, others``);
- execution modules and runners have a ``CLI Example:``, states a YAML example, both of which name the function;
- an adapter that raises ``CommandExecutionError`` in the function itself says so (``Raises …``).

    tools/check_docs.py [CHECKOUT]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

RAISED = "CommandExecutionError"
SHELL = ("_modules", "_runners")
DESCRIBED = (*SHELL, "_states")
# Salt calls these by name and signature; they are no commands of anybody's.
HOOKS = {"__virtual__", "__init__", "output", "ext_pillar", "start", "mod_watch", "mod_init"}

Finding = tuple[Path, int, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(checkout: Path) -> list[Finding]:
    """All findings in a checkout, in the order of files and lines."""
    found: list[Finding] = []
    for path in sorted((checkout / "salt").rglob("*.py")):
        kind = path.relative_to(checkout / "salt").parts[0]
        found += [(path, line, text) for line, text in check_file(path, kind)]
    return found


def check_file(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Findings of one file; ``kind`` is the room it lies in (``_modules``, ``_utils``, …)."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    if tree.body and not ast.get_docstring(tree):
        yield 1, "the module has no docstring"
    for node in _public(tree):
        yield from _summary(node)
        if isinstance(node, Function) and node.name not in HOOKS and kind in DESCRIBED:
            yield from _described(node, path.stem, kind)


def _public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Public functions and classes of a module."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node


def _summary(node: Function | ast.ClassDef) -> Iterator[tuple[int, str]]:
    text = ast.get_docstring(node)
    if not text or not text.strip().splitlines()[0].strip():
        yield node.lineno, f"{node.name} has no summary"


def _described(node: Function, module: str, kind: str) -> Iterator[tuple[int, str]]:
    text = ast.get_docstring(node) or ""
    for name in _parameters(node):
        if not re.search(rf"^(?:\w+, )*{name}(?:, \w+)*(?: : .+)?\n(?=\s+\S)", text, re.MULTILINE):
            yield node.lineno, f"{node.name}: parameter {name} is not described"
    called = node.name.rstrip("_")
    if kind in SHELL and not re.search(rf"CLI Examples?:(?s:.)*\b\w+\.{called}\b", text):
        yield node.lineno, f"{node.name}: no CLI Example that calls it"
    if kind == "_states" and not re.search(rf"code-block:: yaml(?s:.)*\b{module}\.{called}\b", text):
        yield node.lineno, f"{node.name}: no YAML example that uses {module}.{called}"
    if _raises(node) and not re.search(r"\bRaises?\b", text):
        yield node.lineno, f"{node.name}: raises {RAISED} and does not say so"


def _parameters(node: Function) -> list[str]:
    arguments = node.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if each.arg != "self"]


def _raises(node: Function) -> bool:
    return any(
        isinstance(each, ast.Raise) and each.exc is not None and RAISED in ast.dump(each.exc) for each in ast.walk(node)
    )


def main(arguments: list[str]) -> int:
    """See the module."""
    checkout = Path(arguments[0]).resolve() if arguments else Path(__file__).resolve().parents[1]
    findings = check(checkout)
    for path, line, text in findings:
        print(f"{path.relative_to(checkout)}:{line}: {text}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
