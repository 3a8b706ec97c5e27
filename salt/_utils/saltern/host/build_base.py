"""The distribution itself as an image, made from its own packages: no registry has to be trusted for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saltern.contract.errors import BuildFailed
from saltern.contract.masking import mask
from saltern.host.build import Built, Report, StepFailed, lock, silent
from saltern.host.build_settings import Settings
from saltern.host.engine import Engine

# Nobody reads manuals in a container; copyright files stay, licences ask for that.
EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
)
KEPT = ("/usr/share/doc/*/copyright",)
# Mirrors, apt options of this machine, logs and caches: not the image's.
FORGET = (
    "etc/apt/sources.list",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "var/cache/ldconfig/aux-cache",
    "etc/hostname",
    "etc/resolv.conf",
)
EMPTY = ("var/log", "var/cache/debconf", "var/cache/apt")
MODES = "u-s,g-s"  # a container's user has no use for passwd, mount and their likes with the rights of another
# as images/_build/packages does in the other images: what a refresh compares
LIST = (
    'mkdir -p "$1"/usr/share/saltern/packages && '
    """chroot "$1" dpkg-query -W -f '${Package} ${Version}\\n' > "$1"/usr/share/saltern/packages/distro"""
)
EPOCH = "1735689600"  # one time for all files that the bootstrap makes: the same packages give the same bytes


@dataclass(frozen=True)
class BaseRequest:
    """The distribution to import: ``suite`` with ``packages`` beyond the minimal set, under ``reference``."""

    image: str
    reference: str
    labels: dict[str, str]
    suite: str
    packages: tuple[str, ...] = ("ca-certificates",)


def recipe(suite: str, packages: tuple[str, ...]) -> dict[str, Any]:
    """Everything that decides what the imported image holds, but for the packages' versions: its inputs."""
    return {
        "suite": suite,
        "packages": list(packages),
        "excluded": EXCLUDED,
        "kept": KEPT,
        "forget": FORGET,
        "empty": EMPTY,
        "modes": MODES,
        "list": LIST,
    }


def command(request: BaseRequest, settings: Settings, target: Path) -> list[str]:
    """The mmdebstrap call."""
    hooks = [f'rm -rf "$1"/{path}' for path in FORGET] + [f'find "$1"/{path} -type f -delete' for path in EMPTY]
    hooks += [f'find "$1" -xdev -type f -perm /6000 -exec chmod {MODES} {{}} +', LIST]
    return [
        "mmdebstrap", "--variant=minbase", "--format=tar", f"--include={','.join(request.packages)}",
        *[f"--dpkgopt=path-exclude={path}" for path in EXCLUDED], *[f"--dpkgopt=path-include={path}" for path in KEPT],
        *[f'--aptopt={name} "{value}"' for name, value in sorted(settings.apt_options.items())],
        *[f"--customize-hook={hook}" for hook in hooks],
        request.suite, str(target), *settings.sources,
    ]  # fmt: skip


def import_base(
    engine: Engine,
    request: BaseRequest,
    settings: Settings,
    *,
    locks: Path,
    report: Report = silent,
    clock: Callable[[], float] = time.monotonic,
) -> Built:
    """Bootstrap the distribution with mmdebstrap and import it into the engine.

    engine
        The Docker Engine that takes it.
    request
        What to bootstrap.
    settings
        How this machine reaches its mirrors.
    locks
        Directory of the images' locks.
    report
        Called with ``start``, ``step`` and ``end``.

    Raises BuildFailed when mmdebstrap is missing or fails.
    """
    if shutil.which("mmdebstrap") is None:
        raise BuildFailed("mmdebstrap is not installed", where=request.image, hint="Install the package mmdebstrap")
    began = clock()
    report("start", {"image": request.image})
    try:
        with lock(locks, request.reference), tempfile.TemporaryDirectory(prefix="saltern-base-") as folder:
            target = Path(folder) / "base.tar"
            _bootstrap(command(request, settings, target), request, settings, report)
            report("step", {"image": request.image, "step": 2, "of": 2, "text": "import"})
            size = _import(engine, request, target)
    except BuildFailed as failure:
        report("end", {"image": request.image, "result": "failed", "seconds": clock() - began, "text": failure.message})
        raise
    inspected = engine.inspect_image(request.reference) or {}
    built = Built(request.image, request.reference, str(inspected.get("Id", "")), clock() - began, size)
    report("end", {"image": request.image, "result": "built", "seconds": built.seconds, "size": size})
    return built


def _bootstrap(argv: list[str], request: BaseRequest, settings: Settings, report: Report) -> None:
    tail: deque[str] = deque(maxlen=20)
    environ = os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
    ) as run:
        try:
            for line in run.stderr or ():
                tail.append(mask(line.rstrip(), settings.secrets))
                if line.startswith("I: "):
                    report("step", {"image": request.image, "step": 1, "of": 2, "text": tail[-1][3:]})
        finally:
            if run.poll() is None and run.stderr is not None:
                run.stderr.close()
    if run.returncode:
        telling = [line for line in tail if line.startswith("E: ")]
        raise StepFailed(
            (telling or list(tail) or ["no output"])[0],
            where=f"{request.image}, mmdebstrap",
            step="mmdebstrap",
            log=list(tail),
        )


def _import(engine: Engine, request: BaseRequest, path: Path) -> int:
    repository, _, tag = request.reference.rpartition(":")
    changes = [f"LABEL {name}={_quoted(value)}" for name, value in sorted(request.labels.items())]
    engine.call(
        "import", lambda api: api.import_image_from_file(str(path), repository=repository, tag=tag, changes=changes)
    )
    return int((engine.inspect_image(request.reference) or {}).get("Size", 0))


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
