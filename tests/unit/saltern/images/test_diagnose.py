"""What tools really say (apt 3.0, uv 0.9, pip 25, Docker 26), what is made of it, and whether it is tried again."""

from __future__ import annotations

import pytest

from saltern.contract.errors import BuildFailed, EngineUnavailable
from saltern.host.build import StepFailed
from saltern.images.builders import BuilderAway
from saltern.images.diagnose import explained
from saltern.images.options import Options
from saltern.images.retry import ENGINE_TRIES, TRIES, patiently, transient

INDEX = "E: Some index files failed to download. They have been ignored, or old ones used instead."
FETCH = "E: Failed to fetch http://m/debian/dists/trixie/InRelease  "
UV = "error: Request failed after 3 retries in 7.3s"
CASES = {
    "apt, name": ([FETCH + "Could not resolve 'm'", INDEX], True, "Could not resolve 'm'", "mirrors:apt"),
    "apt, refused": ([FETCH + "Unable to connect to 10.0.0.1:80:", INDEX], True, "Unable to connect", "mirrors:apt"),
    "apt, 503": (
        [FETCH + "503  Service Unavailable [IP: 10.0.0.1 80]", "E: The repository 'http://m trixie' is not signed."],
        True, "503  Service Unavailable", "Does the mirror answer",
    ),
    "apt, other files": (
        ["E: The repository 'http://m/x trixie Release' does not have a Release file."],
        False, "does not have a Release file", "mirror for packages is wrong",
    ),
    "apt, gone": (
        ["E: Failed to fetch http://m/pool/a.deb  404  Not Found [IP: 10.0.0.1 80]"],
        False, "404", "mirror for packages is wrong",
    ),
    "apt, half-way": (
        ["E: Failed to fetch http://m/pool/a.deb  Hash Sum mismatch"], True, "Hash Sum mismatch", "being updated",
    ),
    "apt, package": (["E: Unable to locate package libldap7"], False, "libldap7", "name in debian trixie"),
    "uv, refused": (
        [UV, "  cause: Failed to fetch: http://m/simple/six/", "  cause: client error (Connect)",
         "  cause: Connection refused (os error 111)"],
        True, "Failed to fetch: http://m/simple/six/: Connection refused (os error 111)", "mirrors:pypi",
    ),
    "uv, name": (
        [UV, "  cause: Failed to fetch: http://m/simple/six/", "  cause: dns error",
         "  cause: failed to lookup address information: Name or service not known"],
        True, "Name or service not known", "mirrors:pypi",
    ),
    "uv, 503": (
        [UV, "  cause: Failed to fetch: http://m/simple/six/",
         "  cause: HTTP status server error (503 Service Unavailable) for url (http://m/simple/six/)"],
        True, "503 Service Unavailable", "mirrors:pypi",
    ),
    "uv, absent": (
        ["error: No solution found when resolving dependencies",
         "  cause: Because six was not found in the package registry and you require six==1.0, we can conclude"],
        False, "six was not found in the package registry", "images/locks/compile 2025.2",
    ),
    "uv, hash": (
        ["error: Failed to download `six==1.17.0`", "  cause: Hash mismatch for `six==1.17.0`", "         Expected:"],
        False, "Hash mismatch for `six==1.17.0`", "images/locks/compile 2025.2",
    ),
    "pip, refused": (
        ["WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
         "broken by 'NewConnectionError: [Errno 111] Connection refused': /simple/six/",
         "ERROR: Could not find a version that satisfies the requirement six==1.0 (from versions: none)",
         "ERROR: No matching distribution found for six==1.0"],
        True, "Connection refused", "mirrors:pypi",
    ),
    "pip, absent": (
        ["ERROR: No matching distribution found for six==1.0"], False, "No matching distribution", "lock names",
    ),
    "pip, hash": (
        ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."],
        False, "DO NOT MATCH THE HASHES", "images/locks/compile",
    ),
    "full": (
        ["dpkg: error processing archive a.deb: cannot copy: failed to write (No space left on device)"],
        False, "the disk of b1 is full", "Free space on b1",
    ),
    "engine, full": (
        ["write /var/lib/docker/x: no space left on device"], False, "the disk of b1 is full", "what is finished stays",
    ),
    "compiler": (["error: command 'gcc' failed with exit code 1"], False, "gcc", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_told_and_whether_it_is_tried_again(name: str) -> None:
    log, again, message, hint = CASES[name]
    failed = StepFailed(log[-1], where="app, step 2 of 9", step="RUN x", log=log)
    assert transient(failed) is again
    told = explained(failed, "b1", Options())
    assert isinstance(told, StepFailed)
    assert message in told.message
    assert hint in told.hint
    assert bool(told.hint) is bool(hint)
    assert told.log == log


def test_what_says_what_to_do_already_is_left_as_it_is() -> None:
    failed = BuildFailed("mmdebstrap is not installed: connection refused", hint="Install the package mmdebstrap")
    assert explained(failed, "b1", Options()) is failed
    assert failed.hint == "Install the package mmdebstrap"
    away = BuilderAway("b1 does not answer", hint="Look")
    assert explained(away, "b1", Options()) is away
    assert not transient(away)


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailable("no Docker Engine answers (list: refused)"),
        BuildFailed("unix:///x: no Docker Engine answers (build: connection refused). Start it"),
        BuildFailed("the engine ended the build: ('Connection aborted.', RemoteDisconnected())"),
    ],
)
def test_an_engine_that_is_restarted_is_waited_for_longer(error: Exception) -> None:
    tries: list[float] = []

    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        patiently(work, sleep=tries.append, again=lambda number, told: None)
    assert len(tries) == ENGINE_TRIES - 1 > TRIES
    assert tries == sorted(tries)
