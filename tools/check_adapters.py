#!/usr/bin/env python3
"""Rules of the rooms that a type checker does not know; prints ``file:line: what is wrong``, exit code 1 for any.

Each rule stands for a fault that Salt does not report where it happens (docs/decisions, DESIGN of the rooms):

- ``pillar.get`` masks every value in Salt 3008: somebody would render asterisks into a configuration file.
- An import of the library inside a function fails until the daemon restarts, and pins old code in its parent process.
  The health engine is the exception the other way round: it imports the library inside ``start``.
- ``import salt.x`` inside a function makes ``salt`` local to it.
- ``import docker`` in an adapter takes the whole adapter away from a host without docker-py, its message too, unless
  ``except ImportError`` guards it.
- A file ``salt/__init__.py``, a directory ``tests/salt`` or pytest's importlib mode hide Salt itself.

    tools/check_adapters.py [CHECKOUT]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ADAPTERS = ("_modules", "_states", "_runners", "_engines", "_pillar", "_output")
HEALTH_ENGINE = "openstack_health.py"
DUNDERS = {"__salt__", "__opts__", "__pillar__", "__grains__", "__states__", "__context__", "__runner__", "__utils__"}
LONGEST = 400  # lines

Finding = tuple[Path, int, str]


def check(checkout: Path) -> list[Finding]:
    """All findings, as (file, line, text)."""
    found = [*_tree(checkout)]
    for room in ADAPTERS:
        for path in sorted((checkout / "salt" / room).glob("*.py")):
            found += _adapter(path)
    for path in sorted((checkout / "salt/_utils/saltern").rglob("*.py")):
        found += _library(path)
    for path in sorted((checkout / "states").rglob("*.sls")):
        found += _sls(path)
    return found


def _tree(checkout: Path) -> Iterator[Finding]:
    for name in ("salt", *(f"salt/{room}" for room in ADAPTERS)):
        if (checkout / name / "__init__.py").exists():
            yield checkout / name / "__init__.py", 1, "makes this directory the package that hides Salt: remove it"
    if (checkout / "tests/salt").exists():
        yield checkout / "tests/salt", 1, "hides Salt from the tests: rename it"
    configuration = checkout / "pyproject.toml"
    if configuration.exists() and "import-mode=importlib" in configuration.read_text(encoding="utf-8"):
        yield configuration, 1, "pytest's importlib mode imports this tree in place of Salt"


def _adapter(path: Path) -> Iterator[Finding]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    yield from ((path, line, text) for line, text in _pillar_get(tree))
    yield from ((path, line, text) for line, text in _imports(tree, path.name))
    yield from _length(path)


def _pillar_get(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == "pillar.get":
            yield node.lineno, "pillar.get masks values: read __pillar__"


def _imports(tree: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    health = name == HEALTH_ENGINE
    guarded = {id(node) for guard in ast.walk(tree) if _guards_import(guard) for node in ast.walk(guard)}
    for node, function in _with_function(tree):
        for module in _imported(node):
            top = module.split(".")[0]
            if top == "docker" and (function or id(node) not in guarded):
                yield node.lineno, "adapters reach the engine through the library: no import of docker"
            elif top == "saltern" and function and not health:
                yield node.lineno, f"import of {module} inside {function}: import the library at module top level"
            elif top == "saltern" and health and function != "start":
                yield node.lineno, f"import of {module}: the health engine imports the library inside start()"
            elif top == "salt" and function:
                yield node.lineno, f"import of {module} inside {function} makes `salt` local to it: move it to the top"


def _library(path: Path) -> Iterator[Finding]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in DUNDERS:
            yield path, node.lineno, f"the library knows no {node.id}: take it as an argument"
        for module in _imported(node):
            if module.split(".")[0] == "salt":
                yield path, node.lineno, f"the library imports nothing of Salt ({module})"
    yield from _length(path)


def _sls(path: Path) -> Iterator[Finding]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if re.search(r"salt(\.|\[.)pillar\.(get|item)", line):
            yield path, number, "salt['pillar.get'] may mask values: use the variable pillar"


def _length(path: Path) -> Iterator[Finding]:
    lines = path.read_text(encoding="utf-8").count("\n")
    if lines > LONGEST:
        yield path, LONGEST, f"{lines} lines: a file is one idea, at most {LONGEST} lines"


def _guards_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Try) and any(
        isinstance(handler.type, ast.Name) and handler.type.id in ("ImportError", "ModuleNotFoundError")
        for handler in node.handlers
    )


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def _with_function(tree: ast.AST, function: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Every node with the name of the outermost function it lies in."""
    for node in ast.iter_child_nodes(tree):
        yield node, function
        inner = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _with_function(node, function or (getattr(node, "name", "lambda") if inner else ""))


def main(arguments: list[str]) -> int:
    checkout = Path(arguments[0] if arguments else Path(__file__).resolve().parents[1])
    found = check(checkout)
    for path, line, text in found:
        print(f"{path.relative_to(checkout)}:{line}: {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
