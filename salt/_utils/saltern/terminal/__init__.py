"""How answers look to a person: one module per kind of answer, ``render(data, *, width, colour) -> str`` in each.

:func:`render` picks the module by ``data["kind"]``. A renderer gets plain data and returns text; it asks no daemon,
reads no file and takes width and colour as arguments, so that a golden file can hold what it says. Colour only repeats
what a mark says already.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from typing import Any

WIDTH = 100

_KIND = re.compile(r"[a-z][a-z_]*")


def render(data: Mapping[str, Any], *, width: int = WIDTH, colour: bool = False) -> str:
    """Text for a person.

    data
        An answer of a runner verb; ``kind`` names the renderer, a module of this package.
    width
        Columns of the terminal.
    colour
        Whether colours may be used.

    An answer of a kind that has no renderer comes out as JSON: showing it badly beats hiding it.
    """
    kind = str(data.get("kind", ""))
    if _KIND.fullmatch(kind):
        try:
            module = importlib.import_module(f"{__name__}.{kind}")
        except ModuleNotFoundError as exc:
            if exc.name != f"{__name__}.{kind}":
                raise
        else:
            text: str = module.render(data, width=width, colour=colour)
            return text
    return json.dumps(dict(data), indent=2, ensure_ascii=False, default=str, sort_keys=True)
