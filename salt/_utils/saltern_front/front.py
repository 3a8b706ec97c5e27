"""Answers of verbs, and what verbs need of Salt: the compiled model, questions to minions, detached orchestrations.

The library (``saltern``) knows nothing of Salt, and Salt's loader gives each file of a runner its own dunders; so what
the files of the runner share gets them as arguments and lives here.
"""

from __future__ import annotations

import functools
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import salt.client
import salt.exceptions
import salt.runner
import salt.utils.event
import salt.utils.jid

from saltern.contract.errors import LockHeld, SalternError
from saltern.contract.names import MASTER_ROOT
from saltern.images import front as images
from saltern.plan import compiled, runs, stepper
from saltern.plan.ask import Answers, Asker
from saltern.terminal import noise

Answer = dict[str, Any]

GOOD, FAILED, WRONG, DIFFERS, REFUSED, UNREACHABLE = range(6)
BEGINS_WITHIN = 60.0  # seconds a detached run may take to its first step
AWAY = (
    salt.exceptions.SaltClientError,
    salt.exceptions.SaltReqTimeoutError,
    salt.exceptions.AuthenticationError,
)


def answer(kind: str, data: Mapping[str, Any], retcode: int = GOOD) -> Answer:
    """A verb's answer in the shape that Salt prints cleanly.

    kind
        Names the renderer in ``saltern.terminal``.
    """
    noise.quiet()
    # Salt takes the exit code from ``retcode`` inside ``data``; beside it, it would break the outputter.
    return {"data": {"kind": kind, **data, "retcode": retcode}, "outputter": "openstack"}


def error(exc: Exception, retcode: int | None = None) -> Answer:
    """Answer for an error of the library or of Salt: a sentence instead of a traceback."""
    code = REFUSED if isinstance(exc, LockHeld) else FAILED if retcode is None else retcode
    if isinstance(exc, SalternError):
        return answer("error", {"message": exc.message, "where": exc.where, "hint": exc.hint}, code)
    return answer("error", {"message": str(exc), "where": "", "hint": ""}, code)


def reachable(verb: Callable[..., Answer]) -> Callable[..., Answer]:
    """A verb that asks minions: a master that is away is said in a sentence."""

    @functools.wraps(verb)
    def asked(*args: Any, **kwargs: Any) -> Answer:
        try:
            return verb(*args, **kwargs)
        except AWAY as exc:
            hint = "Is salt-master running? What is deployed goes on and heals itself meanwhile"
            return answer("error", {"message": f"the salt-master does not answer: {exc}", "hint": hint}, UNREACHABLE)

    return asked


def hosts_of(model: Mapping[str, Any], container: str | None, host: str | None) -> tuple[list[str], Answer | None]:
    """Hosts that run a container (any, when it is None), or the answer that says what is wrong."""
    containers = model.get("containers") or {}
    known = sorted(model.get("hosts") or {}) if container is None else containers.get(container, {}).get("hosts", [])
    if host and host in known:
        return [host], None
    if known and not host:
        return list(known), None
    what = f"no container {container}" + (f" on {host}" if host else "") if container else f"no host {host}"
    where = f"{container} runs on {', '.join(known)}" if known else f"There are: {', '.join(sorted(containers))}"
    return [], answer("error", {"message": what, "hint": where}, WRONG)


def comments(returned: Any) -> list[str]:
    """Comments of the states of an orchestration that failed."""
    data = returned.get("data") if isinstance(returned, dict) else None
    if not isinstance(data, dict):
        return [str(returned)]
    states = [state for found in data.values() if isinstance(found, dict) for state in found.values()]
    failed = [str(s.get("comment")) for s in states if s.get("result") is False and s.get("__state_ran__", True)]
    return [line for comment in failed for line in comment.splitlines()] or [str(returned)[:500]]


