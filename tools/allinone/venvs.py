"""Virtual environments out of the locks: complete, hashes checked, nothing built outside the lock.

A stamp (the digest of the lock and of Python's version) makes the second run a matter of milliseconds. pip takes
index, mirrors and certificates from the machine's own pip configuration.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from pathlib import Path

from allinone import shell
from allinone.console import Phase, Stop

PYTHON = "/usr/bin/python3"
STAMP = "saltern.lock"


def ensure(venv: Path, locks: list[Path], phase: Phase, log: Path) -> bool:
    """Make ``venv`` hold exactly what ``locks`` say; whether there was anything to do.

    The locks are installed in order, each with what the former ones brought (build tools come first).
    Raises ``Stop`` when pip fails.
    """
    if current(venv, locks):
        return False
    if platform.python_version_tuple()[:2] != ("3", "11"):
        raise Stop(f"The locks are for Python 3.11 (Debian 12); {PYTHON} is {platform.python_version()}", code=5)
    phase.step(f"making the virtual environment {venv}")
    shutil.rmtree(venv, ignore_errors=True)
    shell.run(
        [PYTHON, "-m", "venv", venv],
        log,
        what="The virtual environment could not be made",
        advice="apt-get install python3-venv",
    )
    for lock in locks:
        phase.step(f"installing {count(lock)} packages of {lock.parent.name}/{lock.name}, hashes checked")
        shell.run(
            [
                venv / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "--no-build-isolation",
                "--progress-bar",
                "off",
                "-r",
                lock,
            ],
            log,
            what=f"pip could not install {lock.name}",
            advice="mend the cause (network, mirror, certificates: pip config list), then ./saltern up",
            extra={"PIP_USE_PEP517": "1"},
            on_line=lambda line: phase.step(f"pip: {line}") if phase.console.live else None,
        )
    (venv / STAMP).write_text(digest(locks))
    return True


def current(venv: Path, locks: list[Path]) -> bool:
    """Whether ``venv`` holds what ``locks`` say."""
    stamp = venv / STAMP
    return (venv / "bin" / "python").exists() and stamp.exists() and stamp.read_text() == digest(locks)


def digest(locks: list[Path]) -> str:
    """Of the locks' text and the Python they are for."""
    text = hashlib.sha256(platform.python_version().encode())
    for lock in locks:
        text.update(lock.read_bytes())
    return text.hexdigest()


def count(lock: Path) -> int:
    """How many packages a lock has."""
    return sum(1 for line in lock.read_text().splitlines() if "==" in line and not line.lstrip().startswith("#"))


def locked(lock: Path, name: str) -> str:
    """The version of a package in a lock; empty if it is not there."""
    for line in lock.read_text().splitlines():
        if line.startswith(f"{name}=="):
            return line.partition("==")[2].split()[0]
    return ""
