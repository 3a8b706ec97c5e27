"""docs/add-a-service.md, carried out literally on a running cloud: files written, commands run, outputs looked at."""

import os
import subprocess
from collections.abc import Iterator

import pytest
from rig.cloud import BIN, SaltCloud
from unit.services import walkthrough

pytestmark = [pytest.mark.rig, pytest.mark.engine, pytest.mark.slow]
SECONDS = 600


@pytest.fixture
def with_parents(deployed: SaltCloud) -> Iterator[SaltCloud]:
    """The builder has the images that the new one continues, as a builder of a cloud has; what is made is removed."""
    for name in ("distro", "base", "python-base"):
        deployed.rig["ctl1"].load_image(f"saltern/{name}:2025.2")
    yield deployed
    for step in walkthrough.steps():
        if isinstance(step, walkthrough.File):
            path = deployed.checkout / step.path.replace("$PILLAR", str(deployed.pillar))
            path.unlink(missing_ok=True)


def run(cloud: SaltCloud, line: str) -> str:
    """A line of the page, as somebody types it in the checkout; its whole output."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "SALT_CONFIG_DIR": str(cloud.config),
        "VIP": cloud.rig["ctl1"].address,
        "PILLAR": str(cloud.pillar),
    }
    done = subprocess.run(
        ["sh", "-c", line], cwd=cloud.checkout, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{line}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_page_works_as_it_is_written(with_parents: SaltCloud) -> None:
    cloud, started = with_parents, with_parents.containers()
    for step in walkthrough.steps():
        if isinstance(step, walkthrough.File):
            step.write(cloud.checkout, cloud.pillar)
            continue
        output = run(cloud, step.line)
        assert [text for text in step.shown if text not in output] == [], f"{step.line}\n{output}"
    assert cloud.containers() == started, "it came, it went, and nobody else was restarted"
