"""Keeps what Saltern gave to bridges, beside the health engine and without a master.

At a boot the switch makes its bridges anew from its database, but nobody gives them their addresses; and a minion that
was killed while it attached an uplink cannot take it off again. Both are found here within seconds.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from saltern.contract.errors import SalternError
from saltern.host import bridges
from saltern.host.ovsdb import SOCKET, NoDatabase

log = logging.getLogger(__name__)

EVERY = 10.0  # seconds


def start(sleep: Callable[[float], None] = time.sleep) -> threading.Thread:
    """Look every ten seconds, in a thread that ends with the process."""

    def keep() -> None:
        while True:
            look(bridges.World())
            sleep(EVERY)

    thread = threading.Thread(target=keep, name="bridges", daemon=True)
    thread.start()
    return thread


def look(world: bridges.World, socket: str = SOCKET) -> None:
    """Look once; whatever goes wrong is told in the log and tried again at the next look."""
    if not os.path.exists(socket):
        return
    try:
        for sentence in bridges.restore(world):
            log.warning("%s", sentence)
    except NoDatabase as error:
        log.debug("%s", error)
    except (SalternError, OSError) as error:
        log.warning("Bridges were not looked after: %s", error)
    except Exception:
        log.exception("Bridges were not looked after")
