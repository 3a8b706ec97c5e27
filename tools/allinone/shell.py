"""Runs other programs: their output goes to a log, their last line to the waiting person, their end to the caller."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from allinone.console import Console, Stop

TAIL = 20
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, with the system's directories at the end of PATH (a root shell may lack sbin)."""
    path = os.environ.get("PATH", "")
    found = [*path.split(":"), *(part for part in SYSTEM_PATH.split(":") if part not in path.split(":"))]
    made = {**os.environ, "PATH": ":".join(part for part in found if part)}
    # They are for this front alone; a child with its own interpreter must not see our modules.
    made.pop("PYTHONPATH", None)
    made.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**made, **extra}


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
            line = COLOUR.sub("", raw.rstrip("\n"))
            file.write(line + "\n")
            file.flush()
            lines.append(line)
            if line.strip():
                on_line(line)
        result = process.wait()
    if result != 0:
        raise Stop(f"{what} (exit code {result})", advice=advice, log=str(log), tail=tail("\n".join(lines)), code=code)
    return "\n".join(lines)


def show(
    command: Sequence[str | Path],
    log: Path,
    console: Console,
    *,
    what: str,
    advice: str = "",
    code: int = 1,
    why: Callable[[str], str] | None = None,
) -> str:
    """Run a command that writes live lines to standard error for people, and return its standard output.

    On a terminal it gets the terminal's own standard error, so that it may replace lines in place; elsewhere its
    lines are printed as they come. Standard output goes to the log. Raises ``Stop`` when the exit code is not 0, with
    what ``why`` makes of standard output, else its last lines.
    """
    words = [str(part) for part in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    console.leave()
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n== {time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(words)}\n")
        file.flush()
        process = start(words, extra=None, cwd=None, stderr=None if console.live else subprocess.PIPE)
        assert process.stdout is not None
        reader = threading.Thread(target=_relay, args=(process, console, file))
        reader.start()
        text = process.stdout.read()
        result = process.wait()
        reader.join()
        file.write(text)
    if result != 0:
        raise Stop(what, advice=advice, log=str(log), tail=(why or tail)(text), code=code)
    return text


def _relay(process: subprocess.Popen[str], console: Console, file: TextIO) -> None:
    for raw in process.stderr or ():
        line = COLOUR.sub("", raw.rstrip("\n"))
        file.write(line + "\n")
        if line.strip():
            console.say(f"  {line}")


def start(
    words: list[str], *, extra: Mapping[str, str] | None, cwd: Path | None, stderr: int | None = subprocess.STDOUT
) -> subprocess.Popen[str]:
    """The child with its output in a pipe; a missing program is an error with a name."""
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            env={**environment(), **(extra or {})},
            cwd=cwd,
        )
    except FileNotFoundError:
        raise Stop(f"{words[0]} is not there", advice="./saltern up") from None


def tail(text: str) -> str:
    """Its last lines, empty ones left out."""
    return "\n".join(deque((line for line in text.splitlines() if line.strip()), maxlen=TAIL))
