#!/usr/bin/env python3
"""A host needs only Salt, docker-py and the engine: import what minions load in environments of just those.

Makes a virtual environment whose packages are Salt's and docker-py's own requirements, linked from the environment
that runs this (no download), and imports every minion adapter and the library's contract and host packages there; then
the library alone in one with docker-py only. Exit code 1 with the import errors.

    tools/check_minion_imports.py [CHECKOUT]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOMS = ("_modules", "_states", "_engines")
MASTER_ONLY = {"openstack_plan", "openstack_step", "openstack_recovery"}

PROGRAM = """
import importlib, importlib.util, pkgutil, sys, traceback
sys.path.insert(0, sys.argv[1])
bad = 0
def attempt(name, do):
    global bad
    try:
        do()
    except BaseException as error:
        bad = 1
        line = traceback.extract_tb(error.__traceback__)[-1]
        print(f"{name}: {type(error).__name__}: {error} ({line.filename}:{line.lineno})")
def load(path):
    spec = importlib.util.spec_from_file_location("adapter_" + path.rsplit("/", 1)[1][:-3], path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
for package in ("saltern.contract", "saltern.host"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        attempt(module.name, lambda: importlib.import_module(module.name))
for path in sys.argv[2:]:
    attempt(path, lambda: load(path))
sys.exit(bad)
"""


def closure(roots: Iterable[str]) -> list[metadata.Distribution]:
    """The distributions that ``roots`` require on this platform, themselves included."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            # The lock leaves out what needs a compiler (requirements/salt.in); adapters must do without it too.
            if name in roots:
                raise
            continue
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def environment(directory: Path, roots: Iterable[str]) -> Path:
    """A virtual environment with just these distributions and their requirements; returns its Python."""
    venv.create(directory, with_pip=False, symlinks=True)
    site = directory / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for distribution in closure(roots):
        for file in distribution.files or ():
            if ".." in file.parts or "__pycache__" in file.parts or file.suffix == ".pth":
                continue
            link = site / file
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(distribution.locate_file(file))
    return directory / "bin/python"


def adapters(checkout: Path) -> list[Path]:
    """What a minion loads: everything that sync_all brings but the master's own."""
    paths = [path for room in ROOMS for path in sorted((checkout / "salt" / room).glob("*.py"))]
    return [path for path in paths if path.stem not in MASTER_ONLY]


def check(checkout: Path) -> list[str]:
    """Import errors, empty when all is well."""
    errors = []
    for roots, paths in ((("salt", "docker"), adapters(checkout)), (("docker",), [])):
        with tempfile.TemporaryDirectory() as directory:
            python = environment(Path(directory), roots)
            done = subprocess.run(
                [python, "-I", "-c", PROGRAM, checkout / "salt/_utils", *paths],
                capture_output=True,
                text=True,
                check=False,
            )
            errors += [f"with {' and '.join(roots)} only: {line}" for line in done.stdout.splitlines()]
            if done.returncode and not done.stdout:
                errors.append(done.stderr.strip())
    return errors


def main(arguments: list[str]) -> int:
    errors = check(Path(arguments[0] if arguments else Path(__file__).parents[1]).resolve())
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
