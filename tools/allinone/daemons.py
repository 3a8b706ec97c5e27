"""The salt-master and the salt-minion of the all-in-one cloud: started in the background, stopped by pid file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from allinone import shell
from allinone.console import Stop
from allinone.layout import Layout

KINDS = ("master", "minion")
# A minion ends its jobs and engines first: 6 to 10 s on a small machine.
STOP_TIMEOUT = 40.0


def pid(layout: Layout, kind: str) -> int:
    """Pid of our daemon's first process, else 0. A pid that now belongs to another program does not count."""
    try:
        number = int((layout.run / f"{kind}.pid").read_text())
    except (OSError, ValueError):
        return 0
    if not _ours(layout, kind, number) or _zombie(number):
        return 0
    # A minion writes the pid of the child that works; its parent starts another when that one dies.
    while _ours(layout, kind, parent := _parent(number)):
        number = parent
    return number


def _ours(layout: Layout, kind: str, number: int) -> bool:
    # Salt retitles its processes but keeps the command's words in front.
    try:
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False
    return f"salt-{kind}".encode() in command and str(layout.config).encode() in command


def _parent(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def start(layout: Layout, kind: str) -> bool:
    """Start the daemon unless it runs; whether it was started."""
    if pid(layout, kind):
        return False
    layout.make()
    with (layout.log / f"salt-{kind}.out").open("ab") as out:
        process = subprocess.Popen(
            [str(layout.venv / "bin" / f"salt-{kind}"), "-c", str(layout.config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=shell.environment(),
            cwd="/",
        )
    _await_pid_file(layout, kind, process)
    return True


def stop(layout: Layout, kind: str, timeout: float = STOP_TIMEOUT) -> bool:
    """Stop the daemon with everything it started; whether it ran."""
    number = pid(layout, kind)
    if not number:
        return False
    session = os.getsid(number)
    os.kill(number, signal.SIGTERM)
    _await_end(number, timeout)
    # Workers that outlive their parent would answer with old code. Only a session of the daemon's own (see start) is
    # swept: one started by hand shares its session with somebody's shell.
    for left in _of_session(session) if session == number else []:
        _signal(left, signal.SIGKILL)
    (layout.run / f"{kind}.pid").unlink(missing_ok=True)
    return True


def restart(layout: Layout, kind: str) -> None:
    """Stop and start; a new minion that comes while the old one ends would exit at once."""
    stop(layout, kind)
    start(layout, kind)


def _await_pid_file(layout: Layout, kind: str, process: subprocess.Popen[bytes], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if pid(layout, kind):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    log = layout.log / f"salt-{kind}.out"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise Stop(f"salt-{kind} did not start", advice="./saltern up", log=str(log), tail=tail, code=5)


def _await_end(number: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while Path(f"/proc/{number}").exists() and not _zombie(number):
        if time.monotonic() > deadline:
            _signal(number, signal.SIGKILL)
            return
        time.sleep(0.05)


def _zombie(number: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{number}/status").read_text()
    except OSError:
        return True


def _of_session(session: int) -> list[int]:
    """Processes of a session, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if os.getsid(int(entry.name)) == session:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _signal(number: int, which: signal.Signals) -> None:
    try:
        os.kill(number, which)
    except ProcessLookupError:
        pass
