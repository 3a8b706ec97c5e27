"""A layout in a directory of its own, and a console that writes into a text."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from allinone.console import Console
from allinone.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    made = Layout(tmp_path)
    yield made
    if made.root.is_symlink():  # the alias below /run of a directory that is about to go
        made.root.unlink()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Callable[[], float]:
    """Half a second passes at every look."""
    ticks = iter(range(1_000_000))
    return lambda: next(ticks) / 2


@pytest.fixture
def console(out: io.StringIO, clock: Callable[[], float]) -> Console:
    return Console(out, clock=clock)
