"""A tiny image for tests with the real engine: a static busybox and nothing else."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".saltern" / "cache"
APPLETS = ("sh", "sleep", "cat", "httpd", "echo", "kill", "id", "ls", "touch", "nc", "true", "false", "env", "test")


def busybox() -> Path:
    """A statically linked busybox: downloaded once from the distribution, not installed."""
    path = CACHE / "busybox"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["apt-get", "download", "-q", "busybox-static"], cwd=work, check=True, capture_output=True)
            package = next(Path(work).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(package), f"{work}/x"], check=True, capture_output=True)
            binary = next(p for p in Path(work).rglob("busybox") if p.is_file() and p.parent.name == "bin")
            shutil.copy(binary, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
    return path


def archive(extra: dict[str, str] | None = None) -> bytes:
    """A root file system as tar: busybox, its applets, and scripts (path → text, mode 0755)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(busybox(), "bin/busybox", filter=_root_executable)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for directory in ("tmp", "var/lib/kolla/config_files", "etc", "usr/local/bin"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, text in (extra or {}).items():
            data = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def load(api: object, tag: str, extra: dict[str, str] | None = None, changes: list[str] | None = None) -> str:
    """Import the image into the engine under ``tag`` (``name:tag``); returns its id."""
    repository, _, version = tag.partition(":")
    api.import_image_from_data(archive(extra), repository=repository, tag=version, changes=changes)  # type: ignore[attr-defined]
    return str(api.inspect_image(tag)["Id"])  # type: ignore[attr-defined]


def _root_executable(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.mode = 0o755
    return info
