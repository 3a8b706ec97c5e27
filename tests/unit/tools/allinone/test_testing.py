"""``./saltern test``: which stages run, what it passes on, how it ends."""

import io
import subprocess
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from allinone import cloud, testing
from allinone.console import Console
from allinone.layout import STATE_ROOT, Layout


@pytest.fixture
def world(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A checkout with tests of some stages; programs only leave their words."""
    for part in ("functional", "unit", "functional/orchestration", "integration"):
        folder = layout.checkout / "tests" / part
        folder.mkdir(parents=True)
        (folder / "test_x.py").touch()
    (layout.checkout / "tests/integration/test_compute.py").touch()
    layout.log.mkdir(parents=True, exist_ok=True)
    fake = SimpleNamespace(ran=[], codes={})

    def run(words: list[Any], **_: Any) -> subprocess.CompletedProcess[str]:
        text = " ".join(str(word).rpartition("/")[2] for word in words)
        fake.ran.append(text)
        return subprocess.CompletedProcess(words, next((c for k, c in fake.codes.items() if k in text), 0), "fault\n")

    def begin(words: list[Any], stdout: Any, **_: Any) -> SimpleNamespace:
        done = run(words)
        stdout.write(b"what it said\n")
        return SimpleNamespace(wait=lambda: done.returncode, terminate=lambda: None)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(subprocess, "Popen", begin)
    monkeypatch.setattr(testing, "prepare", lambda *a: None)
    monkeypatch.setattr(testing, "images", lambda *a: fake.ran.append("images"))
    return fake


def test_checks_then_images_then_stages_from_quick_to_slow(
    layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace
) -> None:
    assert testing.run(layout, console, []) == 0
    assert world.ran[:2] == ["ruff check .", "ruff format --check ."]
    at = world.ran.index("images")
    assert world.ran[at + 1] == "python -m pytest unit"
    assert set(world.ran[at + 2 : -1]) == {
        "python -m pytest functional orchestration",
        "python -m pytest orchestration",
        "python -m pytest integration test_compute.py",
    }
    assert world.ran.index("python -m pytest orchestration") < world.ran.index(
        "python -m pytest integration test_compute.py"
    )
    assert world.ran[-1] == "python -m pytest test_compute.py"
    assert "All checks and tests passed" in out.getvalue()


def test_a_fault_is_shown_the_rest_still_runs_and_the_end_names_it(
    layout: Layout, console: Console, out: io.StringIO, world: SimpleNamespace
) -> None:
    world.codes = {"lint-imports": 1, "pytest unit": 1, "pytest orchestration": 1}
    assert testing.run(layout, console, []) == 1
    assert world.ran[-1] == "python -m pytest test_compute.py"
    text = out.getvalue()
    assert "fault" in text and "what it said" in text
    assert "Failed after" in text and "layers of the library, tests/unit, tests/functional/orchestration" in text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_could_not_be_begun_beside_others_is_a_failure(
    layout: Layout, console: Console, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("python")

    monkeypatch.setattr(subprocess, "Popen", gone)
    failed = testing.tested(layout, console, testing.STAGES[1])
    assert failed == ["tests/functional/orchestration", "tests/integration"]


def test_an_interruption_ends_what_runs_beside_and_starts_no_more(
    layout: Layout, console: Console, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def begin(words: list[Any], **_: Any) -> SimpleNamespace:
        world.ran.append("begun")
        begun.set()
        return SimpleNamespace(wait=ended.wait, terminate=ended.set)

    def interrupted(*_: Any) -> int:
        assert begun.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", begin)
    monkeypatch.setattr(testing, "pytest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        testing.tested(layout, console, testing.STAGES[1])
    assert ended.is_set() and world.ran == ["begun"]


def test_arguments_go_to_one_pytest(layout: Layout, console: Console, world: SimpleNamespace) -> None:
    world.codes = {"pytest": 3}
    assert testing.run(layout, console, ["-k", "keystone"]) == 3
    assert world.ran == ["python -m pytest -k keystone"]


def test_the_record_of_images_lies_where_up_looks_unless_the_machine_is_anothers(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "claim", lambda layout: None)
    assert testing.state(layout) == STATE_ROOT

    def refuse(layout: Layout) -> None:
        raise testing.Stop("another's")

    monkeypatch.setattr(cloud, "claim", refuse)
    assert testing.state(layout) == layout.dot / "state"
