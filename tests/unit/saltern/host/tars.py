"""Small file systems as the engine would export them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any


def tar(entries: Mapping[str, Any]) -> bytes:
    """A tar of path → content, or ``{"link": path}``, ``{"hard": path}``, ``{"dir": True}``, ``{"mode", "text"}``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, what in entries.items():
            info = tarfile.TarInfo(path.lstrip("/"))
            info.mtime = 1
            data = b""
            if isinstance(what, dict):
                info.mode, info.uid, info.gid = what.get("mode", 0o644), what.get("uid", 0), what.get("uid", 0)
                if "link" in what:
                    info.type, info.linkname = tarfile.SYMTYPE, what["link"]
                elif "hard" in what:
                    info.type, info.linkname = tarfile.LNKTYPE, what["hard"].lstrip("/")
                elif what.get("dir"):
                    info.type = tarfile.DIRTYPE
                elif what.get("fifo"):
                    info.type = tarfile.FIFOTYPE
                data = what.get("text", "").encode()
            else:
                data = what if isinstance(what, bytes) else what.encode()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
