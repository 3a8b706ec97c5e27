"""
The operator's one front door: ``salt-run openstack.<verb>``.

Names are one word with underscores, arguments are ``name=value``. Every verb prints for a person; ``--out=json``
prints the same answer as data. Exit codes: 0 good, 1 failed, 2 wrong input or model, 3 differs (``plan check=True``),
4 refused, 5 something does not answer.
"""

import functools
import json
import logging
import pathlib
import sys
import time

import salt.client
import salt.exceptions
import salt.runner
import salt.utils.event
import salt.utils.jid

from saltern.contract import events
from saltern.contract.errors import LockHeld, SalternError
from saltern.contract.names import HOLD_ALL, MASTER_ROOT, RESET_ALL
from saltern.images import front as images
from saltern.plan import abort as aborting
from saltern.plan import compiled, planned, stepper, view
from saltern.plan import runs as past
from saltern.plan.ask import Asker
from saltern.plan.lock import RunLock
from saltern.recovery import operator as recovery
from saltern.recovery import why as told
from saltern.recovery.history import History
from saltern.terminal import build_live as building
from saltern.terminal import live, noise
from saltern.terminal import status as overview

log = logging.getLogger(__name__)

GOOD, FAILED, WRONG, DIFFERS, REFUSED, UNREACHABLE = range(6)
DAY = 86400.0
BUILD_LIMIT = 7200.0  # seconds one image may take
BEGINS_WITHIN = 60.0  # seconds a detached run may take to its first step


AWAY = (
    salt.exceptions.SaltClientError,
    salt.exceptions.SaltReqTimeoutError,
    salt.exceptions.AuthenticationError,
)


def __virtual__():
    """Always there."""
    return "openstack"


# -- helpers -----------------------------------------------------------------------------------------------------------


def _answer(kind, data, retcode=GOOD):
    noise.quiet()
    # Salt takes the exit code from ``retcode`` inside ``data``; beside it, it would break the outputter.
    return {"data": {"kind": kind, **data, "retcode": retcode}, "outputter": "openstack"}


def _error(exc, retcode=None):
    """Answer for an error of the library or of Salt: a sentence instead of a traceback."""
    code = REFUSED if isinstance(exc, LockHeld) else FAILED if retcode is None else retcode
    if isinstance(exc, SalternError):
        return _answer("error", {"message": exc.message, "where": exc.where, "hint": exc.hint}, code)
    return _answer("error", {"message": str(exc), "where": "", "hint": ""}, code)


def _reachable(verb):
    """A verb that asks minions: a master that is away is said in a sentence."""

    @functools.wraps(verb)
    def asked(*args, **kwargs):
        try:
            return verb(*args, **kwargs)
        except AWAY as exc:
            hint = "Is salt-master running? What is deployed goes on and heals itself meanwhile"
            return _answer("error", {"message": f"the salt-master does not answer: {exc}", "hint": hint}, UNREACHABLE)

    return asked


def _root():
    return pathlib.Path(__opts__.get("saltern_state_dir") or MASTER_ROOT)


def _plan_module(function, *args, **kwargs):
    """A function of the master's execution module ``openstack_plan``."""
    return __salt__["salt.cmd"](f"openstack_plan.{function}", *args, **kwargs)


def _compiled():
    """The compiled model, or the answer that says what is wrong with it."""
    made = _plan_module("compile")
    if not isinstance(made, dict):
        return None, _answer("error", {"message": f"the model cannot be compiled: {made}"}, WRONG)
    if made["errors"]:
        return None, _answer("validate", made, WRONG)
    return made, None


def _ask(hosts, function, args=(), kwargs=None, **options):
    noise.quiet()
    with salt.client.LocalClient(mopts=dict(__opts__)) as client:
        asker = Asker(client, lambda: salt.utils.jid.gen_jid(__opts__))
        return asker.ask(hosts, function, args, kwargs, **options)


class _Looker:
    """What ``stepper.look`` needs of Salt."""

    def ask(self, sls, hosts, step):
        return _ask(hosts, "state.sls", [sls], {"test": True, "queue": True, "pillar": {"saltern_step": step}})


