"""
``salt-run openstack.hosts_*``: the part of the front door that is about compute hosts.
"""

from saltern_front import front

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py

SECONDS = 960  # for the job, its lease and its container; the job's own limit is 900


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def hosts_discover(force=True):
    """
    Map compute hosts that have registered to their cell, so that instances are put on them: the job ``discover_hosts``
    of every deploy, once more. Nothing else is changed.

    force : True
        Look although the last look has found all hosts of the model; the reactor does not.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.hosts_discover
    """
    model, problem = _front().deployed()
    if problem:
        return problem
    host = model.get("toolbox_host")
    if not host or "nova_conductor" not in model["containers"]:
        hint = "give a host the role compute, then salt-run state.orch openstack.deploy"
        return front.answer("error", {"message": "no compute service is deployed", "hint": hint}, front.FAILED)
    # What the minion remembers may be of a run that was open then, and it would wait for that one.
    _front().ask([host], "saltutil.refresh_pillar", [], {"wait": True})
    arguments = ["nova", "discover_hosts"]
    answers = _front().ask([host], "openstack_toolbox.run_job", arguments, {"force": bool(force)}, limit=SECONDS)
    if host in answers.failed:
        return front.answer("error", {"message": str(answers.returns[host])}, front.FAILED)
    if host not in answers.returns:  # silent, or without an accepted key
        problem = {"message": f"{host} does not answer", "hint": f"salt {host} test.ping"}
        return front.answer("error", problem, front.UNREACHABLE)
    hosts = ", ".join(model["containers"].get("nova_compute", {}).get("hosts") or ["none in the model"])
    title = f"Compute hosts are mapped: {hosts}"
    return front.answer("message", {"title": title, "result": "ok", "lines": [], "next": "salt-run openstack.status"})
