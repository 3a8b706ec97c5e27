"""What the verb ``build`` needs, in one place: the runner stays a thin adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from saltern.contract.errors import SalternError
from saltern.contract.events import BUILD
from saltern.images.builders import LocalBuilder, MinionBuilder, NoAnswer
from saltern.images.options import Options, options_from
from saltern.images.roll import Roll
from saltern.images.run import build_all, needs_all, render_all
from saltern.images.select import ENABLED, words

__all__ = [
    "ENABLED",
    "EVENTS",
    "LocalBuilder",
    "MinionBuilder",
    "NoAnswer",
    "Options",
    "Roll",
    "answer_of",
    "build_all",
    "builder_of",
    "builders_of",
    "enabling",
    "events_of",
    "folder",
    "needs_all",
    "options_from",
    "render_all",
    "words",
]

EVENTS = f"{BUILD}/"


class Answers(Protocol):
    """What came back from minions (`saltern.plan.ask.Answers`)."""

    returns: dict[str, Any]
    silent: list[str]
    lost: list[str]


class Bus(Protocol):
    """What is used of Salt's event client."""

    def get_event(self, wait: float, tag: str, full: bool) -> dict[str, Any] | None: ...


def folder(checkout: str | None) -> Path:
    """``images/`` of the checkout: the master option ``saltern_checkout``, else the one this library lies in."""
    return (Path(checkout) if checkout else Path(__file__).resolve().parents[4]) / "images"


def enabling(options: Options, references: Iterable[str]) -> Options:
    """The options with the profile ``enabled``: the images of the model that the pillar makes.

    references
        All images of the model's plan.
    """
    names = sorted({each.rpartition("/")[2].partition(":")[0].removeprefix(options.prefix) for each in references})
    return replace(options, profiles={**options.profiles, ENABLED: names})


def builders_of(
    hosts: Mapping[str, Sequence[str]], options: Options, accepted: Callable[[], Sequence[str]]
) -> list[str]:
    """The minions that build: the one that is named, else all with the role, the first host, the only minion.

    hosts
        Minion id → roles, as the operator wrote them; may be empty before there is a model.
    options
        The operator's choices.
    accepted
        Gives the minions that the master knows.

    Raises SalternError when no minion is known that could.
    """
    named = [options.builder] if options.builder else [host for host, roles in hosts.items() if "builder" in roles]
    if not named and not hosts:
        known = list(accepted())
        named = known if len(known) == 1 else []
    found = named or list(hosts)[:1]
    if not found:
        raise SalternError(
            "no minion is known that builds", hint="Give a host the role builder, or set openstack:images:builder"
        )
    return found


def builder_of(hosts: Mapping[str, Sequence[str]], options: Options, accepted: Callable[[], Sequence[str]]) -> str:
    """The first of :func:`builders_of`, with the same arguments and errors."""
    return builders_of(hosts, options, accepted)[0]


def answer_of(minion: str, function: str, answers: Answers) -> Any:
    """What one minion returned. Raises NoAnswer when it is silent, SalternError when the function failed."""
    if minion in answers.lost:
        raise SalternError(
            "its job ended without an answer: it was killed, or the minion was restarted",
            where=minion,
            hint="Run the build again: what is finished stays",
        )
    if minion not in answers.returns:
        raise NoAnswer(f"{minion} does not answer", where=function, hint=f"Look: salt {minion} test.ping")
    found = answers.returns[minion]
    if isinstance(found, str):
        missing = "is not available" in found
        hint = f"Sync it: salt {minion} saltutil.sync_all" if missing else ""
        raise SalternError(found.removeprefix("ERROR: ").strip(), where=minion, hint=hint)
    return found


def events_of(bus: Bus) -> Callable[[float], tuple[str, Mapping[str, Any]] | None]:
    """Builders' events as (kind, data), for `saltern.terminal.build_live.Painter`."""

    def next_event(wait: float) -> tuple[str, Mapping[str, Any]] | None:
        event = bus.get_event(wait=wait, tag=EVENTS, full=True)
        if not event:
            return None
        # an event that a minion fires arrives with its own data inside
        outer: Mapping[str, Any] = event.get("data") or {}
        inner = outer.get("data")
        return str(event["tag"]).rpartition("/")[2], inner if isinstance(inner, dict) else outer

    return next_event
