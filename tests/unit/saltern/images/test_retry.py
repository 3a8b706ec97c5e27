"""What is worth another try."""

from __future__ import annotations

import pytest

from saltern.contract.errors import BuildFailed
from saltern.host.build import StepFailed
from saltern.images.retry import TRIES, patiently, transient


def failed(*log: str) -> StepFailed:
    return StepFailed(log[-1], where="x", step="RUN x", log=list(log))


@pytest.mark.parametrize(
    "line",
    [
        "E: Failed to fetch http://m/debian/pool/x.deb  Connection timed out [IP: 10.0.0.1 80]",
        "W: Temporary failure resolving 'm'",
        "error: Failed to fetch: `https://i/simple/keystone/`: error sending request for url",
        "error: HTTP status server error (503 Service Unavailable) for url",
        "E: Failed to fetch x  Hash Sum mismatch",
        "the engine ended the build: Connection broken: IncompleteRead",
    ],
)
def test_the_network_may_recover(line: str) -> None:
    assert transient(failed("Reading…", line))


@pytest.mark.parametrize(
    "line",
    [
        "E: Unable to locate package keystoone",
        "error: command 'gcc' failed with exit code 1",
        "E: Failed to fetch http://m/x  404  Not Found [IP: 10.0.0.1 80]",
        "no space left on device",
        "error: Hash mismatch for keystone==28.1.0",
    ],
)
def test_these_stay_as_they_are(line: str) -> None:
    assert not transient(failed(line))


def test_tried_again_with_growing_pauses_and_then_given_up() -> None:
    pauses: list[float] = []
    tries: list[int] = []

    def work() -> None:
        raise failed("Connection reset by peer")

    with pytest.raises(BuildFailed, match="reset"):
        patiently(work, sleep=pauses.append, again=lambda number, error: tries.append(number))
    assert len(pauses) == TRIES - 1
    assert pauses == sorted(pauses)
    assert tries == [2, 3]


def test_a_lasting_failure_is_not_tried_again() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise failed("syntax error")

    with pytest.raises(BuildFailed):
        patiently(work, sleep=lambda seconds: None, again=lambda number, error: None)
    assert len(calls) == 1
