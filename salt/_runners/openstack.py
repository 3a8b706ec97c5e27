"""
The operator's one front door: ``salt-run openstack.<verb>``.

Names are one word with underscores, arguments are ``name=value``. Every verb prints for a person; ``--out=json``
prints the same answer as data. Exit codes: 0 good, 1 failed, 2 wrong input or model, 3 differs (``plan check=True``),
4 refused, 5 something does not answer.

Here: the model, runs, the cloud as it is. Images are in ``openstack_images.py``, healing in ``openstack_healing.py``;
all three are one runner to Salt and to the operator.
"""

import sys
import time

import salt.exceptions

from saltern.contract.errors import SalternError
from saltern.plan import abort as aborting
from saltern.plan import compiled, planned, view
from saltern.plan import runs as past
from saltern.plan.lock import RunLock
from saltern.recovery import operator as recovery
from saltern.terminal import instances, live
from saltern.terminal import status as overview
from saltern_front import front

DAY = 86400.0

__virtualname__ = "openstack"


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


# -- the model ---------------------------------------------------------------------------------------------------------


def validate():
    """
    Check the operator's tree and the service folders; every fault at once. Changes nothing.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.validate
    """
    found = _front().plan_module("validate")
    if not isinstance(found, dict):
        return front.answer("error", {"message": f"the model cannot be compiled: {found}"}, front.WRONG)
    return front.answer("validate", found, front.WRONG if found["errors"] else front.GOOD)


def explain(file, key, container=None, host=None):
    """
    Who set a key of a configuration file, weakest first; the last one counts.

    file
        Name of the file: ``keystone.conf``.

    key
        ``<section>.<key>``: ``DEFAULT.debug``.

    container : None
        Only this container.

    host : None
        Only this minion id.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.explain keystone.conf DEFAULT.debug container=keystone host=ctl1
    """
    _, wrong = _front().compiled()
    if wrong:
        return wrong
    try:
        found = _front().plan_module("explain", file, key, container=container, host=host)
    except salt.exceptions.CommandExecutionError as exc:
        return front.error(exc, front.WRONG)
    if not isinstance(found, dict):
        return front.answer("error", {"message": str(found)}, front.WRONG)
    return front.answer("explain", found)


def secrets_generate():
    """
    Make every secret that a service declares and the tree does not have yet, in ``openstack/secrets.sls`` (mode 0600).

    Existing ones are never touched; values are never shown.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.secrets_generate
    """
    try:
        made = _front().plan_module("secrets_generate")
    except salt.exceptions.CommandExecutionError as exc:
        return front.error(exc, front.WRONG)
    if not isinstance(made, dict):
        return front.answer("error", {"message": str(made)}, front.WRONG)
    names = made.get("made") or []
    title = f"{len(names)} secrets made in {made.get('file')}" if names else "No secret is missing"
    return front.answer(
        "message", {"title": title, "result": "ok", "lines": names, "made": names, "file": made.get("file")}
    )


# -- plan and runs -----------------------------------------------------------------------------------------------------


@front.reachable
def plan(mode="deploy", check=False):
    """
    What ``deploy`` would do: per host and container what and why, with the diffs of its files. Changes nothing.

    mode : deploy
        deploy, reconfigure, stop or destroy.

    check : False
        Exit with 3 when something differs.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.plan
    """
    made, wrong = _front().compiled()
    if wrong:
        return wrong
    root, model = _front().root, made["plan"]
    current = compiled.current(root)
    found = _front().look(model, mode)
    because = _front().plan_module("changes", current, made["digest"]) if current not in ("", made["digest"]) else []
    answer = view.view(model, found, current=current, because=because, estimates=past.estimates(root))
    if answer["problem"]:
        return front.answer("plan", answer, front.UNREACHABLE if answer["silent"] else front.FAILED)
    if mode == "deploy":
        planned.save(root, answer, time.time())
    return front.answer("plan", answer, front.DIFFERS if check and not view.same(answer) else front.GOOD)


@front.reachable
def apply(model=""):
    """
    Deploy exactly what ``openstack.plan`` has shown; refused when the pillar or the hosts have changed since.

    model
        Digest of the planned model, or the beginning of it.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.apply 7be210
    """
    try:
        shown = planned.find(_front().root, str(model))
    except SalternError as exc:
        return front.error(exc, front.REFUSED)
    return _deploy({"saltern_apply": {"model": shown["model"], "plan": shown["fingerprint"]}}, only=shown["model"])


@front.reachable
def deploy(test=False):
    """
    Bring every host to what the model says. The run goes on when this terminal is closed: ``openstack.watch``.

    test : False
        Show the plan instead.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.deploy
    """
    return plan() if test else _deploy({})


