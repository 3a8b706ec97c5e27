"""Waits until minions answer their master. Runs in the virtual environment, as it needs Salt.

Usage: answers.py CONFIG_DIR SECONDS MINION…

One process asks again and again: each call of the ``salt`` command would cost a second for its imports alone. Prints
the seconds; exit code 1 names the minions that stayed silent.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import salt.client
import salt.exceptions


def silent(client: salt.client.LocalClient, minions: list[str]) -> list[str]:
    """Which of ``minions`` do not answer ``test.ping`` within two seconds."""
    try:
        answers = client.cmd(minions, "test.ping", tgt_type="list", timeout=2)
    except salt.exceptions.SaltClientError:
        # The master's own sockets are not there yet.
        return minions
    return [minion for minion in minions if answers.get(minion) is not True]


def main(arguments: list[str]) -> int:
    """See the module."""
    config, seconds, *minions = arguments
    begun = time.monotonic()
    missing = minions
    while missing and time.monotonic() - begun < float(seconds):
        client = salt.client.LocalClient(str(Path(config) / "master"))
        missing = silent(client, missing)
        client.destroy()
        if missing:
            time.sleep(0.2)
    print(f"{time.monotonic() - begun:.1f}")
    if missing:
        print(f"no answer from {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
