"""
State form of :mod:`openstack_setup <salt._modules.openstack_setup>`, for ``states/openstack/setup.sls`` and for
people who manage their master and minions by states of their own.
"""

import time

import salt.utils.event
from salt.exceptions import CommandExecutionError


def __virtual__():
    """Always there."""
    return "openstack_setup"


def master_configured(name):
    """
    ``master.d/openstack.conf`` is as Saltern needs it. Runs on the master, in an orchestration; restarts nothing.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        Write the master's part:
          openstack_setup.master_configured: []
    """
    return _configured(name, __salt__["openstack_setup.master"], [])


def minion_configured(name):
    """
    ``minion.d/openstack.conf`` is as Saltern needs it, and docker-py is there. Restarts nothing.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        Write the minion's part:
          openstack_setup.minion_configured: []
    """

    def missing(answer):
        if answer["docker_py"]:
            return []
        return [f"docker-py is missing in the Python of this minion. Run on it: {answer['install']}"]

    return _configured(name, __salt__["openstack_setup.minion"], missing)


def minions_restarted(name, minions, timeout=180):
    """
    Those of ``minions`` that do not run by their present configuration and code yet are restarted, and are back.
    Runs on the master, in an orchestration.

    name
        Any name; it is what the output shows.

    minions
        List of minion ids.

    timeout : 180
        Seconds to wait until all are back.

    .. code-block:: yaml

        Restart minions:
          openstack_setup.minions_restarted:
            - minions: [ctl1, ctl2]
    """
    waiting, silent = _outdated(minions)
    if silent:
        return _answer(name, False, {}, f"No answer from {', '.join(silent)}. Are they up? salt-run manage.down")
    if not waiting:
        return _answer(name, True, {}, "All minions run by their present configuration and code")
    changes = {minion: {"old": why, "new": "restarted"} for minion, why in waiting.items()}
    if __opts__["test"]:
        return _answer(name, None, changes, f"Would restart {', '.join(sorted(waiting))}")
    late = _restart(sorted(waiting), timeout)
    if late:
        text = f"Restarted, but not back after {timeout} s: {', '.join(late)}. Look at the log of salt-minion there"
        return _answer(name, False, changes, text)
    return _answer(name, True, changes, f"Restarted: {', '.join(sorted(waiting))}")


def master_current(name):
    """
    Say whether the running salt-master has its configuration. Always succeeds: an orchestration cannot restart the
    master it runs on, and every other run refuses until somebody has.

    name
        Any name; it is what the output shows.

    .. code-block:: yaml

        The running master has it:
          openstack_setup.master_current: []
    """
    try:
        why = __salt__["openstack_setup.master"](test=True)["restart"]
    except CommandExecutionError as exc:
        return _answer(name, False, {}, str(exc))
    return _answer(name, True, {}, why or "The running salt-master has all it needs")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _answer(name, result, changes, comment):
    return {"name": name, "result": result, "changes": changes, "comment": comment}


def _configured(name, write, missing):
    test = __opts__["test"]
    try:
        answer = write(test=test)
    except CommandExecutionError as exc:
        return _answer(name, False, {}, str(exc))
    changes = {"diff": "\n".join(answer["diff"])} if answer["changed"] else {}
    faults = missing(answer) if callable(missing) else list(missing)
    if answer["hidden"]:
        keys = ", ".join(answer["hidden"])
        faults.append(f"{answer['path']}: another file, read later, hides {keys}. Move those keys out of it")
    if faults:
        return _answer(name, False, changes, "\n".join(faults))
    if answer["changed"] and test:
        return _answer(name, None, changes, f"{answer['path']} would be written")
    return _answer(name, True, changes, f"{answer['path']} {'written' if answer['changed'] else 'is as it should be'}")


def _ask(minions, function, **kwargs):
    answers = __salt__["saltutil.cmd"](minions, function, tgt_type="list", timeout=20, kwarg=kwargs or None)
    return {minion: answer.get("ret") for minion, answer in answers.items() if answer.get("retcode", 0) == 0}


def _outdated(minions):
    """Why each minion needs a restart, and the minions that gave no proper answer."""
    answers = _ask(minions, "openstack_setup.minion", test=True)
    good = {minion: answer for minion, answer in answers.items() if isinstance(answer, dict)}
    waiting = {minion: answer["restart"] for minion, answer in good.items() if answer["restart"]}
    return waiting, sorted(set(minions) - set(good))


def _restart(minions, timeout):
    """Restart them and wait for their start events; those that are late."""
    late = set(minions)
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=True) as bus:
        # Listening comes first: a start event that nobody hears is gone.
        bus.subscribe("salt/minion/")
        _ask(minions, "openstack_setup.minion_restart")
        deadline = time.monotonic() + timeout
        while late and time.monotonic() < deadline:
            event = bus.get_event(wait=1, tag="salt/minion/", full=True, auto_reconnect=True)
            if event and event["tag"].endswith("/start"):
                late.discard(event["tag"].split("/")[2])
    return sorted(late)
