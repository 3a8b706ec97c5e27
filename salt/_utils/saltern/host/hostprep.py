"""What containers need of their host (`host:` of a container): sysctls, set now and kept for the next boot.

The file in sysctl.d is wholly ours and has the settings of all of the host's containers; a kernel's values are read
below /proc/sys. Neither needs the engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.host import store
from saltern.host.spec import Spec

Changes = dict[str, dict[str, Any]]

HEADER = """\
# Written by Saltern (openstack_host.prepared): what containers of this host need of its kernel, as their service.yaml
# says. Changes are overwritten; a setting of your own goes into another file.
"""


@dataclass(frozen=True)
class Places:
    """Where the kernel's settings are, and where they are written down for the next boot."""

    proc: Path = Path("/proc/sys")
    file: Path = Path("/etc/sysctl.d/60-saltern.conf")


PLACES = Places()


def compare(specs: Iterable[Spec], containers: Collection[str] | None = None, places: Places | None = None) -> Changes:
    """What :func:`prepare` would change.

    specs
        All containers of the host's slice.
    containers
        Only what these need; None = all.

    Returns ``{"sysctl <name>": {"kind": "sysctl", "current", "desired", "containers"}}``. Raises SalternError for a
    setting that this kernel does not have.
    """
    places = places or PLACES
    written = _written(places.file)
    changes: Changes = {}
    for key, (value, users) in _wanted(specs).items():
        if containers is not None and set(users).isdisjoint(containers):
            continue
        current = _read(places, key, users)
        if current == value and written.get(key) != value:
            current = f"{value} until the next boot"
        if current != value:
            change = {"kind": "sysctl", "current": current, "desired": value, "containers": users}
            changes[f"sysctl {key}"] = change
    return changes


def prepare(specs: Iterable[Spec], containers: Collection[str] | None = None, places: Places | None = None) -> Changes:
    """Set what these containers need; arguments and answer as :func:`compare`.

    Settings that no container of the host needs any more leave the file; the kernel keeps them until the next boot, as
    nobody knows what they were before. Raises SalternError naming the setting when the kernel or the disk refuses it.
    """
    places, specs = places or PLACES, list(specs)
    changes = compare(specs, containers, places)
    wanted = _wanted(specs)
    for key, (value, users) in wanted.items():
        if f"sysctl {key}" in changes and _read(places, key, users) != value:
            _set(places, key, value, users)
    if _save(places.file, wanted) and not changes:
        changes[str(places.file)] = {"kind": "file", "current": "settings of former containers", "desired": "without"}
    return changes


def _wanted(specs: Iterable[Spec]) -> dict[str, tuple[str, list[str]]]:
    """Value and containers of each setting. The model has seen to it that all of a host want the same."""
    found: dict[str, tuple[str, list[str]]] = {}
    for spec in specs:
        for key, value in ((spec.get("host") or {}).get("sysctls") or {}).items():
            found.setdefault(key, (str(value), []))[1].append(spec["name"])
    return dict(sorted(found.items()))


def _path(places: Places, key: str) -> Path:
    return places.proc.joinpath(*key.split("."))


def _read(places: Places, key: str, users: Collection[str]) -> str:
    try:
        return " ".join(_path(places, key).read_text(encoding="ascii").split())
    except FileNotFoundError as error:
        raise _refused(key, users, "this kernel does not have it", "Load the module that has it (modprobe)") from error
    except OSError as error:
        raise _refused(key, users, f"cannot be read: {error.strerror}") from error


def _set(places: Places, key: str, value: str, users: Collection[str]) -> None:
    try:
        _path(places, key).write_text(value, encoding="ascii")
    except OSError as error:
        raise _refused(key, users, f"the kernel refuses {value}: {error.strerror}") from error
    if (found := _read(places, key, users)) != value:
        raise _refused(key, users, f"the kernel made {found} of {value}")


def _refused(key: str, users: Collection[str], what: str, hint: str = "") -> SalternError:
    return SalternError(f"{what} (needed by {', '.join(users)})", where=f"sysctl {key}", hint=hint)


def _written(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _save(file: Path, wanted: Mapping[str, tuple[str, list[str]]]) -> bool:
    """Bring the file up to date; whether it was not."""
    text = HEADER + "".join(f"# {', '.join(users)}\n{key} = {value}\n" for key, (value, users) in wanted.items())
    try:
        if not wanted:
            there = file.exists()
            file.unlink(missing_ok=True)
            return there
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return False
        if not file.parent.is_dir():
            file.parent.mkdir(mode=0o755, parents=True)
    except OSError as error:
        raise SalternError(f"cannot be written: {error.strerror}", where=str(file)) from error
    store.write_bytes(file, text.encode(), mode=0o644)
    return True
