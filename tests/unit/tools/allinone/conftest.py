"""A layout in a directory of its own, and a console that writes into a text."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from allinone.console import Console
from allinone.layout import Layout


@pytest.fixture
def layout_in(tmp_path: Path) -> Iterator[Callable[[str], Layout]]:
    """Makes layouts of checkouts in the test's directory; their aliases below /run go with it."""
    made = []

    def make(name: str) -> Layout:
        made.append(Layout(tmp_path / name))
        return made[-1]

    yield make
    for layout in made:
        if layout.root.is_symlink():
            layout.root.unlink()


@pytest.fixture
def layout(layout_in: Callable[[str], Layout]) -> Layout:
    return layout_in(".")


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
