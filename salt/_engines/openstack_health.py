"""
Watch this host's containers, report failures to the master, and heal alone when nobody answers.

Minion configuration (``openstack.setup`` writes it):

.. code-block:: yaml

    engines:
      - openstack_health: {}

The engine needs no master and no model to start: it watches what was committed below ``/var/lib/saltern``, and waits
while there is nothing. How it works is told in ``docs/healing.md``.

The library is imported inside :py:func:`start`, in the engine's own process. At the top of this file it would be
imported by the minion itself, and every later job would see that old code until the minion restarts.
"""

import importlib.util
import ipaddress
import logging
import sys
from pathlib import Path

import salt.utils.event
import salt.utils.state

log = logging.getLogger(__name__)


def __virtual__():
    """Only where docker-py is there; looked for without importing it."""
    if importlib.util.find_spec("docker") is None:
        return False, "docker-py is not installed"
    return True


def start():
    """
    Run the health engine until the minion stops.
    """
    _library_path(__opts__)
    _show_queue(__opts__)
    from saltern.contract.names import DOCKER_URL, HOST_ROOT
    from saltern.host import bridgekeeper, heal, masterlink
    from saltern.host.context import Host
    from saltern.host.engine import API_VERSION, Engine
    from saltern.host.store import Store
    from saltern.host.watchloop import Loop

    store = Store(__opts__.get("saltern_root", HOST_ROOT))
    url = __opts__.get("saltern_health_docker_url") or __opts__.get("saltern_docker_url", DOCKER_URL)
    version = str(__opts__.get("saltern_docker_api", API_VERSION))
    port, addresses = int(__opts__.get("publish_port") or masterlink.PUBLISH_PORT), _master_addresses(__opts__)

    def connect():
        return Engine(url, version=version)

    def alone(name, started):
        with connect() as engine:
            host = Host(engine=engine, store=store, name=__opts__["id"], cloud=loop.world.cloud or "saltern")
            return heal.heal(host, name, started=started)

    loop = Loop(
        store,
        connect,
        alone,
        lambda tag, data: _fire(__opts__, tag, data),
        lambda: masterlink.connected(port, addresses),
        host=__opts__["id"],
    )
    bridgekeeper.start()
    log.info("Saltern's health engine watches %s at %s", store.root, url)
    loop.run()


def _fire(opts, tag, data):
    """Hand an event to the minion, which sends it on. That it arrived is nobody's promise."""
    with salt.utils.event.MinionEvent(opts, listen=False) as bus:
        if not bus.fire_event({"data": data, "tag": tag, "events": None, "pretag": None}, "fire_master"):
            raise OSError("the minion did not take the event")


def _master_addresses(opts):
    """Addresses of the masters, none when one of them is a name: the port must do then."""
    masters = opts.get("master") or []
    masters = masters if isinstance(masters, list) else [masters]
    try:
        return [str(ipaddress.ip_address(str(master).strip("[]"))) for master in masters]
    except ValueError:
        return []


def _show_queue(opts):
    """Make jobs that wait for another one known to ``saltutil.find_job``, by which masters ask whether to wait on.

    Salt 3008 keeps the queue in a directory of the master's and looks for it elsewhere: a step that waits for more than
    ``gather_job_timeout`` behind a slow one of the same host would be taken for lost.
    """
    if not hasattr(salt.utils.state, "state_queue_dir"):
        return
    queue, looked_at = Path(salt.utils.state.state_queue_dir(opts)), Path(opts["cachedir"]) / "state_queue"
    if looked_at == queue or (looked_at.exists() and not looked_at.is_symlink()):
        return
    try:
        looked_at.unlink(missing_ok=True)
        looked_at.symlink_to(queue)
    except OSError as error:
        log.warning("jobs that wait on this minion cannot be shown to the master: %s", error)


def _library_path(opts):
    """Make the library importable that was synced, or that lies beside this file in a checkout."""
    places = [Path(opts.get("extension_modules") or "") / "utils", Path(__file__).resolve().parent.parent / "_utils"]
    places += [Path(base) / "_utils" for base in opts.get("module_dirs") or ()]
    for place in places:
        if (place / "saltern").is_dir():
            if str(place) not in sys.path:
                sys.path.insert(0, str(place))
            return