def _look(plan, mode):
    return stepper.look(_Looker(), plan, stepper.asked(plan, mode, time.time), time.time)


# -- the model ---------------------------------------------------------------------------------------------------------


def validate():
    """
    Check the operator's tree and the service folders; every fault at once. Changes nothing.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.validate
    """
    found = _plan_module("validate")
    if not isinstance(found, dict):
        return _answer("error", {"message": f"the model cannot be compiled: {found}"}, WRONG)
    return _answer("validate", found, WRONG if found["errors"] else GOOD)


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
    _, wrong = _compiled()
    if wrong:
        return wrong
    try:
        found = _plan_module("explain", file, key, container=container, host=host)
    except salt.exceptions.CommandExecutionError as exc:
        return _error(exc, WRONG)
    if not isinstance(found, dict):
        return _answer("error", {"message": str(found)}, WRONG)
    return _answer("explain", found)


def secrets_generate():
    """
    Make every secret that a service declares and the tree does not have yet, in ``openstack/secrets.sls`` (mode 0600).

    Existing ones are never touched; values are never shown.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.secrets_generate
    """
    try:
        made = _plan_module("secrets_generate")
    except salt.exceptions.CommandExecutionError as exc:
        return _error(exc, WRONG)
    if not isinstance(made, dict):
        return _answer("error", {"message": str(made)}, WRONG)
    names = made.get("made") or []
    title = f"{len(names)} secrets made in {made.get('file')}" if names else "No secret is missing"
    return _answer("message", {"title": title, "result": "ok", "lines": names, "made": names, "file": made.get("file")})


# -- plan and runs -----------------------------------------------------------------------------------------------------


@_reachable
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
    made, wrong = _compiled()
    if wrong:
        return wrong
    root, model = _root(), made["plan"]
    current = compiled.current(root)
    found = _look(model, mode)
    because = _plan_module("changes", current, made["digest"]) if current not in ("", made["digest"]) else []
    answer = view.view(model, found, current=current, because=because, estimates=past.estimates(root))
    if answer["problem"]:
        return _answer("plan", answer, UNREACHABLE if answer["silent"] else FAILED)
    if mode == "deploy":
        planned.save(root, answer, time.time())
    return _answer("plan", answer, DIFFERS if check and not view.same(answer) else GOOD)


@_reachable
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
        shown = planned.find(_root(), str(model))
    except SalternError as exc:
        return _error(exc, REFUSED)
    return _deploy({"saltern_apply": {"model": shown["model"], "plan": shown["fingerprint"]}}, only=shown["model"])


@_reachable
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
    made, wrong = _compiled()
    if wrong:
        return wrong
    if only and made["digest"] != only:
        message = f"the model is {made['digest'][:6]} by now, not {only[:6]}: the pillar has changed"
        return _answer("error", {"message": message, "hint": "Look again: salt-run openstack.plan"}, REFUSED)
    holder = RunLock(_root()).read()
    if holder:
        since = time.strftime("%H:%M:%S", time.localtime(holder.since))
        message = f"{holder.verb} run {holder.run} is open since {since} (model {holder.model[:6]})"
        hint = "Watch it: salt-run openstack.watch. End it: salt-run openstack.abort"
        return _answer("error", {"message": message, "hint": hint, "run": holder.run}, REFUSED)
    jid = _start("openstack.deploy", {**pillar, "saltern_live": False})
    run, comments = _begun(jid)
    if run is None:
        data = {"message": "the run did not begin", "details": comments, "hint": f"See salt-run jobs.lookup_jid {jid}"}
        return _answer("error", data, REFUSED if any(c.startswith("Refused") for c in comments) else FAILED)
    return _follow(run)


