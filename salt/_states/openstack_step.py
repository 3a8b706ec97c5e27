"""
Steps of our orchestrations: wrapper states around ``salt.state`` that know at run time what there is to do.

They run on the master only (in ``salt-run``). ``begin`` and ``compare`` run in the orchestration's own process, every
other step carries ``parallel: True`` and is a forked child that dies with its parent. What a step did is in the run's
journal; events ``openstack/run/<run>/step/<start|end>`` wake up whoever watches.
"""

import ctypes
import logging
import os
import pathlib
import signal
import time

import salt.client
import salt.exceptions
import salt.utils.event
import salt.utils.jid

from saltern import terminal
from saltern.contract.errors import LockHeld, SalternError
from saltern.contract.names import MASTER_ROOT
from saltern.plan import compiled, session, view
from saltern.plan import first_cloud as first
from saltern.plan.ask import Asker
from saltern.plan.lock import RunLock
from saltern.plan.stepper import Order, Stepper
from saltern.terminal import live, noise

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
FIRST_CLOUD_SECONDS = 1800.0  # the toolbox bounds each of its waits, this bounds their sum


def __virtual__():
    """On a master only: a minion's state run has no other minions to call."""
    if __opts__.get("__role") != "master":
        return False, "openstack_step is for orchestrations on the master"
    return "openstack_step"


class _Salt:
    """What the library needs of Salt (saltern.plan.stepper.Salt)."""

    def call(self, sls, hosts, step):
        return __states__["salt.state"](
            name=f"{sls} on {', '.join(hosts)}",
            tgt=list(hosts),
            tgt_type="list",
            sls=sls,
            pillar={"saltern_step": dict(step)},
            queue=True,
            expect_minions=True,
        )

    def ask(self, sls, hosts, step, test=True, **options):
        kwarg = {"test": test, "queue": True, "pillar": {"saltern_step": dict(step)}}
        with salt.client.LocalClient(mopts=dict(__opts__)) as client:
            asker = Asker(client, lambda: salt.utils.jid.gen_jid(__opts__))
            return asker.ask(hosts, "state.sls", [sls], kwarg, **options)

    def fire(self, tag, data):
        with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus:
            bus.fire_event(dict(data), tag)

    def switch(self, root, model):
        compiled.switch(root, model)

    def refresh(self, hosts):
        with salt.client.LocalClient(mopts=dict(__opts__)) as client:
            client.cmd_async(list(hosts), "saltutil.refresh_pillar", tgt_type="list")

    def digest(self):
        compiled = __salt__["openstack_plan.compile"]()
        return "" if compiled.get("errors") else compiled["digest"]


def _root():
    return pathlib.Path(__opts__.get("saltern_state_dir") or MASTER_ROOT)


def _stepper():
    return Stepper(_root(), _Salt(), time.time)


def _jid():
    try:
        return __orchestration_jid__
    except NameError:
        return ""


def _state(name, function, *args, **kwargs):
    """Call the library; an error of its is a red line, not a traceback."""
    try:
        return {"name": name, **function(*args, **kwargs)}
    except LockHeld as exc:
        return _red(name, f"Refused: {exc}")
    except SalternError as exc:
        return _red(name, str(exc))
    except salt.exceptions.SaltException as exc:
        return _red(name, f"the master does not answer: {exc}")


def _red(name, comment):
    live.say(comment)
    return {"name": name, "result": False, "comment": comment, "changes": {}}


def _die_with_parent():
    """Without this a step would go on after its run was killed, hold its jobs' answers and write the journal."""
    if session.current().test or os.getpid() == session.current().pid:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != session.current().pid:
        os._exit(1)


def refused(name, problems):
    """
    Fail because the model has errors, before anything is changed.

    name
        Any name.

    problems
        What ``openstack_plan.compile`` returned as ``errors``.

    .. code-block:: yaml

        The model has errors and nothing was changed:
          openstack_step.refused:
            - problems: [{file: pillar/openstack/init.sls, line: 9, key: vip, expected: address, found: x, hint: ''}]
    """
    return _red(name, terminal.render({"kind": "validate", "errors": problems}))


