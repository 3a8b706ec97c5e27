"""The toolbox host's share of the first cloud: the key that stays here, the request, and whether the instance answers.

The private key is made in the toolbox, comes out of it on the program's standard output, and lies on this host alone
(0600): it is in no job's return, event or pillar.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import ToolboxFailed
from saltern.host import reach, toolbox
from saltern.host.context import Host

FOLDER, KEY = "first_cloud", "id_ed25519"
MORE_SECONDS = 300.0  # besides the wait for the instance: images, agents, what is removed
SSH = 22
GUEST = "SSH-2.0-saltern-guest"

Slice = Mapping[str, Any]


def overview(host: Host, part: Slice) -> dict[str, Any]:
    """Agents, compute services, hypervisors and instances, as the services say. Raises ToolboxFailed."""
    return toolbox.ask(host.engine, {"action": "overview", "identity": _identity(part)})


def first_cloud(host: Host, part: Slice, *, remove: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """Make the first cloud what the model says, or remove it.

    host
        This host.
    part
        Its slice.
    remove
        Remove what was made, and nothing else.
    dry_run
        Say what would be changed.

    Returns ``{"changes", "instance", "notes", "errors"}``. Raises ToolboxFailed.
    """
    want = part.get("first_cloud")
    if not want:
        raise ToolboxFailed(
            "the model has no services for an instance",
            where=str(part.get("host", "")),
            hint="It takes glance, placement, neutron and nova (openstack:services:<name>:enabled)",
        )
    key = host.store.root / FOLDER / KEY
    public = _public(host, key, make=not (remove or dry_run))
    request = {
        "action": "first_cloud",
        "identity": _identity(part),
        "want": {**want, "public_key": public},
        "remove": remove,
        "dry_run": dry_run,
    }
    told = toolbox.ask(host.engine, request, timeout=want["wait"] + MORE_SECONDS)
    answer = {"changes": [], "instance": None, "notes": [], **told}
    if remove and not dry_run and not answer["errors"]:
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
    return answer


def answers(address: str, seconds: float, name: str = "") -> dict[str, Any]:
    """Whether an instance answers within a time.

    name
        Its name: the test image greets with it as soon as the metadata service has told it, and that is waited for.

    Returns ``{"ping", "banner", "ping_after", "banner_after"}``, None each where it does not answer.
    """
    return dict(vars(reach.wait(address, SSH, seconds, enough=lambda banner: knows_its_name(banner, name))))


def knows_its_name(banner: str, name: str) -> bool:
    """Whether a greeting is another's than the test image's, or has the instance's name in it."""
    return not banner.startswith(GUEST) or name in banner


def _identity(part: Slice) -> dict[str, Any]:
    found = (part.get("batch") or {}).get("identity")
    if not found:
        raise ToolboxFailed("this is not the toolbox host", where=str(part.get("host", "")))
    return dict(found)


def _public(host: Host, key: Path, *, make: bool) -> str:
    """The public key; empty where there is none and none is to be made."""
    public = key.with_suffix(".pub")
    if key.exists() and public.exists():
        return public.read_text().strip()
    if not make:
        return ""
    pair = toolbox.ask(host.engine, {"action": "key_pair", "comment": f"saltern@{host.name}"})
    if pair["errors"]:
        raise ToolboxFailed("; ".join(pair["errors"]), where="the key pair")
    key.parent.mkdir(mode=0o700, exist_ok=True)
    _write(key, pair["key_pair"]["private"])
    _write(public, pair["key_pair"]["public"] + "\n")
    return str(pair["key_pair"]["public"])


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