def _deploy(pillar, only=""):
    made, wrong = _front().compiled()
    if wrong:
        return wrong
    if only and made["digest"] != only:
        message = f"the model is {made['digest'][:6]} by now, not {only[:6]}: the pillar has changed"
        return front.answer("error", {"message": message, "hint": "Look again: salt-run openstack.plan"}, front.REFUSED)
    holder = RunLock(_front().root).read()
    if holder:
        since = time.strftime("%H:%M:%S", time.localtime(holder.since))
        message = f"{holder.verb} run {holder.run} is open since {since} (model {holder.model[:6]})"
        hint = "Watch it: salt-run openstack.watch. End it: salt-run openstack.abort"
        return front.answer("error", {"message": message, "hint": hint, "run": holder.run}, front.REFUSED)
    jid = _front().start("openstack.deploy", {**pillar, "saltern_live": False})
    run, comments = _front().begun(jid)
    if run is None:
        data = {"message": "the run did not begin", "details": comments, "hint": f"See salt-run jobs.lookup_jid {jid}"}
        return front.answer(
            "error", data, front.REFUSED if any(c.startswith("Refused") for c in comments) else front.FAILED
        )
    return _follow(run)


def _follow(run):
    lock, pid = RunLock(_front().root), run.document().get("pid")
    live.follow(
        run, sys.stderr, alive=lambda: lock.holder_pid() == pid, estimates=past.estimates(_front().root), with_end=False
    )
    return _told(run)


def _told(run, every_step=False):
    holder, lines = RunLock(_front().root).read(), run.journal.read()
    state = past.state(lines, is_open=holder is not None and holder.run == run.id)
    data = {"run": run.id, "document": run.document(), "lines": lines, "state": state, "all": every_step}
    return front.answer("run", data, front.GOOD if state in ("ok", "running") else front.FAILED)


def runs(limit=20):
    """
    Runs of the past and the one that goes on, newest first.

    limit : 20
        How many.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.runs
    """
    return front.answer("runs", {"runs": past.summaries(_front().root, int(limit))})


def watch(run=None):
    """
    Follow a run to its end, from any terminal.

    run : None
        Its id or the beginning of it; default the newest.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.watch
    """
    try:
        return _follow(past.find(_front().root, run and str(run)))
    except SalternError as exc:
        return front.error(exc)


def show(run=None):
    """
    What a run did, step by step.

    run : None
        Its id or the beginning of it; default the newest.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.show 20261122-1904
    """
    try:
        found = _told(past.find(_front().root, run and str(run)), every_step=True)
    except SalternError as exc:
        return front.error(exc)
    found["data"]["retcode"] = front.GOOD  # showing a failed run is no failure
    return found


@front.reachable
def abort(run=None):
    """
    End the open run: close it, so that none of its queued jobs starts any more, then end its process and its jobs.

    A container swap that is cut off is completed or taken back by the next run.

    run : None
        Only if this is the open one.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.abort
    """

    def ask(hosts, function, args):
        return _front().ask(hosts, function, args).returns

    try:
        ended = aborting.abort(_front().root, ask, run=run and str(run))
    except SalternError as exc:
        return front.error(exc, front.REFUSED)
    lines = [f"{host}: job {', '.join(jids)} ended" for host, jids in sorted(ended["ended"].items())]
    title = f"{ended['verb']} run {ended['run']} aborted"
    return front.answer("message", {"title": title, "lines": lines, "next": "salt-run openstack.plan", **ended})


# -- the cloud as it is ------------------------------------------------------------------------------------------------


@front.reachable
def status():
    """
    Every container on every host, whether it is healthy, and what healing did; agents, hypervisors, instances.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.status
    """
    root = _front().root
    model, problem = _front().deployed()
    if problem:
        return problem
    now = time.time()
    answers = _front().ask(list(model["hosts"]), "openstack_container.status", patience=8.0)
    data = overview.assemble(
        model,
        answers.returns,
        silent=answers.silent,
        healed=recovery.healed(root, since=now - DAY),
        applied=past.applied_ago(root, model["digest"], now),
        healing=recovery.mode(root, model.get("heal") or {}),
        told=_cloud_tells(model, answers.returns),
    )
    bad = (
        front.UNREACHABLE
        if data["silent"]
        else front.GOOD
        if overview.good(data) and not data["errors"]
        else front.FAILED
    )
    return front.answer("status", data, bad)


def _cloud_tells(model, hosts):
    """What the cloud says of its agents and instances; the rest of the status does not wait long for it."""
    teller = instances.asked_of(model)
    if teller is None:
        return None
    found = _front().ask([teller], "openstack_cloud.overview", patience=5.0, limit=10.0)
    return instances.assemble(found.returns.get(teller), hosts, silent=teller in found.silent)


@front.reachable
def logs(container, host=None, lines=20):
    """
    The last lines of a container's log, secrets masked.

    container
        Its name.

    host : None
        Minion id; default every host that runs it.

    lines : 20
        How many.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.logs keystone host=ctl2 lines=100
    """
    model, problem = _front().deployed()
    hosts, wrong = front.hosts_of(model or {}, container, host)
    if problem or wrong:
        return problem or wrong
    answers = _front().ask(hosts, "openstack_container.logs", [container], {"lines": int(lines)})
    good = {h: found for h, found in answers.returns.items() if isinstance(found, list) and h not in answers.failed}
    errors = {h: str(found) for h, found in answers.returns.items() if h not in good}
    errors |= dict.fromkeys(answers.silent, "no answer")
    data = {"container": container, "hosts": good, "errors": errors}
    return front.answer("logs", data, front.UNREACHABLE if answers.silent else front.FAILED if errors else front.GOOD)