def begin(name, verb, model, mode="deploy", apply=None, confirm="", volumes=False, by="", live_lines=True):
    """
    Begin a run: take the run lock, make the model current. Refuses while another run is open.

    name
        Any name.

    verb
        What the operator asked for: deploy, reconfigure, stop, destroy.

    model
        Digest of the compiled model that this whole run belongs to.

    mode : deploy
        deploy, reconfigure, stop or destroy.

    apply : None
        ``{"model": digest, "plan": fingerprint}``: refuse any other model, and hosts that changed since that plan.

    confirm : (empty)
        The cloud's name; needed by ``mode: destroy``.

    volumes : False
        With ``mode: destroy``: the containers' volumes and the data in them go too.

    by : (empty)
        Who asked for it, where it was no user: the run's record says so.

    live_lines : True
        Show one line per step on stderr.

    .. code-block:: yaml

        Begin the run:
          openstack_step.begin:
            - verb: deploy
            - model: 4f1c9a0b1c2d3e4f
    """
    wanted = apply or {}
    order = Order(
        verb="apply" if wanted else verb,
        mode=mode,
        model=wanted.get("model", ""),
        found=wanted.get("plan", ""),
        jid=_jid(),
        user=str(by or __opts__.get("user", "")),
        confirm=confirm,
        volumes=volumes,
    )
    test = bool(__opts__.get("test"))

    noise.quiet()

    def start():
        result = _stepper().begin(compiled.plan(_root(), model), order, test=test)
        if live_lines and not test:
            session.current().screen = live.spawn(session.current().run)
        return result

    return _state(name, start)


def precheck(name, model):
    """
    Every host answers and can take what the model wants, and the running master has what ``openstack.setup`` wrote;
    changes nothing, needs no run.

    name
        Any name.

    model
        Digest of the compiled model.

    .. code-block:: yaml

        Every host can take what the model wants:
          openstack_step.precheck:
            - model: 4f1c9a0b1c2d3e4f
    """
    noise.quiet()
    master = __salt__["openstack_setup.master_check"]() if "openstack_setup.master_check" in __salt__ else []
    return _state(name, lambda: _stepper().precheck(compiled.plan(_root(), model), master))


def first_cloud(name, model, remove=False):
    """
    The first things in the cloud are there, up to an instance that answers; or what was made of them is gone. No run is
    begun; while one is open, nothing is done.

    name
        Any name.

    model
        Digest of the compiled model.

    remove : False
        Remove what an earlier call made.

    .. code-block:: yaml

        Make the first cloud:
          openstack_step.first_cloud:
            - model: 4f1c9a0b1c2d3e4f
    """
    noise.quiet()
    test = bool(__opts__.get("test"))

    def ask(sls, host, step, test):
        return _Salt().ask(sls, [host], step, test=test, limit=FIRST_CLOUD_SECONDS)

    def work():
        plan = compiled.plan(_root(), model)
        if not test:
            RunLock(_root()).refuse()
        live.say(first.begins(plan, remove=bool(remove), test=test))
        done = first.act(ask, plan, time.time, remove=bool(remove), test=test)
        for line in first.lines(done):
            live.say(line)
        return {key: done[key] for key in ("result", "changes", "comment")}

    return _state(name, work)


def compare(name):
    """
    Ask every host once, in test mode, what differs from the model; nothing changes. Later steps go by its answer.

    name
        Any name.

    .. code-block:: yaml

        Compare every host with the model:
          openstack_step.compare: []
    """
    return _state(name, _stepper().compare)


def _act(name):
    def act():
        _die_with_parent()
        return _stepper().act(name)

    return _state(name, act)


def wave(name):
    """
    Converge the containers of one step, on the hosts where they differ; one host after another where the plan says so.

    name
        Id of the step in the plan.

    .. code-block:: yaml

        Start keystone:
          openstack_step.wave:
            - name: start keystone
            - parallel: True
    """
    return _act(name)


def prepare(name):
    """
    Databases of a service and its jobs before the first start, where the comparison found something due.

    name
        Id of the step in the plan.

    .. code-block:: yaml

        Prepare keystone:
          openstack_step.prepare:
            - name: prepare keystone
            - parallel: True
    """
    return _act(name)


def register(name):
    """
    Users, services and endpoints of a service in Keystone, and its jobs after the start, where something is due.

    name
        Id of the step in the plan.

    .. code-block:: yaml

        Register glance:
          openstack_step.register:
            - name: register glance
            - parallel: True
    """
    return _act(name)


def remove(name):
    """
    Remove containers of this cloud that the model does not know (any more).

    name
        Always ``remove``.

    .. code-block:: yaml

        Remove containers the model no longer knows:
          openstack_step.remove:
            - name: remove
            - parallel: True
    """
    return _act(name)


def finish(name):
    """
    Say how the run went and close it. Requires *any* of the other steps, so that it comes after failures too.

    name
        Any name.

    .. code-block:: yaml

        Finish the run:
          openstack_step.finish:
            - parallel: True
            - require_any:
              - openstack_step: Begin the run
    """

    def end():
        made, result = session.current(), _stepper().finish()
        if made.test and made.found:
            current = compiled.current(_root())
            because = __salt__["openstack_plan.changes"](current, made.plan["digest"]) if current else []
            live.say(terminal.render(view.view(made.plan, made.found, current=current, because=because)))
        live.wait(made.screen)
        return result

    return _state(name, end)
