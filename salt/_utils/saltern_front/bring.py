"""Bring images to hosts, whatever the way: ask a bounded number at once, show how far they are, sum up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import salt.utils.event

from saltern.contract.events import PULL
from saltern.images import distribute
from saltern.images import front as images
from saltern.terminal import noise, transfer
from saltern.terminal.build_live import Painter
from saltern_front import front
from saltern_front.crowd import Crowd

AT_ONCE = 10  # hosts, where openstack:images:pull_parallel says nothing


def at_once(tree: Mapping[str, Any]) -> int:
    """Hosts that get images at once."""
    return int((tree.get("images") or {}).get("pull_parallel") or AT_ONCE)


def bring(
    view: front.Front,
    verb: str,
    function: str,
    questions: Mapping[str, Mapping[str, Any]],
    *,
    hosts_at_once: int,
    release: str,
) -> front.Answer:
    """The whole of a verb from its questions on.

    verb
        Its name, for what is said.
    function, questions
        As for :class:`saltern_front.crowd.Crowd`.
    hosts_at_once
        Bound on hosts.
    release
        What the images are of.
    """
    noise.quiet()
    began = time.monotonic()
    with salt.utils.event.get_master_event(dict(view.opts), view.opts["sock_dir"], listen=True) as bus:
        bus.subscribe(f"{PULL}/")
        with Painter(sys.stderr, progress=transfer.Progress(), next_event=_events_of(bus)) as painter:
            painter.feed("begin", {"hosts": list(questions), "parallel": min(hosts_at_once, len(questions))})

            def ended(host: str, answer: Any) -> None:
                painter.feed("end", {"host": host, **distribute.short(answer)})

            try:
                answers = Crowd(view, hosts_at_once).ask(function, questions, ended)
            except (KeyboardInterrupt, SystemExit):  # salt-run makes the latter of Ctrl-C
                hint = f"What is there stays. Go on: salt-run openstack.{verb}"
                return front.answer("error", {"message": "interrupted; the hosts stop", "hint": hint}, front.FAILED)
    distribute.remember_digests(view.root, answers)
    found = distribute.report(verb, answers, release=release, seconds=time.monotonic() - began)
    return front.answer("transfer", found, found["retcode"])


def _events_of(bus: Any) -> Callable[[float], tuple[str, Mapping[str, Any]] | None]:
    def next_event(wait: float) -> tuple[str, Mapping[str, Any]] | None:
        event = bus.get_event(wait=wait, tag=f"{PULL}/", full=True)
        if not event:
            return None
        outer: Mapping[str, Any] = event.get("data") or {}
        inner = outer.get("data")  # an event that a minion fires arrives with its own data inside
        return "progress", inner if isinstance(inner, dict) else outer

    return next_event


def builder(view: front.Front, tree: Mapping[str, Any], options: images.Options) -> str:
    """The minion that has the images that are built. Raises SalternError when none is known."""
    return images.builder_of(tree["hosts"], options, view.accepted)
