"""What images need, as a tree: each below the one that it continues, further ones that it takes files of beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saltern.terminal.marks import count, cut


def render(data: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The answer of ``openstack.build list_dependencies=True`` (`saltern.images.select.dependencies`)."""
    images: Sequence[Mapping[str, Any]] = data["images"]
    lines: list[str] = []
    for root in [entry for entry in images if entry["base"] is None]:
        _branch(root, images, "", "", lines)
    asked = [entry for entry in images if entry["asked"]]
    end = f"{count(len(images), 'image')}" + (f", {len(asked)} asked for" if len(asked) < len(images) else "")
    legend = [f"{end}. Nothing was built.", "* serves builds only, stays on the builder · + takes files of these too"]
    return "\n".join([*(cut(line, width) for line in lines), "", *legend])


def _branch(
    entry: Mapping[str, Any], images: Sequence[Mapping[str, Any]], lead: str, below: str, lines: list[str]
) -> None:
    others = [name for name in entry["needs"] if name != entry["base"]]
    more = f"  + {', '.join(others)}" if others else ""
    lines.append(f"{lead}{entry['image']}{'' if entry['shipped'] else ' *'}{more}")
    children = [each for each in images if each["base"] == entry["image"]]
    for index, child in enumerate(children):
        last = index == len(children) - 1
        _branch(child, images, f"{below}{'└' if last else '├'} ", f"{below}{'  ' if last else '│ '}", lines)
