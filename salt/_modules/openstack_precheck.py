"""Checks of a host before anything is changed on it.

.. code-block:: bash

    salt '*' openstack_precheck.run
"""

import time
from pathlib import Path

from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import netchecks, prechecks, virtual

try:
    from saltern.host.engine import Engine
except ImportError:  # docker-py is missing: that is a finding, not a reason to be silent
    Engine = None


def run(cheap=False, now=None):
    """
    Check this host: model, pillar, name, memory, disk, addresses, interfaces, ports, clock, network, acceleration;
    unless ``cheap``, also docker-py, the Docker Engine and the images.

    cheap : False
        Ask the engine nothing, as the comparing step of a run does.

    now : None
        The master's clock in epoch seconds when it sent this; None = the clock is not checked.

    The model is the one of the minion's last pillar refresh; the state ``openstack_precheck.passed`` has today's.

    Returns ``{"host", "checks": [{"name", "ok", "found", "expected", "hint"}], "ok", "readings", "time"}``. ``time``
    is this host's clock; ``readings`` has what only a comparison of hosts can judge (``processor``), and what is no
    fault (``emulated``: why guests are). Never raises for what is wrong with the host.

    CLI Example:

    .. code-block:: bash

        salt '*' openstack_precheck.run
        salt ctl1 openstack_precheck.run cheap=True
    """
    local, root = time.time(), Path(__opts__.get("saltern_root", HOST_ROOT))
    engine = None if cheap or Engine is None else Engine(__opts__.get("saltern_docker_url", DOCKER_URL))
    model = __pillar__.get("saltern") or {}
    try:
        checks = prechecks.run(
            model,
            root=root,
            engine=engine,
            now=None if now is None else float(now),
            local=local,
            handed=list(__pillar__),
        )
    finally:
        if engine is not None:
            engine.close()
    virtualisation, readings = virtual.check(model.get("containers") or (), root=root)
    checks += [*netchecks.run(model), *virtualisation]
    if Engine is None and not cheap:
        checks.append(prechecks.docker_py())
    return {
        "host": model.get("host") or __opts__["id"],
        "checks": [check.as_dict() for check in checks],
        "ok": all(check.ok for check in checks),
        "readings": readings,
        "time": local,
    }
