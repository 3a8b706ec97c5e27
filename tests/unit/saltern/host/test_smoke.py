"""The smoke test's script, run by this machine's own shell, and what is said of a failure."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from saltern.host import smoke


def _sh(*commands: str) -> tuple[int, list[str]]:
    script = smoke.SCRIPT.replace("rm -rf /tmp/*", ":")  # this is no container
    run = subprocess.run(["sh", "-c", script, "smoke", *commands], capture_output=True, text=True, timeout=60)
    return run.returncode, (run.stdout + run.stderr).splitlines()


def test_commands_run_one_after_the_other_until_one_fails() -> None:
    code, lines = _sh("echo one", "echo two; false", "echo three")
    assert code == 1
    assert [line for line in lines if not line.startswith(smoke.MARK)] == ["one", "two"]
    assert _sh("true", "exit 0", "test 1 = 1")[0] == 0


@pytest.mark.parametrize("command", ["exit 3", "no-such-program", "echo 'open", "false | false", "if"])
def test_a_broken_command_fails(command: str) -> None:
    assert _sh(command)[0] != 0


def test_what_runs_in_the_background_ends_with_its_command() -> None:
    code, lines = _sh("sleep 1000 &")  # it would hold the output open, and subprocess would wait for it
    assert code == 0
    assert lines[-1] == f"{smoke.MARK}none"


class Engine:
    """An engine whose one container ends as told."""

    def __init__(self, code: int | None, lines: list[str]) -> None:
        self.code, self.lines, self.bodies, self.removed = code, lines, [], 0  # type: ignore[var-annotated]

    def call(self, what: str, do: Any) -> Any:
        return do(self)

    def create_container_from_config(self, body: dict[str, Any], name: None) -> dict[str, str]:
        self.bodies.append(body)
        return {"Id": "c1"}

    def start(self, name: str) -> None:
        assert name == "c1"

    def wait(self, name: str, timeout: float) -> int | None:
        return self.code

    def logs(self, name: str, lines: int) -> list[str]:
        return self.lines

    def remove(self, name: str, *, force: bool) -> None:
        self.removed += 1


def test_a_failure_names_its_command_and_has_its_lines_alone() -> None:
    engine = Engine(1, [f"{smoke.MARK}1", "fine", f"{smoke.MARK}2", "working", "libfoo.so: not found", ""])
    found = smoke.run(engine, "sha256:1", ["one", "two"])  # type: ignore[arg-type]
    assert found == smoke.Failure("two", "libfoo.so: not found", ["working", "libfoo.so: not found"])
    assert engine.removed == 1


def test_one_that_hangs_and_one_that_says_nothing() -> None:
    hung = smoke.run(Engine(None, [f"{smoke.MARK}1"]), "sha256:1", ["sleep inf"], limit=5)  # type: ignore[arg-type]
    assert hung == smoke.Failure("sleep inf", "it did not end within 5 seconds", [])
    silent = smoke.run(Engine(1, []), "sha256:1", ["false"])  # type: ignore[arg-type]
    assert silent is not None and silent.cause == "it failed without a word"


def test_the_container_is_narrow() -> None:
    engine = Engine(0, [])
    assert smoke.run(engine, "sha256:1", ["true"]) is None  # type: ignore[arg-type]
    host = engine.bodies[0]["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"]) == ("none", ["ALL"], True)
    assert "User" not in engine.bodies[0], "the image's own"
    assert smoke.run(engine, "sha256:1", []) is None  # type: ignore[arg-type]
    assert len(engine.bodies) == 1, "nothing to run, no container"


def test_a_command_ends_at_the_first_line_that_fails_and_is_named_by_its_first() -> None:
    piece = "# how it starts\necho one\nfalse\necho two"
    run = subprocess.run(
        ["sh", "-c", smoke.SCRIPT.replace("rm -rf /tmp/*", ":"), "smoke", piece],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, "one" in run.stdout, "two" in run.stdout) == (1, True, False)
    found = smoke.run(Engine(1, run.stdout.splitlines()), "sha256:1", [piece])  # type: ignore[arg-type]
    assert found == smoke.Failure("echo one", "one", ["one"])
