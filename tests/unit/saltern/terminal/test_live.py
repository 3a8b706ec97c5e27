"""Live lines: appended without a terminal, replaced in place on one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from saltern.plan.runs import Run
from saltern.terminal import live
from saltern.terminal.progress import Progress

from ..plan.planmaker import MODEL, make_plan

STEPS = [
    {"id": "compare", "title": "Compare every host with the model", "hosts": ["ctl1", "ctl2"]},
    *make_plan()["steps"],
]
DOCUMENT = {"run": "20261122-190400-abcd", "verb": "deploy", "mode": "deploy", "model": MODEL, "steps": STEPS}


def start(step: str, at: float = 100.0) -> dict[str, Any]:
    return {"at": at, "event": "step_start", "step": step, "title": step.capitalize(), "hosts": ["ctl1"]}


def end(step: str, result: str = "changed", **more: Any) -> dict[str, Any]:
    return {**start(step), "event": "step_end", "result": result, "seconds": 1.0, "summary": "1 started", **more}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path, "20261122-190400-abcd")
    run.create({**DOCUMENT, "hosts": ["ctl1", "ctl2"]})
    return run


def test_a_run_in_which_nothing_differs_says_one_sentence() -> None:
    progress = Progress(DOCUMENT)
    lines = [start("compare"), end("compare", "ok", summary=""), end("start mariadb", "skipped")]
    assert progress.feed([*lines, {"event": "end", "result": "ok", "summary": "Nothing to do: 2 hosts"}]) == [
        "Nothing to do: 2 hosts"
    ]


def test_running_steps_come_with_time_and_estimate_waiting_ones_below() -> None:
    progress = Progress(DOCUMENT, {"start mariadb": 31.0})
    progress.feed([start("compare"), end("compare", "ok"), start("start mariadb", 100.0)])
    lines = progress.live(104.2)
    assert "◐ Start mariadb" in lines[0]
    assert "4.2 s   of about 31.0 s" in lines[0]
    assert "ctl1, ctl2, one at a time" in next(line for line in lines if "Start keystone" in line)
    assert lines[1].startswith("○")


def test_a_failure_shows_its_cause_at_once_and_what_was_not_begun_at_the_end() -> None:
    progress = Progress(DOCUMENT)
    failed = end(
        "start keystone", "failed", failures=[{"container": "keystone", "host": "ctl1", "message": "not healthy"}]
    )
    assert any("✗ Start keystone on ctl1: not healthy" in line for line in progress.feed([failed]))
    last = progress.feed([{"event": "end", "result": "failed", "summary": "Deploy failed"}])
    assert any("not begun: " in line and "Register keystone" in line for line in last)


def test_a_terminal_has_its_live_lines_replaced() -> None:
    stream = Terminal()
    screen = live.Screen(stream)
    screen.draw([], ["◐ one", "○ two"])
    screen.draw(["● one"], ["◐ two"])
    screen.draw(["● two"], [])
    assert stream.getvalue() == "◐ one\n○ two\n\x1b[2F\x1b[J● one\n◐ two\n\x1b[1F\x1b[J● two\n"


def test_without_a_terminal_lines_are_appended_once() -> None:
    stream = io.StringIO()
    screen = live.Screen(stream)
    screen.draw([], ["◐ one"])
    screen.draw(["● one"], ["◐ two"])
    assert stream.getvalue() == "● one\n"


def test_follow_reads_to_the_end(run: Run) -> None:
    stream = io.StringIO()
    script = [[start("compare")], [end("compare"), start("start mariadb")], [end("start mariadb")]]

    def sleep(seconds: float) -> None:
        for line in script.pop(0) if script else [{"event": "end", "result": "ok", "summary": "Deployed."}]:
            run.journal.append(line)

    assert live.follow(run, stream, alive=lambda: True, sleep=sleep)["result"] == "ok"  # type: ignore[index]
    text = stream.getvalue()
    assert text.index("● Compare") < text.index("● Start mariadb") < text.index("Deployed. Next: openstack token issue")


def test_follow_says_when_the_run_died(run: Run) -> None:
    stream = io.StringIO()
    run.journal.append(end("start mariadb"))
    assert live.follow(run, stream, alive=lambda: False) is None
    assert "● Start mariadb" in stream.getvalue()
    assert "process is gone" in stream.getvalue()


def test_the_painter_ends_with_the_run(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run.journal.append({"event": "end", "result": "ok", "summary": "Nothing to do."})
    screen = live.spawn(run)
    live.wait(screen)
    assert "Nothing to do." in capfd.readouterr().err
    assert live.spawn(None) is None
    live.wait(None)
