"""The house as it stands keeps its own rules (the tools that find a breach are tested beside them)."""

from pathlib import Path

import check_adapters
import check_minion_imports
from rig.rig import CHECKOUT


def test_the_rules_of_the_rooms() -> None:
    found = check_adapters.check(CHECKOUT)
    assert [f"{path.relative_to(CHECKOUT)}:{line}: {text}" for path, line, text in found] == []


def test_minion_adapters_import_with_salt_and_docker_only() -> None:
    assert check_minion_imports.check(CHECKOUT) == []


def test_test_directories_are_packages() -> None:
    """Without ``__init__.py`` all the way up, two tests of one name collide, or `saltern` is shadowed by its tests."""
    tests = CHECKOUT / "tests"
    missing = set()
    for test in tests.rglob("test_*.py"):
        directory = test.parent
        while directory != tests:
            if not (directory / "__init__.py").exists():
                missing.add(str(directory.relative_to(CHECKOUT)))
            directory = directory.parent
    assert missing == set()


def test_no_file_names_the_machine_it_was_written_on() -> None:
    """Paths of one workspace or mirror hosts in a shipped file would break everybody else's."""
    words = ("/wo" + "rk/", "pypi.or" + "g/simple", "artif" + "actory")
    shipped = [p for top in ("salt", "states", "images", "tools", "tests", "docs") for p in (CHECKOUT / top).rglob("*")]
    found = [f"{p.relative_to(CHECKOUT)}: {w}" for p in shipped if _text(p) for w in words if w in _read(p)]
    assert found == []


def _text(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
