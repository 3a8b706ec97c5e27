"""INI as OpenStack, MariaDB and uwsgi read it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltern.model import ini

TEXT = """
# comment
[mysqld]
skip-networking
port = 3306
; other comment
url=a=b # not a comment
[uwsgi]
env = A=1
env = B=2
long = one
  two
!includedir /etc/mysql/conf.d
[empty]
"""


def test_it_reads_what_the_services_write() -> None:
    assert ini.parse(TEXT) == {
        "mysqld": {"skip-networking": [None], "port": ["3306"], "url": ["a=b # not a comment"]},
        "uwsgi": {"env": ["A=1", "B=2"], "long": ["one\ntwo"], "!includedir /etc/mysql/conf.d": [None]},
        "empty": {},
    }


def test_printing_and_reading_again_changes_nothing() -> None:
    once = ini.parse(TEXT)
    assert ini.parse(ini.render(once)) == once


@pytest.mark.parametrize(("text", "line"), [("a = 1", 1), ("[a]\nb = 1\n[c", 3)])
def test_a_line_that_is_none_is_named(text: str, line: int) -> None:
    with pytest.raises(ini.IniError) as caught:
        ini.parse(text)
    assert caught.value.line == line


def test_overrides_replace_remove_repeat_and_add() -> None:
    base = ini.parse("[a]\nx = 1\ny = 2\nz = 3\nz = 4\n")
    merged = ini.merge(base, {"a": {"x": True, "y": None, "z": ["5"]}, "b": {"n": [1, 2]}})
    assert merged == {"a": {"x": ["True"], "z": ["5"]}, "b": {"n": ["1", "2"]}}
    assert base["a"]["x"] == ["1"], "the template's own is shared by hosts and must not change"


_WORD = st.text("abcdefgh_-.", min_size=1, max_size=8).filter(lambda s: not s.startswith(("-", ".")))
_VALUE = st.text("ab =#;/:\n[", max_size=12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        _WORD,
        st.dictionaries(_WORD, st.one_of(_VALUE, st.lists(_VALUE, min_size=1, max_size=3)), max_size=3),
        max_size=3,
    )
)
def test_no_override_can_add_a_key_or_a_section_of_its_own(override: Any) -> None:
    merged = ini.merge({}, override)
    again = ini.parse(ini.render(merged))
    assert {s: set(keys) for s, keys in again.items()} == {s: set(keys) for s, keys in merged.items()}
