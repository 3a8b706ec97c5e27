"""The journal: whole lines, in order, whatever was cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from saltern.plan.journal import Journal


def test_append_and_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.read() == []
    journal.append({"event": "begin", "title": "ü"})
    journal.append({"event": "end"})
    assert [line["event"] for line in journal.read()] == ["begin", "end"]
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_cut_line_is_skipped_and_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"event": "begin"})
    with path.open("ab") as file:
        file.write(b'{"event": "step_st')
    assert [line["event"] for line in journal.read()] == ["begin"]
    journal.append({"event": "end"})
    assert [line["event"] for line in journal.read()] == ["begin", "end"]


def test_more_gives_each_line_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"n": 1})
    assert journal.more() == [{"n": 1}]
    with path.open("ab") as file:
        file.write(b'{"n": 2')
    assert journal.more() == []
    with path.open("ab") as file:
        file.write(b"}\n")
    assert journal.more() == [{"n": 2}]
    assert journal.more() == []


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Journal(path).append({"n": n, "fill": "x" * 2000}), range(100)))
    assert sorted(line["n"] for line in Journal(path).read()) == list(range(100))


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.jsonl"
        path.write_bytes(data)
        assert all(isinstance(line, dict) for line in Journal(path).read())
