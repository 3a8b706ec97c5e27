"""The Docker Engine: the one that answers is used as it is; else the distribution's is installed and started.

Where systemd is process 1 it runs the engine; elsewhere (a container, a rescue system) ``dockerd`` runs in the
background with a pid file and a log of its own, and ``made`` remembers that we started it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from allinone import packages, shell
from allinone.console import Phase, Stop
from allinone.layout import Layout
from allinone.made import Made

SOCKET = "/var/run/docker.sock"
START_TIMEOUT = 90.0


class _Connection(http.client.HTTPConnection):
    """HTTP over the engine's Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    method: str, path: str, *, body: object = None, timeout: float = 30, address: str = SOCKET
) -> tuple[int, bytes]:
    """One call to the engine, ``body`` as JSON: status and body. Status 0 means that none answers."""
    connection = _Connection(address, timeout)
    try:
        given = {} if body is None else {"body": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        connection.request(method, path, **given)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def run(container: str, words: list[str]) -> tuple[int, str]:
    """Exit code and output of a short command in a container; -1 where it cannot be run."""
    wanted = {"Cmd": words, "AttachStdout": True, "Tty": True}
    status, body = ask("POST", f"/containers/{container}/exec", body=wanted)
    if status != 201:
        return -1, ""
    name = json.loads(body)["Id"]
    _, output = ask("POST", f"/exec/{name}/start", body={"Detach": False, "Tty": True}, timeout=60)
    status, body = ask("GET", f"/exec/{name}/json")
    return (int(json.loads(body).get("ExitCode") or 0) if status == 200 else -1), output.decode(errors="replace")


def version(address: str = SOCKET) -> str:
    """The engine's version; empty when none answers."""
    status, body = ask("GET", "/version", timeout=5, address=address)
    return str(json.loads(body).get("Version", "")) if status == 200 else ""


def ensure(layout: Layout, made: Made, phase: Phase) -> None:
    """Make an engine answer and say in ``phase`` which one and whose it is.

    Raises ``Stop`` when it cannot be installed or does not start.
    """
    found = version()
    how = "was there, used as it is"
    if made.get("engine"):
        how = "running since an earlier up"
    if not found:
        installed = []
        if not shutil.which("dockerd", path=shell.environment()["PATH"]):
            installed = packages.install(packages.ENGINE, phase, made, layout.log / "apt.log")
        phase.step("starting the Docker Engine")
        _start(layout, made)
        found = _await(layout)
        how = "installed from the distribution, started" if installed else "started"
    phase.title, phase.detail = f"Docker Engine {found.partition('+')[0]}", how


def systemd() -> bool:
    """Whether systemd is the init system that runs."""
    return Path("/run/systemd/system").is_dir()


def _start(layout: Layout, made: Made) -> None:
    # A package's own start script may have been quicker.
    if _answers_within(3):
        made.put("engine", {"by": "distribution"})
        return
    if systemd():
        made.put("engine", {"by": "systemd"})
        shell.run(
            ["systemctl", "start", "docker"],
            layout.log / "dockerd.log",
            what="systemd could not start docker",
            advice="journalctl -u docker",
        )
        return
    layout.make()
    with (layout.log / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            ["dockerd", "--pidfile", str(pid_file(layout))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=shell.environment(),
            cwd="/",
        )
    made.put("engine", {"by": "saltern", "pid": process.pid})


def pid_file(layout: Layout) -> Path:
    """Of the engine that we run in the background."""
    return layout.run / "dockerd.pid"


def _answers_within(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not version():
        if time.monotonic() >= deadline or not Path(SOCKET).exists():
            return False
        time.sleep(0.1)
    return True


def _await(layout: Layout) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        found = version()
        if found:
            return found
        time.sleep(0.1)
    log = layout.log / "dockerd.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
    advice = "journalctl -u docker" if systemd() else "mend the cause, then ./saltern up"
    raise Stop(
        f"The Docker Engine does not answer at {SOCKET} after {START_TIMEOUT:.0f} s",
        advice=advice,
        log=str(log),
        tail=tail,
        code=5,
    )


def running(layout: Layout) -> int:
    """Pid of the engine that we run in the background, else 0."""
    try:
        pid = int(pid_file(layout).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if str(pid_file(layout)).encode() in command else 0


def stop(layout: Layout, made: Made, timeout: float = 60) -> bool:
    """Stop the engine if we run it in the background; whether we did."""
    pid = running(layout)
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            break
        time.sleep(0.1)
    made.drop("engine")
    return True
