"""Facts about processes out of /proc: whose pid file, since when, by which systemd unit, and how to start one again."""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path


def from_pid_file(path: str, program: str, proc: Path = Path("/proc")) -> int:
    """Pid in the file ``path`` if that process is ``program`` (a word of its command line contains it), else 0."""
    try:
        pid = int(Path(path).read_text())
        words = (proc / str(pid) / "cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return pid if program.encode() in words else 0


def started(pid: int, proc: Path = Path("/proc")) -> float:
    """When a process began, in epoch seconds (to a hundredth); 0.0 when there is none."""
    try:
        # The second field is the program's name in parentheses and may contain spaces.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        uptime = float((proc / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return time.time() - (uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def systemd_unit(pid: int, proc: Path = Path("/proc")) -> str:
    """Name of the salt-minion service a process belongs to; empty where systemd does not run it as one.

    A minion that some other service started (a CI runner) is not that service.
    """
    try:
        groups = (proc / str(pid) / "cgroup").read_text()
    except OSError:
        return ""
    found = re.search(r"/system\.slice/(?:[^/\n]+\.slice/)*([^/\n]*salt-minion[^/\n]*\.service)$", groups, re.MULTILINE)
    return found.group(1) if found and Path("/run/systemd/system").is_dir() else ""


def leader(pid: int, program: str, proc: Path = Path("/proc")) -> int:
    """The topmost of ``pid`` and its ancestors that is ``program``: a minion's launcher, whose end ends all of it."""
    while True:
        parent = _parent(pid, proc)
        if parent <= 1 or program.encode() not in _words(parent, proc):
            return pid
        pid = parent


def restart_script(pid: int, proc: Path = Path("/proc"), patience: int = 60) -> str:
    """Shell commands that end a process and then start its command line again in its place.

    pid
        A leader (see above): processes below it have replaced their command line by a title.

    patience
        Seconds until it is killed. A salt-minion that is started while the old one still ends (6 to 10 s) exits at
        once, so the new one waits.
    """
    words = [word for word in _words(pid, proc).decode(errors="surrogateescape").split("\0") if word]
    wait = f"n=0; while kill -0 {pid} 2>/dev/null && [ $n -lt {patience * 5} ]; do sleep 0.2; n=$((n+1)); done"
    return f"kill {pid}; {wait}; kill -9 {pid} 2>/dev/null; exec {shlex.join(words)}"


def _words(pid: int, proc: Path) -> bytes:
    try:
        return (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _parent(pid: int, proc: Path) -> int:
    try:
        return int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
