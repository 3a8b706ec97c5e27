"""This host as an execution module finds it: its slice, admitted by the open run, and a client of its engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import run_guard
from saltern.host.context import Host
from saltern.host.engine import Engine
from saltern.host.store import Store


@contextmanager
def opened(
    pillar: Mapping[str, Any], opts: Mapping[str, Any], *, test: bool = False
) -> Iterator[tuple[Host, dict[str, Any]]]:
    """The host and its slice.

    pillar, opts
        ``__pillar__`` and ``__opts__`` of the minion.
    test
        Nothing will be changed.

    Raises what `saltern.host.run_guard.admitted` raises, EngineUnavailable.
    """
    part = run_guard.admitted(pillar, test=test)
    with Engine(opts.get("saltern_docker_url", DOCKER_URL)) as engine:
        yield (
            Host(
                engine=engine,
                store=Store(opts.get("saltern_root", HOST_ROOT)),
                name=part["host"],
                cloud=part["cloud"],
                model=part["model"],
                secrets=tuple(part.get("secrets") or ()),
            ),
            part,
        )
