"""Ask the toolbox program: one exec in the running toolbox container, the request on stdin, the answer on stdout.

The request holds passwords, so it is never an argument, a file or an environment variable, and whatever comes back is
masked with the request's own secrets once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

from saltern.contract.errors import EngineRefused, ToolboxFailed
from saltern.contract.masking import mask, mask_tree

CONTAINER = "kolla_toolbox"
PROGRAM = "/usr/local/bin/saltern-toolbox"
SECONDS = 300.0  # without any output: the program bounds each of its own calls, this bounds the program
TAIL = 400

Request = dict[str, Any]
Answer = dict[str, Any]


class Runner(Protocol):
    """What is needed of `saltern.host.engine.Engine`."""

    def exec(
        self,
        name: str,
        argv: list[str],
        *,
        stdin: bytes | None = None,
        user: str | None = None,
        timeout: float = SECONDS,
    ) -> tuple[int, bytes, bytes]: ...


def ask(engine: Runner, request: Request, *, container: str = CONTAINER, timeout: float = SECONDS) -> Answer:
    """One request to the toolbox.

    engine
        Client of the host's engine.
    request
        Document of docs/interfaces.md, sections 6 and 12.
    container
        The running toolbox container.
    timeout
        Seconds without an answer.

    Returns the answer; ``errors`` is always in it. Raises ToolboxFailed when the container does not run or the program
    cannot work, EngineUnavailable when no engine answers.
    """
    secrets = list(secrets_of(request))
    try:
        code, out, err = engine.exec(container, [PROGRAM], stdin=json.dumps(request).encode(), timeout=timeout)
    except EngineRefused as error:
        raise ToolboxFailed(
            f"the toolbox does not run: {mask(error.message, secrets)}",
            where=container,
            hint="It is started by salt-run openstack.deploy",
        ) from None
    if code:
        tail = mask(err.decode("utf-8", "replace").strip()[-TAIL:], secrets)
        raise ToolboxFailed(f"the program ended with {code}: {tail or 'no message'}", where=container)
    return _answer(out, secrets, container)


def call(engine: Runner, request: Request, *, container: str = CONTAINER) -> Answer:
    """As :func:`ask`, of services: the answer has ``services`` and ``errors``."""
    answer = ask(engine, request, container=container)
    return {"services": dict(answer.get("services") or {}), "errors": answer["errors"]}


def change(engine: Runner, request: Request, *, container: str = CONTAINER) -> Answer:
    """As :func:`call` for requests that must succeed: errors in the answer raise ToolboxFailed."""
    answer = call(engine, request, container=container)
    if answer["errors"]:
        raise ToolboxFailed("; ".join(answer["errors"]), where=str(request.get("service") or container))
    return answer


def secrets_of(value: Any) -> Iterator[str]:
    """Every password in a request."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "password" and isinstance(item, str):
                yield item
            else:
                yield from secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item)


def part_of(batch: Request, action: str, service: str, **more: Any) -> Request:
    """A request for one service, with no more of the batch's secrets than it needs.

    batch
        The slice's batch (``database``, ``identity``, ``services``).
    action
        ``apply``, ``job_begin`` or ``job_end``.
    service
        Name of the service.
    more
        Further fields of the request.

    Raises ToolboxFailed for a service that the batch does not know.
    """
    if service not in batch["services"]:
        known = ", ".join(sorted(batch["services"]))
        raise ToolboxFailed(f"no service {service} in this host's batch", where=CONTAINER, hint=f"It has: {known}")
    both = {key: batch.get(key) for key in ("database", "identity")}
    return {"action": action, "service": service, "part": None, **both, "services": _only(batch, service), **more}


def _only(batch: Request, service: str) -> dict[str, Any]:
    return {service: batch["services"][service]}


def _answer(out: bytes, secrets: list[str], container: str) -> Answer:
    try:
        answer = dict(json.loads(out))
        errors = [str(text) for text in answer["errors"]]
    except (ValueError, KeyError, TypeError):
        raise ToolboxFailed("the program's answer is not JSON of the agreed form", where=container) from None
    return dict(mask_tree({**answer, "errors": errors}, secrets))
