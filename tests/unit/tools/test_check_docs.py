"""The docs check finds what is missing, and nothing in a good tree."""

from pathlib import Path

import check_docs
import pytest

MODULE = '''"""What it is."""


def do(host, test=False):
    """
    Do it.

    host, test : False
        On which host, and whether to only say so.

    Raises CommandExecutionError when it cannot.

    CLI Example:

    .. code-block:: bash

        salt ctl1 a.do
    """
    raise CommandExecutionError("no")
'''
STATE = '''"""What it is."""


def done(name):
    """
    It is done.

    name
        Any.

    .. code-block:: yaml

        Do:
          a.done: []
    """
'''


def findings(tree: Path, where: str, text: str) -> list[str]:
    path = tree / "salt" / where / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return [text for _, _, text in check_docs.check(tree)]


@pytest.mark.parametrize(("where", "text"), [("_modules", MODULE), ("_runners", MODULE), ("_states", STATE)])
def test_a_good_file_has_no_findings(tmp_path: Path, where: str, text: str) -> None:
    assert findings(tmp_path, where, text) == []


@pytest.mark.parametrize(
    ("where", "text", "old", "new", "found"),
    [
        ("_modules", MODULE, '"""What it is."""', "x = 1", "the module has no docstring"),
        ("_modules", MODULE, "host, test : False", "host", "do: parameter test is not described"),
        ("_modules", MODULE, "Raises CommandExecutionError when", "When", "do: raises CommandExecutionError and does"),
        ("_modules", MODULE, "a.do\n", "a.other\n", "do: no CLI Example that calls it"),
        ("_states", STATE, "a.done: []", "b.done: []", "done: no YAML example that uses a.done"),
        ("_utils", MODULE, '"""\n    Do it.', 'x = """', "do has no summary"),
    ],
)
def test_each_fault_is_found(tmp_path: Path, where: str, text: str, old: str, new: str, found: str) -> None:
    assert old in text
    assert any(found in line for line in findings(tmp_path, where, text.replace(old, new)))
