"""What a build that was killed half-way has left, and what of it the next one uses.

Finished steps of stages stay as the engine's cache. The image itself may be finished and just its caller be gone.
Containers of steps stay when the engine was killed: nobody else would ever remove them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import EngineRefused
from saltern.contract.names import LABEL_INPUTS
from saltern.host.engine import Engine

LABEL_STAGE = "saltern.stage"


def finished(engine: Engine, reference: str, labels: Mapping[str, str]) -> dict[str, Any] | None:
    """The image of this name when it has the wanted inputs already, as the engine describes it; else None.

    To be asked under the image's lock: another build of it may have ended meanwhile.
    """
    found = engine.inspect_image(reference)
    has = ((found or {}).get("Config") or {}).get("Labels") or {}
    wanted = labels.get(LABEL_INPUTS)
    return found if wanted and has.get(LABEL_INPUTS) == wanted else None


def sweep_steps(engine: Engine, reference: str) -> list[str]:
    """Remove containers of an image's steps, under its lock: no build of it runs then. Returns ids.

    They are known by the label of the stage, which no shipped image has.
    """
    removed = []
    for each in engine.call(
        "list containers of steps",
        lambda api: list(api.containers(all=True, filters={"label": [f"{LABEL_STAGE}={reference}"]})),
    ):
        try:
            engine.remove(each["Id"], force=True)
            removed.append(each["Id"])
        except EngineRefused:
            continue  # it goes away by itself just now
    return removed
