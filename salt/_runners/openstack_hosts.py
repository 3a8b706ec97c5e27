"""
``salt-run openstack.host_remove`` and ``host_join``: the part of the front door about hosts that leave and come.
"""

import sys
import time

from saltern.contract.errors import LockHeld, SalternError
from saltern.plan.departure import Departure, Refusal, Wish, would
from saltern.plan.lock import RunLock
from saltern.recovery import joining
from saltern_front import front

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py

SETUP_SECONDS = 600.0


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def host_remove(host, confirm="", move=False, force=False, reopen=False, wait=1800):
    """
    Take a compute or network host out of the cloud: nothing new comes to it, its routers, networks and instances go to
    other hosts, its containers are removed, then its records. Without ``confirm`` it only says so. When it was cut off
    or has failed, the same command goes on.

    host
        Minion id.

    confirm : (empty)
        The minion id once more.

    move : False
        Move its instances, live where that works, else by a cold migration; without it, instances are a reason to
        refuse.

    force : False
        The host is gone for good: its minion need not answer, and what only it did may stop. Instances are never given
        up.

    reopen : False
        Do not remove it; take a host back that was disabled by an earlier call.

    wait : 1800
        Seconds for moving instances.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.host_remove cmp3
        salt-run openstack.host_remove cmp3 move=True confirm=cmp3
    """
    plan, problem = _front().deployed()
    if problem:
        return problem
    wish = Wish(str(host), bool(move), bool(force), float(wait))

    def say(line):
        print(line, file=sys.stderr, flush=True)

    leaving = Departure(_front().root, plan, wish, _front().ask, time.time, say)
    data = {"host": wish.host, "steps": leaving.steps, "next": []}
    try:
        if reopen:
            return _kept(leaving.reopen(), data)
        found = leaving.look()
        if str(confirm) != wish.host:
            return _shown(found, plan, data, wish)
        good = leaving.go(found)
    except (Refusal, LockHeld) as exc:
        return front.error(exc, front.REFUSED)
    except SalternError as exc:
        return front.error(exc, front.UNREACHABLE)
    again = f"salt-run openstack.host_remove {wish.host}"
    if good:
        title = f"{wish.host} has left the cloud"
        data["next"] = [
            f"take {wish.host} out of openstack:hosts, then salt-run openstack.deploy",
            f"salt-key -d {wish.host}",
        ]
        return front.answer("host_remove", {**data, "stage": "done", "title": title})
    title = f"{wish.host} has not left the cloud yet; nothing is lost"
    data["next"] = [f"mend the cause and run it again, or keep the host: {again} reopen=True"]
    return front.answer("host_remove", {**data, "stage": "failed", "title": title}, front.FAILED)


def _shown(found, plan, data, wish):
    words = "".join(f" {key}=True" for key in ("move", "force") if getattr(wish, key))
    containers = (plan["hosts"].get(wish.host) or {}).get("containers") or []
    told = {
        "stage": "shown",
        "would": would(found),
        "instances": found["instances"],
        "containers": len(containers),
        "silent": found["silent"],
        "records": [("compute service", name) for name in found["services"]] + [("agent", n) for n in found["agents"]],
        "next": [f"salt-run openstack.host_remove {wish.host}{words} confirm={wish.host}"],
    }
    return front.answer("host_remove", {**data, **told}, front.REFUSED)


def _kept(found, data):
    title = f"{data['host']} takes instances, routers and networks again"
    if found["errors"]:
        return front.answer("error", {"message": "; ".join(found["errors"])}, front.FAILED)
    lines = would(found) or ["it was not disabled"]
    steps = [{"title": f"Enable {data['host']}", "result": "ok", "seconds": 0.0, "lines": lines, "comment": ""}]
    following = ["salt-run openstack.deploy"]
    return front.answer("host_remove", {**data, "stage": "kept", "title": title, "steps": steps, "next": following})


@front.reachable
def host_join(hosts):
    """
    Set up and deploy hosts that have just come: the recovery engine calls it where ``openstack:auto_join`` is true, for
    a minion that has started, is in ``openstack:hosts`` and runs none of its containers.

    hosts
        Minion ids, separated by commas.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.host_join cmp3
    """
    names = [name for name in str(hosts).replace(" ", ",").split(",") if name]
    with joining.alone(_front().root) as free:
        if free and not RunLock(_front().root).read():
            return _join(names, time.time())
    return _wait()


def _join(names, begun):
    def decided(hosts, what, why, run=""):
        return _decided(hosts, what, why, begun, run)

    made, wrong = _front().compiled()
    if wrong:
        return decided(names, "refused", "the model has errors: salt-run openstack.validate")
    if not made["plan"].get("auto_join"):
        return decided(names, "nothing", "openstack:auto_join is not true")
    new, rest = joining.sift(made["plan"], names, _front().ask)
    answers = [decided([name], "nothing", why) for name, why in rest.items()]
    if not new:
        return answers[-1]
    # Writes their configuration (with the health engine) and restarts them, where they do not have it yet.
    problem = _front().ended(_front().start("openstack.setup", {"minions": new, "master": False}), SETUP_SECONDS)
    if problem:
        return decided(new, "failed", f"openstack.setup: {problem}")
    options, _ = _front().images()
    if options.registry:
        answer = __salt__["openstack.pull"](hosts=",".join(new))["data"]
        if answer["retcode"] != front.GOOD:
            return decided(new, "failed", "their images could not be pulled: salt-run openstack.pull")
    jid = _front().start("openstack.deploy", {"saltern_live": False, "saltern_by": f"auto_join of {', '.join(new)}"})
    run, comments = _front().begun(jid)
    if run is None and RunLock(_front().root).read():
        return _wait()  # somebody was faster
    if run is None:
        return decided(new, "failed", f"the run did not begin: {'; '.join(comments)}")
    return decided(new, "started", f"run {run.id}", run.id)


def _wait():
    return front.answer("error", {"message": "a run is open; these hosts wait for its end"}, front.REFUSED)


def _decided(names, what, why, begun, run):
    """Write down what became of hosts that had come, and take them from the queue."""
    for name in names:
        joining.decided(_front().root, name, what, why, time.time(), since=begun, run=run)
    title = f"{', '.join(names)}: {why}"
    good = what in ("started", "nothing")
    return front.answer(
        "message", {"title": title, "result": "ok" if good else "failed"}, front.GOOD if good else front.FAILED
    )
