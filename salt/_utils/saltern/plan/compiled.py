"""Compiled models on the master's disk, as far as runs need them: a plan by its digest, and which one is current."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError

DIGEST = re.compile(r"[0-9a-f]{16}")


def plan(root: Path, digest: str) -> dict[str, Any]:
    """``compiled/<digest>/plan.json``. Raises SalternError when there is no such model."""
    if not DIGEST.fullmatch(str(digest)):
        raise SalternError(f"no digest of a model: {digest!r}")
    path = root / "compiled" / digest / "plan.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SalternError(f"model {digest[:6]} is not compiled", hint="See salt-run openstack.validate") from None
    except ValueError as exc:
        raise SalternError(f"not readable: {exc}", where=str(path)) from None


def current(root: Path) -> str:
    """Digest of the model that the last run made current, empty when there is none."""
    try:
        digest = os.path.basename(os.readlink(root / "compiled" / "current"))
    except OSError:
        return ""
    return digest if DIGEST.fullmatch(digest) else ""


def switch(root: Path, digest: str) -> None:
    """Make a compiled model the current one, atomically. Raises SalternError when there is no such model."""
    plan(root, digest)
    link = root / "compiled" / "current"
    temporary = link.with_name(f".current.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(digest)
    temporary.replace(link)


def told(root: Path) -> str:
    """Digest of the model that minions were last told to fetch, empty when there was none."""
    try:
        return (root / "told").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def tell(root: Path, digest: str) -> None:
    """Write down that minions were told of a model."""
    (root / "told").write_text(f"{digest}\n", encoding="utf-8")
