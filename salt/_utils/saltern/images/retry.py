"""Which failures of a build go away by themselves, and how often it is tried again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import tenacity

from saltern.contract.errors import BuildFailed, EngineUnavailable
from saltern.host.build import INSIDE, SMOKE

T = TypeVar("T")

TRIES = 3
ENGINE_TRIES = 6  # an engine that was killed is back within this, or its operator is needed: 2 + 4 + 8 + 16 + 32 s
_ENGINE = re.compile(r"no Docker Engine answers|the engine ended the build: (?!.*non-zero)")
_TRANSIENT = re.compile(
    r"""(?ix)
    temporary\ failure\ (in\ name\ resolution|resolving) | could\ not\ resolve | name\ or\ service\ not\ known
    | failed\ to\ fetch | hash\ sum\ mismatch | unable\ to\ connect
    | connection\ (timed\ out|reset|refused|aborted|broken)
    | operation\ timed\ out | read\ timed\ out | tls\ handshake | error\ sending\ request | request\ failed\ after
    | (status|error|http)[^0-9\n]{0,12}(429|500|502|503|504)\b | incompleteread | remote\ end\ closed
    | unexpected\ eof | broken\ pipe
    """
)
# a wrong address or a missing file stays wrong however often it is asked for
_LASTING = re.compile(r"(?i)\b(404|403|401)\b|no space left|hash mismatch|unable to locate package|no solution found")


def transient(error: BaseException) -> bool:
    """Whether a failed build is worth another try: the network or a mirror, and nothing that will stay so."""
    if engine_away(error):
        return True
    if not isinstance(error, BuildFailed) or getattr(error, "step", "") in (SMOKE, INSIDE):
        return False  # an image that was built and is not good has no network to blame
    text = "\n".join([error.message, *getattr(error, "log", [])])
    return bool(_TRANSIENT.search(text)) and not _LASTING.search(text)


def engine_away(error: BaseException) -> bool:
    """Whether the builder's engine does not answer: it was killed, or is being restarted."""
    return isinstance(error, EngineUnavailable) or (
        isinstance(error, BuildFailed) and bool(_ENGINE.search(error.message)) and not _LASTING.search(error.message)
    )


def _enough(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return state.attempt_number >= (ENGINE_TRIES if error is not None and engine_away(error) else TRIES)


def patiently(
    work: Callable[[], T],
    *,
    sleep: Callable[[float], None],
    again: Callable[[int, BaseException], None],
    first: float = 2.0,
) -> T:
    """Call ``work``, again after a pause that doubles while it fails for a transient cause.

    work
        The build.
    sleep
        Waits.
    again
        Told the number of the next try and the error.
    first
        Seconds before the second try.
    """

    def told(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            again(state.attempt_number + 1, error)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        stop=_enough,
        wait=tenacity.wait_exponential(multiplier=first, max=60),
        sleep=sleep,
        before_sleep=told,
        reraise=True,
    )
    return retrying(work)
