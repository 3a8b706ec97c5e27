"""Runs other programs: their output goes to a log file, their last line to the waiting person, their end to the caller."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from allinone.console import Stop

TAIL = 20
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, with the system's directories at the end of PATH (a root shell may lack sbin)."""
    path = os.environ.get("PATH", "")
    found = [*path.split(":"), *(part for part in SYSTEM_PATH.split(":") if part not in path.split(":"))]
    made = {**os.environ, "PATH": ":".join(part for part in found if part), **extra}
    # They are for this front alone; a child with its own interpreter must not see our modules.
    made.pop("PYTHONPATH", None)
    made.pop("PYTHONDONTWRITEBYTECODE", None)
    return made


def output(command: Sequence[str | Path], timeout: float = 60) -> tuple[int, str]:
    """Exit code and standard output of a short command; 127 where it is not there."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        return 127, ""
    except subprocess.TimeoutExpired:
        return 124, ""
    return done.returncode, done.stdout


def run(
    command: Sequence[str | Path],
    log: Path,
    *,
    what: str,
    advice: str = "",
    on_line: Callable[[str], None] = lambda line: None,
    extra: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    code: int = 1,
) -> str:
    """Run ``command`` to its end and return its output (both streams).

    what
        The sentence that is the cause if it fails (``apt-get could not install docker.io``).
    advice
        The command to type then.
    on_line
        Called with each line as it comes.

    Raises ``Stop`` with the last lines of the output when the exit code is not 0.
    """
    words = [str(part) for part in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n== {time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(words)}\n")
        file.flush()
        process = start(words, extra=extra, cwd=cwd)
        assert process.stdout is not None
        for raw in process.stdout:
            line = COLOUR.sub("", raw.rstrip("\n").rpartition("\r")[2])
            file.write(line + "\n")
            file.flush()
            lines.append(line)
            if line.strip():
                on_line(line)
        result = process.wait()
    if result != 0:
        raise Stop(f"{what} (exit code {result})", advice=advice, log=str(log), tail=_tail(lines), code=code)
    return "\n".join(lines)


def start(words: list[str], *, extra: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[str]:
    """The child with one pipe for both streams; a missing program is an error with a name."""
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**environment(), **(extra or {})},
            cwd=cwd,
        )
    except FileNotFoundError:
        raise Stop(f"{words[0]} is not there", advice="./saltern up") from None


def _tail(lines: list[str]) -> str:
    return "\n".join(deque((line for line in lines if line.strip()), maxlen=TAIL))
