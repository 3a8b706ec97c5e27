"""``./saltern tempest``: what it hands to Tempest, what it makes of the answer, what stays behind."""

import io
import re
import stat
from pathlib import Path

import pytest
from allinone import tempest
from allinone.console import Console, Stop
from allinone.layout import Layout

OUTPUT = """\
{0} tempest.api.image.v2.test_images.Images.test_one[id-1,smoke] [0.2s] ... ok
setUpClass (tempest.api.volume.test_x.Volumes) ... SKIPPED: Cinder is not available.
{1} tempest.api.compute.test_y.Servers.test_two [1.0s] ... SKIPPED: Cinder is not available.
{1} tempest.api.compute.test_y.Servers.test_three[id-3] [9.0s] ... {result}
"""


@pytest.fixture
def cloud(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A cloud whose Tempest is a script that shows its words and prints ``OUTPUT``."""
    layout.make()
    layout.clouds.touch()
    layout.requirements.mkdir()
    (layout.requirements / "tempest.txt").write_text("tempest==47.0.0\n")
    monkeypatch.setattr(tempest.venvs, "ensure", lambda *a: True)

    def configure(_: Layout, config: Path) -> str:
        config.write_text("admin_password = geheim\n")
        return "identity"

    monkeypatch.setattr(tempest, "configure", configure)
    return layout


def program(layout: Layout, result: str, code: int) -> None:
    """Put the script in Tempest's place."""
    path = layout.tempest_venv / "bin" / "tempest"
    path.parent.mkdir(parents=True)
    text = OUTPUT.replace("{result}", result)
    path.write_text(f"#!/bin/sh\necho \"words: $*\"\ncat <<'X'\n{text}X\nexit {code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_counts_and_reasons(cloud: Layout, console: Console, out: io.StringIO) -> None:
    program(cloud, "ok", 0)
    assert tempest.run(cloud, console, []) == 0
    shown = out.getvalue()
    assert "2 skipped: Cinder is not available" in shown
    assert "2 passed, 0 failed, 2 skipped" in shown
    words = (cloud.log / "tempest.log").read_text().splitlines()[0]
    assert "--include-list" in words and "--exclude-list" in words


def test_a_failure_is_named_and_the_exit_code_says_so(cloud: Layout, console: Console, out: io.StringIO) -> None:
    program(cloud, "FAILED", 1)
    assert tempest.run(cloud, console, ["compute"]) == 1
    assert "✗ tempest.api.compute.test_y.Servers.test_three" in out.getvalue()
    assert "--regex compute" in (cloud.log / "tempest.log").read_text().splitlines()[0]


def test_the_password_goes_with_the_run(cloud: Layout, console: Console) -> None:
    program(cloud, "ok", 0)
    tempest.run(cloud, console, [])
    assert not list((cloud.dot / "tempest").glob("*.conf"))


def test_without_a_cloud_it_says_what_to_do(layout: Layout, console: Console) -> None:
    with pytest.raises(Stop) as caught:
        tempest.run(layout, console, [])
    assert caught.value.advice == "./saltern up"


def test_the_stated_lists_are_regular_expressions() -> None:
    folder = Path(__file__).parents[4] / "tools" / "tempest"
    for name in ("include.txt", "exclude.txt"):
        for line in (folder / name).read_text().splitlines():
            if line and not line.startswith("#"):
                re.compile(line)
