"""Arguments, the lock, and how an error reads."""

import fcntl
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from allinone import __main__ as front
from allinone.console import Console, Stop
from allinone.layout import Layout

CHECKOUT = Path(__file__).resolve().parents[4]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHECKOUT / "saltern", *arguments], capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_names_every_verb(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert all(f"  {verb} " in done.stdout for verb in ("up", "test", "down", "help"))


@pytest.mark.parametrize("arguments", [("upp",), ("up", "--fast"), ("down", "everything")])
def test_a_wrong_argument_is_refused(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


def test_the_front_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, allinone.__main__; "
        "known = {*sys.stdlib_module_names, 'allinone', '__main__'}; "
        "print(*{name.partition('.')[0] for name in sys.modules} - known)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT / "tools"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == []


def test_a_second_one_in_the_same_checkout_is_refused(layout: Layout) -> None:
    layout.make()
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, layout.dot / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Stop, match=r"Another \./saltern works"), front.lock(layout, "up"):
            pass
        other.communicate("\n")
    with front.lock(layout, "up"):
        assert (layout.dot / "lock").exists()


def test_the_lock_is_not_inherited(layout: Layout) -> None:
    """Daemons that ``up`` starts must not hold it for good."""
    with front.lock(layout, "up"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with (layout.dot / "lock").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        child.kill()
        child.wait()


def test_an_error_reads_as_cause_last_lines_log_next(console: Console, out: io.StringIO) -> None:
    code = front.explain(console, Stop("apt-get failed", advice="apt-get update", log="/x.log", tail="a\nb", code=5))
    assert code == 5
    assert out.getvalue().splitlines() == [
        "", "✗ apt-get failed", "    a", "    b", "  Log:  /x.log", "  Next: apt-get update",
    ]  # fmt: skip
