"""Accept the minion's key by its fingerprint: what waits at the master must be the very key of the minion beside it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from allinone import shell
from allinone.console import Stop
from allinone.layout import Layout
from allinone.saltconf import minion_id

TIMEOUT = 60.0


def fingerprint(path: Path) -> str:
    """Salt's fingerprint of a public key file: sha256 of the PEM's body, in pairs; empty if it is not there."""
    try:
        body = [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()][1:-1]
    except OSError:
        return ""
    digest = hashlib.sha256(b"".join(body)).hexdigest() if body else ""
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def accept(layout: Layout, log: Path, timeout: float = TIMEOUT) -> bool:
    """Wait for the minion's key, compare, accept; False when it was accepted before.

    Raises ``Stop`` when a key with this id is not the minion's, or none comes.
    """
    name = minion_id()
    own = layout.pki / "minion" / "minion.pub"
    master = layout.pki / "master"
    places = {"accepted": master / "minions" / name, "pending": master / "minions_pre" / name}
    deadline = time.monotonic() + timeout
    done = False
    while time.monotonic() < deadline:
        mine = fingerprint(own)
        found = {state: print_ for state, path in places.items() if (print_ := fingerprint(path))} if mine else {}
        for state, print_ in found.items():
            if print_ != mine:
                raise Stop(
                    f"The {state} key of {name} ({print_}) is not this machine's minion ({mine})",
                    advice=f"find out whose it is; then: . .saltern/env && salt-key -d {name} && ./saltern up",
                    code=4,
                )
        if "accepted" in found:
            return done
        if "pending" in found:
            # Its exit code is 0 also when the key was not there at that moment: the next look tells.
            command: list[str | Path] = [
                layout.venv / "bin" / "salt-key",
                "-c",
                layout.config,
                "--yes",
                "--accept",
                name,
            ]
            shell.run(command, log, what=f"salt-key could not accept {name}")
            done = True
        time.sleep(0.05)
    raise Stop(
        f"No key of the minion {name} came to the master in {timeout:.0f} s",
        advice="./saltern up",
        log=str(layout.log / "salt-minion.log"),
        code=5,
    )
