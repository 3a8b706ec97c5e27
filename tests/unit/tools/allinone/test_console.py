"""What the person who waits sees."""

import io

import pytest
from allinone.console import Console, Stop, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (59.6, "1 m 00 s"), (171, "2 m 51 s")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_every_step_is_a_line(console: Console, out: io.StringIO) -> None:
    with console.phase("Images") as phase:
        phase.step("building\n  base")
        phase.detail = "9 built"
    step, end = out.getvalue().splitlines()
    assert step == "  … building base"
    assert end.startswith("● Images") and "9 built" in end and end.endswith(" s")


def test_a_failed_phase_says_so_and_passes_the_error_on(console: Console, out: io.StringIO) -> None:
    with pytest.raises(Stop), console.phase("Images"):
        raise Stop("no disk")
    assert out.getvalue().startswith("✗ Images   failed after")


def test_on_a_terminal_a_step_is_replaced_in_place(out: io.StringIO) -> None:
    console = Console(out, clock=lambda: 0.0, live=True)
    with console.phase("Deploy") as phase:
        phase.step("first")
        phase.step("second")
    text = out.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n") and "\r\033[K● Deploy" in text


def test_a_line_is_not_wider_than_the_terminal(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    console = Console(out, clock=lambda: 0.0, live=True)
    with console.phase("Deploy") as phase:
        phase.step("x" * 200)
        assert len(out.getvalue().rpartition("\033[K")[2]) < 60


@pytest.mark.parametrize(
    ("tty", "environment", "live", "colour"),
    [
        (True, {"TERM": "xterm"}, True, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True, False),
        (True, {"TERM": "dumb"}, False, False),
        (False, {"TERM": "xterm"}, False, False),
    ],
)
def test_live_and_colour_where_they_fit(tty: bool, environment: dict[str, str], live: bool, colour: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return tty

    console = Console.on(Stream(), environment)
    assert (console.live, console.colour) == (live, colour)
