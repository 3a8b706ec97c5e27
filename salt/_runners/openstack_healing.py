"""
``salt-run openstack.heal_*`` and ``openstack.why``: the part of the front door that is about healing.
"""

import time

import salt.exceptions
import salt.utils.event

from saltern.contract import events
from saltern.contract.errors import SalternError
from saltern.contract.names import HOLD_ALL, RESET_ALL
from saltern.recovery import operator as recovery
from saltern.recovery import why as told
from saltern.recovery.history import History
from saltern_front import front

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


def heal_enqueue(event, sender):
    """
    Put a failure into the recovery engine's queue; the reactor's way. A failure that is known already is left alone.

    event
        The data of an ``openstack/health/<host>/<container>/failed`` event.

    sender
        Id of the minion that sent it.

    Returns whether it is new. Raises CommandExecutionError for what is no failure of the sender's.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.heal_enqueue '{"event": "0a1b2c3d-keystone-1", "container": "keystone"}' ctl2
    """
    try:
        return recovery.enqueue(_front().root, event, str(sender), time.time())
    except (SalternError, OSError) as exc:
        raise salt.exceptions.CommandExecutionError(str(exc)) from None


@front.reachable
def heal_pause(why="", dry_run=False):
    """
    Pause healing in the whole cloud: failures are reported and held, by the master and by the hosts themselves.

    why : ""
        A sentence for whoever looks later.

    dry_run : False
        Do not pause; say of each failure what would be done, and do nothing.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.heal_pause why='the network is being worked on'
    """
    now = time.time()
    try:
        recovery.pause(_front().root, now, why=str(why), dry_run=bool(dry_run))
    except OSError as exc:
        return front.error(exc)
    _say("pause")
    what = "healing only says what it would do" if dry_run else "healing is paused"
    return _held_everywhere(now + recovery.FOREVER, f"{what}{': ' if why else ''}{why}", f"{what.capitalize()}")


@front.reachable
def heal_resume():
    """
    Heal again after a pause or a dry run. What failed meanwhile is looked at now.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.heal_resume
    """
    try:
        recovery.resume(_front().root, time.time())
    except OSError as exc:
        return front.error(exc)
    answer = _held_everywhere(0, "resumed", "Healing is on")
    _say("resume")
    return answer


@front.reachable
def heal_reset(name=None, host=None):
    """
    Forget crash loops, holds and used budgets, so that a container is healed again at once.

    name : None
        Container; default all.

    host : None
        Minion id; default every host that runs it.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.heal_reset keystone host=ctl2
    """
    model, problem = _front().deployed()
    if problem:
        return problem
    hosts, problem = front.hosts_of(model, name, host)
    if problem:
        return problem
    try:
        recovery.reset(_front().root, time.time(), name or "", host or "")
    except OSError as exc:
        return front.error(exc)
    answers = _front().ask(hosts, "openstack_container.heal_reset", [name or RESET_ALL])
    _say("reset", host=host or "", container=name or "")
    title = f"{name or 'All containers'} on {', '.join(hosts)}: counted from the beginning"
    return _told_to(answers, title, f"salt-run openstack.why {name}" if name else "salt-run openstack.status")


def why(container, host=None):
    """
    The last failure of a container: when it died, who reported and decided what, by which rule, and how long it took.

    container
        Its name.

    host : None
        Minion id; default every host that runs it.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.why keystone host=ctl2
    """
    root, history = _front().root, History(_front().root / "heal" / "history.jsonl")
    model, _ = _front().deployed()
    hosts, problem = front.hosts_of(model or {}, container, host)
    if problem:
        return problem
    stories = [told.story(history.about(each, container), each, container, time.time()) for each in hosts]
    down = any(story["state"] in ("failed", "crash loop") for story in stories)
    return front.answer(
        "why", {"container": container, "stories": stories, "root": str(root)}, front.FAILED if down else front.GOOD
    )


def _held_everywhere(until, reason, title):
    """Tell every host too: it would heal alone while the master is away."""
    model, problem = _front().deployed()
    if problem:
        return front.answer("message", {"title": title, "result": "ok", "lines": ["nothing is deployed yet"]})
    kwargs = {"name": HOLD_ALL, "until": until, "why": reason}
    answers = _front().ask(sorted(model["hosts"]), "openstack_container.hold", (), kwargs)
    return _told_to(answers, title, "salt-run openstack.heal_resume" if until else "salt-run openstack.status")


def _told_to(answers, title, following):
    lines = [f"{host}: {said}" for host, said in sorted(answers.returns.items()) if host in answers.failed]
    lines += [f"{host}: no answer; it was not told" for host in sorted({*answers.silent, *answers.unknown})]
    data = {"title": title, "result": "failed" if lines else "ok", "lines": lines, "next": following}
    return front.answer(
        "message",
        data,
        front.UNREACHABLE if answers.silent or answers.unknown else front.FAILED if lines else front.GOOD,
    )


def _say(verb, **data):
    """Tell the recovery engine. When it is away it finds what was said on disk."""
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus:
        bus.fire_event({"at": time.time(), **data}, events.heal_verb_tag(verb))
