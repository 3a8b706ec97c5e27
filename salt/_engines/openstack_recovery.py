"""
Decide what is to be done about containers that failed, and order it.

Master configuration (``openstack.setup`` writes it):

.. code-block:: yaml

    engines:
      - openstack_recovery: {}

It hears the health engines on the master's bus itself, which is the fastest way; the reactor's way, through
``openstack.heal_enqueue``, is the one that waits for it on disk. Rules, queue and history are the library's
(``saltern.recovery``); how it works is told in ``docs/healing.md``.
"""

import logging
import time
from pathlib import Path

import salt.client
import salt.runner
import salt.utils.event
import salt.utils.jid

from saltern.contract import events
from saltern.contract.names import MASTER_ROOT
from saltern.recovery.joining import Joiner
from saltern.recovery.recoverer import Recoverer

log = logging.getLogger(__name__)

WAKE = 0.25
ORDER_TIMEOUT = 5


def __virtual__():
    """Only on a master."""
    if __opts__.get("__role") != "master":
        return False, "the recovery engine belongs to a master"
    return True


def start():
    """
    Run the recovery engine until the master stops.
    """
    root = Path(__opts__.get("saltern_state_dir", MASTER_ROOT))
    client = salt.client.LocalClient(mopts=dict(__opts__))
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=True) as bus:
        recoverer = Recoverer(
            root, lambda order: _send(client, order), lambda tag, data: bus.fire_event(data, tag), time.time()
        )
        joiner = Joiner(root, recoverer.lately_ran, _join)
        log.info("Saltern's recovery engine works in %s", root)
        ticked = 0.0
        while True:
            event = bus.get_event(wait=WAKE, full=True, auto_reconnect=True)
            now = time.time()
            if event:
                _take(recoverer, joiner, event.get("tag") or "", event.get("data"), now)
            if not event or now - ticked >= WAKE:
                recoverer.tick(now)
                joiner.tick(now)
                ticked = now


def _take(recoverer, joiner, tag, data, now):
    """One event of the bus. Minions' events carry their data in ``data`` and the sender, verified, in ``id``."""
    if not isinstance(data, dict):
        return
    if tag.startswith(f"{events.HEALTH}/"):
        recoverer.event(tag, data.get("data"), str(data.get("id", "")), now)
    elif tag.startswith("salt/job/") and "/ret/" in tag:
        recoverer.returned(str(data.get("jid", "")), data.get("return"), now)
    elif tag.startswith(f"{events.RUN}/") and tag.endswith("/end") and tag.count("/") == 3:
        recoverer.run_ended(now)
        joiner.run_ended()
    elif tag.startswith("salt/minion/"):
        joiner.event(tag, str(data.get("id", "")), now)
    elif tag == events.heal_verb_tag("resume"):
        recoverer.resumed(now)
    elif tag == events.heal_verb_tag("reset"):
        recoverer.reset(str(data.get("host", "")), str(data.get("container", "")), now)


def _join(hosts):
    """Begin the verb that decides about hosts that have come, in a process of its own."""
    jid = str(salt.utils.jid.gen_jid(__opts__))
    low = {"fun": "openstack.host_join", "arg": [",".join(hosts)], "kwarg": {}}
    pub = {"jid": jid, "tag": f"salt/run/{jid}"}
    client = salt.runner.RunnerClient(dict(__opts__))
    client.asynchronous("openstack.host_join", low, user=__opts__.get("user"), pub=pub)


def _send(client, order):
    """Publish an order and return the job's id, without waiting for the answer: that comes over the bus."""
    published = client.run_job(
        [order.host],
        f"openstack_container.{order.function}",
        kwarg=order.kwargs,
        tgt_type="list",
        timeout=ORDER_TIMEOUT,
        listen=False,
    )
    if not published or not published.get("jid"):
        raise OSError(f"no minion {order.host}")
    return str(published["jid"])
