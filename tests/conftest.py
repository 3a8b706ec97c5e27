"""What all tests share: which of them can run here, and one rig for the session.

A test marked ``engine`` needs the machine's Docker Engine, one marked ``rig`` root and the rig's tools. Where these
are missing the test is skipped with the reason; with SALTERN_TEST_STRICT=1 (set by ``./saltern test``) it fails.
"""

import os
import signal
import sys
from collections.abc import Iterator

import docker
import pytest
import salt._logging
from rig import rig as rigs

sys.path.append(str(rigs.CHECKOUT / "tools"))  # the checks are programs, and tested as modules


# What a shell runs in the background may ignore SIGINT, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _engine_lacking() -> str | None:
    try:
        docker.DockerClient(base_url=rigs.ENGINE_URL, version="1.41", timeout=10).ping()
    except Exception as error:
        return f"no Docker Engine answers: {error}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons: dict[str, str | None] = {}
    for item in items:
        for marker, find in (("engine", _engine_lacking), ("rig", rigs.lacking)):
            if item.get_closest_marker(marker) is None:
                continue
            if marker not in reasons:
                reasons[marker] = find()
            if reasons[marker] and not os.environ.get("SALTERN_TEST_STRICT"):
                item.add_marker(pytest.mark.skip(reason=reasons[marker]))


def pytest_unconfigure() -> None:
    """Salt holds back what is logged for a stream that pytest has closed by now, and would complain of every record."""
    salt._logging.shutdown_temp_handler()


@pytest.fixture(scope="session")
def one_host() -> Iterator[rigs.Host]:
    """A host of a rig of its own, with an empty Docker Engine and no Salt."""
    with rigs.Rig(["pre1"]) as rig:
        rig.boot()
        yield rig.hosts[0]
