"""``./saltern tempest``: a stated selection of Tempest, the OpenStack clients' own tests, against this cloud.

Tempest is installed from a lock into an environment of its own. Its configuration holds the administrator's password:
it is written for the run (0600) and removed after it.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from allinone import shell, venvs
from allinone.console import Console, Stop, duration
from allinone.layout import Layout

WORKERS = 2
RESULT = re.compile(
    r"^(?:\{\d+\} )?(setUpClass \()?(?P<name>tempest\.[\w.]+)\)?(?P<ids>\[[^]]*\])?.*?\.\.\. (?P<result>\w+)"
)
WORDS = {"ok": "passed", "SKIPPED": "skipped", "FAILED": "failed"}


def run(layout: Layout, console: Console, arguments: list[str]) -> int:
    """Run the selection, or the tests that match ``arguments`` (regular expressions); the exit code."""
    if not layout.clouds.exists():
        raise Stop("There is no cloud to test", advice="./saltern up", code=5)
    lock = layout.requirements / "tempest.txt"
    with console.phase("Tempest") as phase:
        venvs.ensure(layout.tempest_venv, [lock], phase, layout.log / "pip.log")
        phase.detail = f"tempest {venvs.locked(lock, 'tempest')}"
    folder = layout.dot / "tempest"
    folder.mkdir(mode=0o700, exist_ok=True)
    config = folder / "tempest.conf"
    try:
        with console.phase("Configuration") as phase:
            phase.detail = configure(layout, config)
        return follow(layout, console, folder, config, arguments)
    finally:
        config.unlink(missing_ok=True)


def configure(layout: Layout, config: Path) -> str:
    """Write Tempest's configuration for what this cloud has; a line that says what that is."""
    helper = layout.checkout / "tools" / "allinone" / "helpers" / "tempest_conf.py"
    done = subprocess.run(
        [str(layout.client_venv / "bin" / "python"), str(helper), str(layout.clouds), str(config)],
        capture_output=True,
        text=True,
        check=False,
        env=shell.environment(),
    )
    if done.returncode:
        raise Stop("The cloud could not be asked what it has", tail=done.stderr, advice="salt-run openstack.status")
    return done.stdout.strip()


def follow(layout: Layout, console: Console, folder: Path, config: Path, arguments: list[str]) -> int:
    """Run Tempest, show what fails as it fails, then the reasons of what was skipped, and the counts."""
    chosen = ["--regex", "|".join(arguments)] if arguments else stated(layout)
    program = str(layout.tempest_venv / "bin" / "tempest")
    words = [program, "run", "--config-file", str(config), "--concurrency", str(WORKERS), *chosen]
    begun = time.monotonic()
    results: dict[str, str] = {}
    log = layout.log / "tempest.log"
    with log.open("w", encoding="utf-8") as file:
        path = f"{layout.tempest_venv / 'bin'}:{shell.environment()['PATH']}"
        process = shell.start(words, extra={"PATH": path}, cwd=folder)
        assert process.stdout is not None
        for raw in process.stdout:
            file.write(raw)
            found = RESULT.match(shell.COLOUR.sub("", raw.strip()))
            if found and found["result"] in WORDS:
                name = found["name"]
                results[name] = WORDS[found["result"]]
                if results[name] == "failed":
                    console.say(f"  ✗ {name}")
        process.wait()
    skipped = reasons(log.read_text(encoding="utf-8", errors="replace"))
    for reason, count in skipped.most_common():
        console.say(f"  – {count} skipped: {reason}")
    counts = Counter(results.values())
    text = ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped"))
    good = process.returncode == 0 and not counts["failed"]
    console.say(f"{'●' if good else '✗'} {text} in {duration(time.monotonic() - begun)}; all of it: {log}")
    return 0 if good else 1


def stated(layout: Layout) -> list[str]:
    """The stated selection, as arguments of Tempest."""
    folder = layout.checkout / "tools" / "tempest"
    return ["--include-list", str(folder / "include.txt"), "--exclude-list", str(folder / "exclude.txt")]


def reasons(text: str) -> Counter[str]:
    """Why tests were skipped, and how many for each reason."""
    return Counter(match.strip().rstrip(".") for match in re.findall(r"\.\.\. SKIPPED: (.*)", text))
