"""Build contexts as tar files: the same inputs give the same bytes, so a context is named by its digest."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from saltern.images.tree import Image


def write_context(image: Image, folder: Path) -> Path:
    """Write an image's context below ``folder`` unless it is there, and forget its former ones.

    Returns the tar file, ``<name>-<inputs>.tar``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.name}-{image.inputs}.tar"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with tarfile.open(temporary, "w") as tar:
        _add(tar, "Dockerfile", image.dockerfile.encode(), 0o644)
        for name, file in sorted(image.files.items()):
            _add(tar, name, file.source.read_bytes(), file.mode)
    temporary.rename(path)
    for former in folder.glob(f"{image.name}-????????????????.tar"):
        if former != path:
            former.unlink(missing_ok=True)
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, 0
    tar.addfile(entry, io.BytesIO(content))
