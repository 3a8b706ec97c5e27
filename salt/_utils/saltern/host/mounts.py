"""Directories of the host for a container's bind mounts (`create:` of a mount), made before each create and start.

The engine refuses a bind mount whose source is missing, and one with shared propagation whose source is not a shared
mount. Such places lie below /run, which is empty after every boot: so whoever starts a container sees to them first, a
run as well as healing.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from saltern.contract.errors import SalternError
from saltern.host.lock import ContainerLock
from saltern.host.spec import Spec

CREATE = ("directory", "shared")
MOUNTINFO = Path("/proc/self/mountinfo")
_MODE = 0o755
_LOCK, _LOCK_TIMEOUT = "mounts--shared", 10.0  # no container's name has "--"
_BIND, _SHARED = 0x1000, 1 << 20  # MS_BIND, MS_SHARED of mount(2)


def prepare(locks: Path, spec: Spec) -> None:
    """Make the directories of a container's mounts that are missing, and give each its owner. Modes of what is there
    already are left as they are.

    locks
        ``Store.locks``: two at once would mount one directory twice, and hide what was mounted below it in between.
    spec
        The container's.

    Raises SalternError naming container and path.
    """
    for mount in spec.get("mounts") or []:
        if mount.get("create") not in CREATE:
            continue
        path = Path(mount["source"])
        try:
            _make(path)
            if mount.get("owner"):  # all containers that mount it say the same, whichever comes first
                os.chown(path, mount["owner"], mount["owner"])
            if mount["create"] == "shared" and not shared(path):
                with ContainerLock(locks, _LOCK, f"mount {path}", timeout=_LOCK_TIMEOUT):
                    _share(path)
        except OSError as error:
            raise SalternError(
                f"cannot make {path} {_AS[mount['create']]}: {error.strerror or error}",
                where=str(spec["name"]),
                hint=f"It mounts {path} of the host; mend that, or remove what is in its place",
            ) from error


_AS = {"directory": "a directory", "shared": "a shared mount"}


def shared(path: Path, mountinfo: Path = MOUNTINFO) -> bool | None:
    """Whether a directory is a mount of its own that passes on what is mounted below it; None = no mount at all."""
    wanted, found = os.path.realpath(path), None
    for line in mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        # id, parent, device, root, mount point, options, optional fields …, "-", type, …
        fields = line.split(" ")
        if _plain(fields[4]) == wanted:  # the last one lies on top
            found = any(each.startswith("shared:") for each in fields[6 : fields.index("-")])
    return found


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _make(path: Path) -> None:
    for each in (*reversed(path.parents), path):
        if not each.is_dir():
            each.mkdir(exist_ok=True)
            each.chmod(_MODE)  # whatever the umask: containers' users pass through it


def _share(path: Path) -> None:
    state = shared(path)
    if state is None:
        _mount(path, path, _BIND)
    if not state:
        _mount(None, path, _SHARED)


def _mount(source: Path | None, target: Path, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    origin = os.fsencode(source) if source is not None else None
    if libc.mount(origin, os.fsencode(target), None, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))
