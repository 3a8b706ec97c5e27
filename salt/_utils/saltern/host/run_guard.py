"""Whether a state may act now: the model must be there and valid, and the run that asked must still be open.

Queued jobs outlive the orchestration that sent them. They compile their pillar when they start, so they see whether
their run is still the open one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import InvalidModel, Problem, RunClosed, SalternError

VALIDATE = "See salt-run openstack.validate"


def slice_of(pillar: Mapping[str, Any]) -> dict[str, Any]:
    """This host's slice of the model.

    pillar
        ``__pillar__`` of the minion.

    Raises SalternError when there is none, InvalidModel when it has errors.
    """
    found = pillar.get("saltern")
    if not found:
        raise SalternError("no model of the cloud for this host", where="pillar saltern", hint=VALIDATE)
    if found.get("errors"):
        raise InvalidModel([_problem(error) for error in found["errors"]])
    return dict(found)


def check_run(pillar: Mapping[str, Any], *, test: bool = False) -> str:
    """Id of the run this job belongs to, empty for none.

    pillar
        ``__pillar__`` of the minion.
    test
        Nothing will be changed, so a comparison beside an open run is fine.

    Raises RunClosed when the job was asked for by another run than the open one, or by none while one is open.
    """
    asked = str((pillar.get("saltern_step") or {}).get("run") or "")
    opened = str(pillar.get("saltern_run") or "")
    if asked == opened or (test and not asked):
        return asked
    if asked:
        raise RunClosed(
            f"run {asked} is closed" + (f", run {opened} is open" if opened else ""),
            hint="Nothing was done; run it again",
        )
    raise RunClosed(f"run {opened} is open", hint="Wait for it: salt-run openstack.watch")


def admitted(pillar: Mapping[str, Any], *, test: bool = False) -> dict[str, Any]:
    """The slice, when the model is valid and the run is open. Raises as the two functions above."""
    check_run(pillar, test=test)
    return slice_of(pillar)


def _problem(error: Any) -> Problem:
    fields: dict[str, Any] = dict(error) if isinstance(error, Mapping) else {"found": str(error)}
    return Problem(
        file=str(fields.get("file", "pillar")),
        key=str(fields.get("key", "")),
        expected=str(fields.get("expected", "a valid model")),
        found=str(fields.get("found", "")),
        line=fields.get("line"),
        hint=str(fields.get("hint", "")),
    )