def _start(sls, pillar):
    """Start an orchestration in a process of its own, which outlives this one and the master."""
    noise.quiet()
    jid = salt.utils.jid.gen_jid(__opts__)
    # Salt would give the orchestration another job id than the one it returns: it is handed in.
    low = {"fun": "state.orch", "arg": [sls], "kwarg": {"pillar": pillar, "orchestration_jid": jid}}
    client = salt.runner.RunnerClient(dict(__opts__))
    client.asynchronous("state.orch", low, user=__opts__.get("user"), pub={"jid": jid, "tag": f"salt/run/{jid}"})
    return jid


def _begun(jid):
    """The run that this orchestration began; or None and why it did not."""
    deadline, tag = time.monotonic() + BEGINS_WITHIN, f"salt/run/{jid}/ret"
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=True) as bus:
        while time.monotonic() < deadline:
            event = bus.get_event(wait=0.2, tag=tag)
            run = past.of_jid(_root(), jid)
            if run:
                return run, []
            if event:
                return None, _comments(event.get("return"))
    return None, [f"nothing was heard of it in {BEGINS_WITHIN:.0f} s"]


def _comments(answer):
    """Comments of the states of an orchestration that failed."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return [str(answer)]
    states = [state for states in data.values() if isinstance(states, dict) for state in states.values()]
    failed = [str(s.get("comment")) for s in states if s.get("result") is False and s.get("__state_ran__", True)]
    return [line for comment in failed for line in comment.splitlines()] or [str(answer)[:500]]


def _follow(run):
    lock, pid = RunLock(_root()), run.document().get("pid")
    live.follow(
        run, sys.stderr, alive=lambda: lock.holder_pid() == pid, estimates=past.estimates(_root()), with_end=False
    )
    return _told(run)


def _told(run, every_step=False):
    holder, lines = RunLock(_root()).read(), run.journal.read()
    state = past.state(lines, is_open=holder is not None and holder.run == run.id)
    data = {"run": run.id, "document": run.document(), "lines": lines, "state": state, "all": every_step}
    return _answer("run", data, GOOD if state in ("ok", "running") else FAILED)


def runs(limit=20):
    """
    Runs of the past and the one that goes on, newest first.

    limit : 20
        How many.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.runs
    """
    return _answer("runs", {"runs": past.summaries(_root(), int(limit))})


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
        return _follow(past.find(_root(), run and str(run)))
    except SalternError as exc:
        return _error(exc)


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
        found = _told(past.find(_root(), run and str(run)), every_step=True)
    except SalternError as exc:
        return _error(exc)
    found["data"]["retcode"] = GOOD  # showing a failed run is no failure
    return found


@_reachable
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
        return _ask(hosts, function, args).returns

    try:
        ended = aborting.abort(_root(), ask, run=run and str(run))
    except SalternError as exc:
        return _error(exc, REFUSED)
    lines = [f"{host}: job {', '.join(jids)} ended" for host, jids in sorted(ended["ended"].items())]
    title = f"{ended['verb']} run {ended['run']} aborted"
    return _answer("message", {"title": title, "lines": lines, "next": "salt-run openstack.plan", **ended})


# -- the cloud as it is ------------------------------------------------------------------------------------------------


@_reachable
def status():
    """
    Every container on every host, whether it is healthy, and what healing did.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.status
    """
    root = _root()
    model, problem = _deployed()
    if problem:
        return problem
    answers = _ask(list(model["hosts"]), "openstack_container.status", patience=8.0)
    data = overview.assemble(
        model,
        answers.returns,
        silent=answers.silent,
        healed=_healed(root),
        applied=_applied(root, model["digest"]),
        healing=_healing(root, model),
    )
    bad = UNREACHABLE if data["silent"] else GOOD if overview.good(data) and not data["errors"] else FAILED
    return _answer("status", data, bad)


def _healed(root):
    found = {}
    for line in History(root / "heal" / "history.jsonl").read(since=time.time() - DAY):
        healed = line.get("kind") == "event" and line.get("what") == "healed"
        if healed and (line.get("data") or {}).get("result") == "healed":
            key = (line.get("host"), line.get("container"))
            found[key] = found.get(key, 0) + 1
    return found


def _applied(root, digest):
    """Seconds since this model was applied by a run that went well; None when there was none."""
    for run in past.summaries(root):
        if run["model"] == digest and run["state"] == "ok" and run["verb"] in ("deploy", "apply"):
            return time.time() - run["started"] - run["seconds"]
    return None


def _healing(root, model):
    try:
        settings = json.loads((root / "heal" / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = {}
    heal = {**(model.get("heal") or {}), **settings}
    if heal.get("enabled") is False:
        return "off"
    return "paused" if heal.get("paused") else "dry run" if heal.get("dry_run") else "on"


@_reachable
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
    model, problem = _deployed()
    hosts, wrong = _hosts_of(model or {}, container, host)
    if problem or wrong:
        return problem or wrong
    answers = _ask(hosts, "openstack_container.logs", [container], {"lines": int(lines)})
    good = {h: found for h, found in answers.returns.items() if isinstance(found, list) and h not in answers.failed}
    errors = {h: str(found) for h, found in answers.returns.items() if h not in good}
    errors |= dict.fromkeys(answers.silent, "no answer")
    data = {"container": container, "hosts": good, "errors": errors}
    return _answer("logs", data, UNREACHABLE if answers.silent else FAILED if errors else GOOD)


# -- images ------------------------------------------------------------------------------------------------------------


@_reachable
def build(names="", release=None, refresh=False, only_render=False):
    """
    Build the images whose inputs have changed, on the builder; when nothing has changed, nothing is asked of it but a
    list.

    names : all
        Images, separated by commas or spaces; what they need is built too.

    release : None
        Build for this release instead of the pillar's.

    refresh : False
        Ask the mirror first: images with outdated packages of the distribution are rebuilt.

    only_render : False
        Write the Dockerfiles and build nothing.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.build
        salt-run openstack.build names=keystone,haproxy refresh=True
    """
    names = names.replace(",", " ").split() if isinstance(names, str) else [str(name) for name in names]
    try:
        chosen = _plan_module("images")
        if not isinstance(chosen, dict):
            return _answer("error", {"message": str(chosen)}, WRONG)
        options = images.options_from(chosen, release=release and str(release))
        folder = images.folder(__opts__.get("saltern_checkout"))
        if only_render:
            files = images.render_all(folder, options, state=_root(), names=names)
            lines = [f"{name}: {path}" for name, path in files.items()]
            return _answer("message", {"title": f"{len(files)} Dockerfiles rendered", "result": "ok", "lines": lines})
        minion = images.builder_of(chosen["hosts"], options, _accepted)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return _error(exc, WRONG)
    return _build_on(minion, folder, options, names, bool(refresh))


def _accepted():
    noise.quiet()
    with salt.client.LocalClient(mopts=dict(__opts__)) as client:
        return client.gather_minions("*", "glob")


def _build_on(minion, folder, options, names, refresh):
    noise.quiet()
    opts, jids = dict(__opts__), set()  # dunders are empty in the threads that build

    def new_jid():
        jids.add(salt.utils.jid.gen_jid(opts))
        return max(jids)

    def ask(function, kwargs):
        with salt.client.LocalClient(mopts=dict(opts)) as client:
            answers = Asker(client, new_jid).ask([minion], function, (), kwargs, limit=BUILD_LIMIT)
        jids.discard(answers.jid)
        return images.answer_of(minion, function, answers)

    builder = images.MinionBuilder(ask, suite=options.suite, mirrors=options.mirrors)
    try:
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=True) as bus:
            bus.subscribe(images.EVENTS)
            with building.Painter(sys.stderr, parallel=options.parallel, next_event=images.events_of(bus)) as painter:
                made = images.build_all(
                    builder, folder, options, state=_root(), names=names, refresh=refresh, report=painter.feed
                )
    except KeyboardInterrupt:
        for jid in sorted(jids):  # its connection closed, the engine ends the build
            _ask([minion], "saltutil.term_job", [jid])
        hint = "What is finished stays. Go on: salt-run openstack.build"
        return _answer("error", {"message": f"interrupted; the builds on {minion} are ended", "hint": hint}, FAILED)
    except images.NoAnswer as exc:
        return _error(exc, UNREACHABLE)
    except SalternError as exc:
        return _error(exc, WRONG)
    return _answer("build", {**made, "builder": minion}, made["retcode"])


# -- healing -----------------------------------------------------------------------------------------------------------


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
        return recovery.enqueue(_root(), event, str(sender), time.time())
    except (SalternError, OSError) as exc:
        raise salt.exceptions.CommandExecutionError(str(exc)) from None


@_reachable
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
        recovery.pause(_root(), now, why=str(why), dry_run=bool(dry_run))
    except OSError as exc:
        return _error(exc)
    _say("pause")
    what = "healing only says what it would do" if dry_run else "healing is paused"
    return _held_everywhere(now + recovery.FOREVER, f"{what}{': ' if why else ''}{why}", f"{what.capitalize()}")


@_reachable
def heal_resume():
    """
    Heal again after a pause or a dry run. What failed meanwhile is looked at now.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.heal_resume
    """
    try:
        recovery.resume(_root(), time.time())
    except OSError as exc:
        return _error(exc)
    answer = _held_everywhere(0, "resumed", "Healing is on")
    _say("resume")
    return answer


@_reachable
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
    model, problem = _deployed()
    if problem:
        return problem
    hosts, problem = _hosts_of(model, name, host)
    if problem:
        return problem
    try:
        recovery.reset(_root(), time.time(), name or "", host or "")
    except OSError as exc:
        return _error(exc)
    answers = _ask(hosts, "openstack_container.heal_reset", [name or RESET_ALL])
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
    root, history = _root(), History(_root() / "heal" / "history.jsonl")
    model, _ = _deployed()
    hosts, problem = _hosts_of(model or {}, container, host)
    if problem:
        return problem
    stories = [told.story(history.about(each, container), each, container, time.time()) for each in hosts]
    down = any(story["state"] in ("failed", "crash loop") for story in stories)
    return _answer("why", {"container": container, "stories": stories, "root": str(root)}, FAILED if down else GOOD)


def _deployed():
    root = _root()
    try:
        return compiled.plan(root, compiled.current(root)), None
    except SalternError:
        hint = "salt-run openstack.deploy"
        return None, _answer("error", {"message": "nothing is deployed yet", "hint": hint}, FAILED)


def _hosts_of(model, container, host):
    """Hosts that run a container (any, when it is None), or the answer that says what is wrong."""
    containers = model.get("containers") or {}
    known = sorted(model.get("hosts") or {}) if container is None else containers.get(container, {}).get("hosts", [])
    if host and host in known:
        return [host], None
    if known and not host:
        return list(known), None
    what = f"no container {container}" + (f" on {host}" if host else "") if container else f"no host {host}"
    where = f"{container} runs on {', '.join(known)}" if known else f"There are: {', '.join(sorted(containers))}"
    return [], _answer("error", {"message": what, "hint": where}, WRONG)


def _held_everywhere(until, reason, title):
    """Tell every host too: it would heal alone while the master is away."""
    model, problem = _deployed()
    if problem:
        return _answer("message", {"title": title, "result": "ok", "lines": ["nothing is deployed yet"]})
    kwargs = {"name": HOLD_ALL, "until": until, "why": reason}
    answers = _ask(sorted(model["hosts"]), "openstack_container.hold", (), kwargs)
    return _told_to(answers, title, "salt-run openstack.heal_resume" if until else "salt-run openstack.status")


def _told_to(answers, title, following):
    lines = [f"{host}: {said}" for host, said in sorted(answers.returns.items()) if host in answers.failed]
    lines += [f"{host}: no answer; it was not told" for host in sorted({*answers.silent, *answers.unknown})]
    data = {"title": title, "result": "failed" if lines else "ok", "lines": lines, "next": following}
    return _answer("message", data, UNREACHABLE if answers.silent or answers.unknown else FAILED if lines else GOOD)


def _say(verb, **data):
    """Tell the recovery engine. When it is away it finds what was said on disk."""
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus:
        bus.fire_event({"at": time.time(), **data}, events.heal_verb_tag(verb))
