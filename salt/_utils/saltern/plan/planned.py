"""What the last ``openstack.plan`` of a model showed, so that ``apply`` carries out that and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.plan.compiled import DIGEST
from saltern.plan.runs import write_json

KEPT = 20


def save(root: Path, answer: Mapping[str, Any], at: float) -> None:
    """Remember a plan: its model and the fingerprint of what hosts would do."""
    directory = root / "plans"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {"model": answer["model"], "fingerprint": answer["fingerprint"], "at": at}
    write_json(directory / f"{answer['model']}.json", document)
    old = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in old[KEPT:]:
        path.unlink(missing_ok=True)


def find(root: Path, digest: str) -> dict[str, Any]:
    """The plan of a model, by its digest or the beginning of it. Raises SalternError when there is none or several."""
    names = [path.stem for path in (root / "plans").glob("*.json") if DIGEST.fullmatch(path.stem)]
    matching = [name for name in names if digest and name.startswith(digest)]
    if len(matching) != 1:
        what = "several plans begin with" if matching else "nobody has seen a plan of model"
        raise SalternError(f"{what} {digest or '(none given)'}", hint="Look first: salt-run openstack.plan")
    return dict(json.loads((root / "plans" / f"{matching[0]}.json").read_text(encoding="utf-8")))