class Front:
    """One verb's view of Salt.

    opts
        ``__opts__`` of the runner.
    runners
        ``__salt__`` of the runner: the master's runner functions.
    """

    def __init__(self, opts: Mapping[str, Any], runners: Mapping[str, Callable[..., Any]]) -> None:
        self.opts, self.runners = opts, runners

    @property
    def root(self) -> pathlib.Path:
        """The master's state root."""
        return pathlib.Path(self.opts.get("saltern_state_dir") or MASTER_ROOT)

    def plan_module(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the master's execution module ``openstack_plan``."""
        return self.runners["salt.cmd"](f"openstack_plan.{function}", *args, **kwargs)

    def compiled(self) -> tuple[dict[str, Any], Answer | None]:
        """The compiled model, or the answer that says what is wrong with it."""
        made = self.plan_module("compile")
        if not isinstance(made, dict):
            return {}, answer("error", {"message": f"the model cannot be compiled: {made}"}, WRONG)
        return made, answer("validate", made, WRONG) if made["errors"] else None

    def images(
        self, *, profiles: Iterable[str] = (), release: Any = None, **which: str | None
    ) -> tuple[images.Options, dict[str, Any]]:
        """The operator's choices about images, and the tree they come from (``openstack_plan.images``).

        profiles
            Profiles that are asked for; ``enabled`` is what the pillar's services need, which takes a model.
        release, which
            Release, type and distro instead of the pillar's.

        Raises SalternError when the tree cannot be read or means nothing.
        """
        chosen = self.plan_module("images")
        if not isinstance(chosen, dict):
            raise SalternError(str(chosen))
        options = images.options_from(chosen, release=release and str(release), **which)
        if images.ENABLED in profiles:
            made, wrong = self.compiled()
            if wrong:
                raise SalternError(
                    "which images it needs is not known: the model has errors", hint="salt-run openstack.validate"
                )
            options = images.enabling(options, made["plan"]["images"])
        return options, chosen

    def deployed(self) -> tuple[dict[str, Any], Answer | None]:
        """The plan of the model in force, or the answer that there is none."""
        try:
            return compiled.plan(self.root, compiled.current(self.root)), None
        except SalternError:
            data = {"message": "nothing is deployed yet", "hint": "salt-run openstack.deploy"}
            return {}, answer("error", data, FAILED)

    def ask(
        self,
        hosts: Iterable[str],
        function: str,
        args: Iterable[Any] = (),
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Answers:
        """Run a function on hosts; see ``saltern.plan.ask``."""
        noise.quiet()
        with salt.client.LocalClient(mopts=dict(self.opts)) as client:
            asker = Asker(client, lambda: str(salt.utils.jid.gen_jid(self.opts)))
            return asker.ask(hosts, function, args, kwargs, **options)

    def accepted(self) -> list[str]:
        """Ids of all minions with an accepted key."""
        noise.quiet()
        with salt.client.LocalClient(mopts=dict(self.opts)) as client:
            return list(client.gather_minions("*", "glob"))

    def look(self, plan: Mapping[str, Any], mode: str) -> dict[str, Any]:
        """The comparing step of a run, outside of any run."""
        return stepper.look(_Looker(self), plan, stepper.asked(plan, mode, time.time), time.time)

    def start(self, sls: str, pillar: Mapping[str, Any]) -> str:
        """Start an orchestration in a process of its own, which outlives this one and the master; gives its job id."""
        noise.quiet()
        jid = str(salt.utils.jid.gen_jid(self.opts))
        # Salt would give the orchestration another job id than the one it returns: it is handed in.
        low = {"fun": "state.orch", "arg": [sls], "kwarg": {"pillar": dict(pillar), "orchestration_jid": jid}}
        client = salt.runner.RunnerClient(dict(self.opts))
        pub = {"jid": jid, "tag": f"salt/run/{jid}"}
        client.asynchronous("state.orch", low, user=self.opts.get("user"), pub=pub)
        return jid

    def begun(self, jid: str) -> tuple[runs.Run | None, list[str]]:
        """The run that this orchestration began; or None and why it did not."""
        deadline, tag = time.monotonic() + BEGINS_WITHIN, f"salt/run/{jid}/ret"
        with salt.utils.event.get_master_event(self.opts, self.opts["sock_dir"], listen=True) as bus:
            while time.monotonic() < deadline:
                event = bus.get_event(wait=0.2, tag=tag)
                run = runs.of_jid(self.root, jid)
                if run:
                    return run, []
                if event:
                    return None, comments(event.get("return"))
        return None, [f"nothing was heard of it in {BEGINS_WITHIN:.0f} s"]

    def ended(self, jid: str, seconds: float) -> str:
        """Wait for the end of an orchestration; what went wrong, empty when nothing did."""
        deadline, tag = time.monotonic() + seconds, f"salt/run/{jid}/ret"
        with salt.utils.event.get_master_event(self.opts, self.opts["sock_dir"], listen=True) as bus:
            while time.monotonic() < deadline:
                event = bus.get_event(wait=1.0, tag=tag)
                if event:
                    returned = event.get("return")
                    bad = event.get("success") is False or not isinstance(returned, dict) or returned.get("retcode")
                    return "; ".join(comments(returned)) if bad else ""
        return f"nothing was heard of it in {seconds:.0f} s"


class _Looker:
    """What ``stepper.look`` needs of Salt."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def ask(self, sls: str, hosts: Iterable[str], step: Mapping[str, Any]) -> Answers:
        kwargs = {"test": True, "queue": True, "pillar": {"saltern_step": dict(step)}}
        return self.front.ask(hosts, "state.sls", [sls], kwargs)
