"""Other programs: log, last lines, exit code."""

import io
from pathlib import Path

import pytest
from allinone import shell
from allinone.console import Console, Stop


def test_output_goes_to_the_log_and_to_whoever_waits(tmp_path: Path) -> None:
    seen: list[str] = []
    command = ["sh", "-c", "echo one; echo two >&2"]
    text = shell.run(command, tmp_path / "log" / "x.log", what="", on_line=seen.append)
    assert seen == ["one", "two"] and text == "one\ntwo"
    assert "sh -c" in (tmp_path / "log" / "x.log").read_text()


def test_a_failure_has_cause_last_lines_log_and_advice(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with pytest.raises(Stop) as caught:
        shell.run(["sh", "-c", "seq 100; exit 3"], log, what="seq failed", advice="seq")
    assert caught.value.cause == "seq failed (exit code 3)"
    assert caught.value.tail.splitlines() == [str(n) for n in range(81, 101)]
    assert (caught.value.log, caught.value.advice) == (str(log), "seq")


def test_a_program_that_is_not_there_has_a_name(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no-such-program is not there"):
        shell.run(["no-such-program"], tmp_path / "x.log", what="")


def test_live_lines_are_shown_and_standard_output_is_kept(tmp_path: Path, console: Console, out: io.StringIO) -> None:
    text = shell.show(["sh", "-c", "echo live >&2; echo data"], tmp_path / "x.log", console, what="")
    assert text == "data\n"
    assert out.getvalue() == "  live\n"


def test_the_systems_directories_are_in_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/bin:/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    made = shell.environment(EXTRA="1")
    assert made["PATH"].split(":")[:2] == ["/opt/bin", "/usr/bin"] and "/usr/sbin" in made["PATH"].split(":")
    assert made["EXTRA"] == "1" and "PYTHONPATH" not in made


def test_a_short_command_that_is_missing_or_slow_is_an_exit_code() -> None:
    assert shell.output(["no-such-program"]) == (127, "")
    assert shell.output(["sleep", "5"], timeout=0.05) == (124, "")
