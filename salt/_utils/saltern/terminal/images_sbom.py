"""An image's bill of material: where it lies, and how many packages are under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import count, names, table


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.images_sbom``."""
    packages = data["packages"]
    total = f"{packages['distribution']} of the distribution, {packages['python']} of Python"
    lines = [f"{data['reference']}: {count(sum(packages.values()), 'package')} ({total})", f"  {data['path']}", ""]
    lines += table([[str(number), licence] for licence, number in data["licenses"]], indent=2, width=width)
    if data["unknown"]:
        lines += ["", f"No licence is named by {names(data['unknown'], 8)}"]
    return "\n".join(lines)
