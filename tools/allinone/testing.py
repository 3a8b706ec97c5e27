"""``./saltern test``: environment, checks, images for the tests that need them, then pytest from the quick tests to
the slow ones.

Arguments go to pytest: with any of them (``-k keystone``, a path) it is one pytest run instead of all stages.
Tests that need hosts make them in the rig; the operator's cloud is not touched.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allinone import cloud, engine, packages, shell, venvs
from allinone.console import Console, Stop, duration
from allinone.layout import STATE_ROOT, Layout
from allinone.made import Made

# The rig's hosts: bridges, an init for the containers, a client for the engine's socket, a ping; a registry to push to.
PACKAGES = [
    *packages.ALWAYS,
    "curl",
    "docker-registry",
    "ebtables",
    "git",
    "iputils-ping",
    "procps",
    "tini",
    "util-linux",
]
# From the quick tests to the slow ones. A stage's lanes run at once, a lane's parts one after the other, each in a
# process of its own; the first lane has the terminal. Slow tests wait about half of their time, so two lanes take
# little longer than one. The compute tests are alone, as they count lost pings.
STAGES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("unit",), ("render",)),
    (("functional",), ("functional/orchestration", "integration")),
    (("integration/test_compute.py",),),
    (("cluster",),),
)

NOT_RUN = 127


@dataclass(frozen=True)
class Check:
    """A check that prints nothing but faults."""

    title: str
    words: tuple[str, ...]


def checks(layout: Layout) -> list[Check]:
    """All checks; ``python`` stands for the test environment's."""
    tools = layout.checkout / "tools"
    return [
        Check("ruff check", ("ruff", "check", ".")),
        Check("ruff format", ("ruff", "format", "--check", ".")),
        Check("mypy --strict on the library", ("mypy",)),
        Check("mypy on ./saltern", ("mypy", "--config-file", str(tools / "mypy.ini"))),
        Check("layers of the library", ("lint-imports",)),
        Check("adapters", ("python", str(tools / "check_adapters.py"))),
        Check("imports of a minion", ("python", str(tools / "check_minion_imports.py"))),
        Check("docstrings", ("python", str(tools / "check_docs.py"))),
    ]


def run(layout: Layout, console: Console, arguments: list[str]) -> int:
    """All checks and tests, or pytest with ``arguments``; the exit code."""
    begun = time.monotonic()
    layout.make()
    made = Made(layout.dot / "made.json")
    prepare(layout, made, console)
    if arguments:
        return pytest(layout, arguments)
    failed = [check.title for check in checks(layout) if not passed(layout, console, check)]
    images(layout, console)
    for stage in STAGES:
        failed += tested(layout, console, stage)
    took = duration(time.monotonic() - begun)
    if failed:
        console.say(f"\n✗ Failed after {took}: {', '.join(failed)}")
        return 1
    console.say(f"\n● All checks and tests passed in {took}")
    return 0


def prepare(layout: Layout, made: Made, console: Console) -> None:
    """Packages, environment and engine, each only where missing."""
    if os.geteuid() == 0:
        if packages.missing(PACKAGES):
            with console.phase("Packages") as phase:
                phase.detail = f"installed {' '.join(packages.install(PACKAGES, phase, made, layout.log / 'apt.log'))}"
        with console.phase("Docker Engine") as phase:
            engine.ensure(layout, made, phase)
    elif not engine.version():
        console.say("Not root and no Docker Engine answers: tests that need one are skipped")
    locks = [layout.requirements / "build.txt", layout.requirements / "test.txt"]
    if not venvs.current(layout.test_venv, locks):
        with console.phase("Test environment") as phase:
            venvs.ensure(layout.test_venv, locks, phase, layout.log / "pip.log")
            phase.detail = f"{sum(venvs.count(lock) for lock in locks)} packages"


