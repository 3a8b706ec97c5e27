"""The states in Salt's own hands, without a master, against the real engine: an operator's own SLS, twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functional import tiny
from saltern.host.engine import Engine

pytestmark = pytest.mark.engine

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGE = f"a-test/salt:{os.getpid()}"
NAME = f"a_test_own_{os.getpid()}"
SLS = """
    own/cache.conf:
      openstack_file.present:
        - contents: size = {size}
        - mode: '0444'

    {name}:
      openstack_container.running:
        - image: {image}
        - command: [/bin/sleep, '1000']
        - environment: {{SIZE: '{size}'}}
        - restart: health
        - stop_timeout: 1
        - mounts:
          - {{type: bind, source: {root}/files/own, target: /own, read_only: true}}
        - limits: {{memory: 32M, pids: 16}}
        - require:
          - openstack_file: own/cache.conf
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        tiny.load(engine.api, IMAGE)
        yield engine
        engine.remove(NAME, force=True)
        engine.api.remove_image(IMAGE, force=True)


@pytest.fixture
def apply(tmp_path: Path) -> Any:
    """``apply(sls, test=False)`` → results by state function, through ``salt-call --local``."""
    config = {
        "id": "ctl1", "file_client": "local", "root_dir": str(tmp_path), "cachedir": str(tmp_path / "cache"),
        "module_dirs": [str(CHECKOUT / "salt")], "file_roots": {"base": [str(tmp_path / "states")]},
        "saltern_root": str(tmp_path / "saltern"), "enable_fqdns_grains": False, "enable_gpu_grains": False,
        "log_level_logfile": "quiet",
    }  # fmt: skip
    (tmp_path / "states").mkdir()
    (tmp_path / "minion").write_text(json.dumps(config))
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "salt" / "_utils")}

    def apply(sls: str, test: bool = False) -> dict[str, Any]:
        (tmp_path / "states" / "own.sls").write_text(textwrap.dedent(sls))
        program = [sys.executable, str(Path(sys.executable).with_name("salt-call")), "--local", "-c", str(tmp_path)]
        program += ["--out=json", "--log-level=error", "state.apply", "own", f"test={test}"]
        ended = subprocess.run(program, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert ended.stdout.startswith("{"), ended.stdout + ended.stderr
        return {tag.split("_|-")[0]: state for tag, state in json.loads(ended.stdout)["local"].items()}

    return apply


def test_an_operator_s_own_sls(engine: Engine, apply: Any, tmp_path: Path) -> None:
    def sls(size: int) -> str:
        return SLS.format(size=size, name=NAME, image=IMAGE, root=tmp_path / "saltern")

    planned = apply(sls(1), test=True)
    assert [planned[key]["result"] for key in ("openstack_file", "openstack_container")] == [None, None]
    assert engine.inspect(NAME) is None

    first = apply(sls(1))
    assert first["openstack_container"]["result"] is True, first
    assert first["openstack_container"]["changes"][NAME]["action"] == "create"
    assert engine.exec(NAME, ["/bin/cat", "/own/cache.conf"])[1] == b"size = 1"

    again = apply(sls(1))
    assert [again[key]["changes"] for key in ("openstack_file", "openstack_container")] == [{}, {}]

    changed = apply(sls(2))
    assert changed["openstack_file"]["changes"] == {"diff": ["- (not shown)", "+ size = 2"]}
    assert [r["field"] for r in changed["openstack_container"]["changes"][NAME]["reasons"]] == ["environment"]

    refused = apply(f"{NAME}:\n  openstack_container.running:\n    - image: {IMAGE}\n    - memory: 1G\n")
    assert refused["openstack_container"]["result"] is False
    assert 'unknown argument "memory"' in refused["openstack_container"]["comment"]

    gone = apply(f"{NAME}:\n  openstack_container.absent: []\n")
    assert gone["openstack_container"]["changes"][NAME]["action"] == "remove"
    assert engine.inspect(NAME) is None