def passed(layout: Layout, console: Console, check: Check) -> bool:
    """Run one check; its output is shown only when it finds something."""
    begun = time.monotonic()
    done = subprocess.run(
        [str(layout.test_venv / "bin" / check.words[0]), *check.words[1:]],
        cwd=layout.checkout,
        env=environment(layout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    mark = "●" if done.returncode == 0 else "✗"
    console.say(f"{mark} {check.title:<34}{duration(time.monotonic() - begun):>10}")
    if done.returncode:
        console.say(done.stdout)
    return done.returncode == 0


def images(layout: Layout, console: Console) -> None:
    """Build what images are missing or stale, without any Salt daemon; tests that need them say so when this fails."""
    if os.geteuid() != 0 or not engine.version():
        return
    helper = layout.checkout / "tools" / "allinone" / "helpers" / "images.py"
    with console.phase("Images") as phase:
        phase.step("building what is missing")
        text = shell.show(
            [layout.test_venv / "bin" / "python", helper, layout.checkout, state(layout)],
            layout.log / "build.log",
            console,
            what="Images could not be built",
            advice="mend the cause, then ./saltern test",
        )
        phase.detail = text.strip().rpartition("\n")[2]


def tested(layout: Layout, console: Console, stage: Sequence[Sequence[str]]) -> list[str]:
    """Run a stage; those of its parts that failed."""
    found = [[part for part in lane if there(layout, part)] for lane in stage]
    shown, *others = [lane for lane in found if lane] or [[]]
    beside = [Lane(layout, lane) for lane in others]
    results: dict[str, int] = {}
    for lane in beside:
        lane.start()
    try:
        for part in shown:
            console.say(f"\n== tests/{part}")
            for other in (part for lane in others for part in lane):
                console.say(f"… tests/{other} beside it, shown after it")
            results[part] = pytest(layout, chosen(layout, part))
        for lane in beside:
            lane.join()
            for part in lane.parts:
                console.say(f"\n== tests/{part}, ran beside others")
                console.say(output(layout, part).read_text(encoding="utf-8", errors="replace"))
                results[part] = lane.results.get(part, NOT_RUN)
    finally:
        for lane in beside:
            lane.stop()
    # 5: pytest found no test, which a stage of skipped files may do.
    return [f"tests/{part}" for part, code in results.items() if code not in (0, 5)]


class Lane(threading.Thread):
    """Parts whose tests run one after the other, beside others, with their output in files.

    parts
        All of them, as in `STAGES`.
    results
        Exit codes of pytest, by part, of those that have ended.
    """

    def __init__(self, layout: Layout, parts: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.results: dict[str, int] = {}
        self.parts = parts
        self._layout = layout
        self._lock, self._stopped = threading.Lock(), False
        self._process: subprocess.Popen[bytes] | None = None
        for part in parts:
            output(layout, part).write_bytes(b"")  # not that of an earlier run

    def run(self) -> None:
        for part in self.parts:
            with output(self._layout, part).open("wb") as file, self._lock:
                if self._stopped:
                    return
                self._process = subprocess.Popen(
                    words(self._layout, chosen(self._layout, part)),
                    cwd=self._layout.checkout,
                    env=environment(self._layout),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            self.results[part] = self._process.wait()

    def stop(self) -> None:
        """End what runs, start nothing more; of no effect once all have ended."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.terminate()
        self.join()


def there(layout: Layout, part: str) -> bool:
    path = layout.checkout / "tests" / part
    return path.is_file() or any(path.rglob("test_*.py"))


def chosen(layout: Layout, part: str) -> list[str]:
    """A part for pytest, without what is a part of its own."""
    tests = layout.checkout / "tests"
    apart = [other for stage in STAGES for lane in stage for other in lane if other.startswith(f"{part}/")]
    return [str(tests / part), *(f"--ignore={tests / other}" for other in apart)]


def output(layout: Layout, part: str) -> Path:
    """Where the output of tests lies that run beside others."""
    return layout.log / f"test-{part.replace('/', '-')}.log"


def state(layout: Layout) -> Path:
    """Where the record of built images lies: with this checkout's cloud, so that ``up`` finds them built.

    On a machine that belongs to another cloud it is a directory of our own.
    """
    try:
        cloud.claim(layout)
    except Stop:
        return layout.dot / "state"
    return STATE_ROOT


def pytest(layout: Layout, arguments: list[str]) -> int:
    """pytest's own exit code; it has the terminal."""
    try:
        return subprocess.run(
            words(layout, arguments), cwd=layout.checkout, env=environment(layout), check=False
        ).returncode
    except FileNotFoundError:
        raise Stop("The test environment is gone", advice="./saltern test") from None


def words(layout: Layout, arguments: list[str]) -> list[str]:
    return [str(layout.test_venv / "bin" / "python"), "-m", "pytest", *arguments]


def environment(layout: Layout) -> dict[str, str]:
    """For checks and tests: the library on the path, the environment's commands first.

    As root nothing is missing that a test may need, so none may skip itself.
    """
    made = shell.environment(PYTHONPATH=str(layout.checkout / "salt" / "_utils"), PYTHONDONTWRITEBYTECODE="1")
    if os.geteuid() == 0:
        made["SALTERN_TEST_STRICT"] = "1"
    made["PATH"] = f"{layout.test_venv / 'bin'}:{made['PATH']}"
    return made
