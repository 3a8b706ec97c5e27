"""Where images come from: the folder that is shipped, and an operator's own, which override by name and add.

An operator's template may continue one that is shipped, ``{% extends "saltern/keystone/Dockerfile.j2" %}``; what that
one copies lies in the context then, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from saltern.contract.errors import SalternError
from saltern.contract.names import IMAGE_NAME
from saltern.images.lint import instructions

TEMPLATE = "Dockerfile.j2"
SMOKE = "smoke.sh"
SHARED = "_build"
LOCKS = "locks"
SHIPPED = "saltern"  # the prefix under which a template names those that are shipped
KEY = "openstack:images:folders"


def homes(folder: Path, own: Sequence[str]) -> dict[str, Path]:
    """Image → the folder of images that it comes from.

    folder
        The one that is shipped.
    own
        The operator's, in order: of two with the same image the later one counts.

    Raises SalternError for a folder that is none, has no image, or has a sub-folder that is none.
    """
    found = {path.parent.name: folder for path in sorted(folder.glob(f"*/{TEMPLATE}"))}
    for number, each in enumerate(own):
        home, where = Path(each), f"{KEY}[{number}]"
        if not home.is_dir():
            raise SalternError(f"there is no folder {each} on the master", where=where)
        entries = sorted(p for p in home.iterdir() if p.is_dir() and p.name[0] not in "._" and p.name != LOCKS)
        if not entries:
            raise SalternError(f"{each} has no image", where=where, hint=f"An image is a folder with a {TEMPLATE}")
        for entry in entries:
            if not (entry / TEMPLATE).is_file():
                hint = "Add it; a folder that is no image begins with _"
                raise SalternError(f"{entry} has no {TEMPLATE}", where=where, hint=hint)
            found[entry.name] = home
    return found


def loader(folder: Path, home: Path, name: str, extended: list[str]) -> jinja2.BaseLoader:
    """Finds what a template of ``home`` names; notes the shipped images that it continues in ``extended``."""
    near = jinja2.FileSystemLoader(list(dict.fromkeys([home / name, home / SHARED, folder / SHARED])))
    return jinja2.ChoiceLoader([near, jinja2.PrefixLoader({SHIPPED: _Shipped(folder, extended)})])


class _Shipped(jinja2.FileSystemLoader):
    def __init__(self, folder: Path, extended: list[str]) -> None:
        super().__init__(folder)
        self._extended = extended

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        found = super().get_source(environment, template)
        image = template.partition("/")[0]
        if IMAGE_NAME.fullmatch(image) and image not in self._extended:
            self._extended.append(image)
        return found


def first(places: Iterable[Path], path: str) -> Path:
    """The first of several places of a file that exists, else the last one."""
    candidates = [place / path for place in places]
    return next((each for each in candidates if each.is_file()), candidates[-1])


def smoke(places: Iterable[Path]) -> tuple[str, ...]:
    """Commands of an image's smoke test: the paragraphs of the first ``smoke.sh`` in the folders of an image.

    It is no input: a changed one rebuilds nothing.
    """
    file = first(places, SMOKE)
    text = file.read_text() if file.is_file() else ""
    return tuple(each.strip("\n") for each in re.split(r"\n\s*\n", text) if each.strip())


def position(folder: Path, home: Path, path: str, line: Any) -> str:
    """How a place in a template is said: a shipped one relative to its folder, an operator's in full."""
    inside = home == folder or not path.startswith(f"{home}/")
    return f"{Path(path).relative_to(folder) if inside else path}:{line}"


def origin(home: Path, folder: Path, name: str, text: str, line: int) -> str:
    """Where a line of a rendered Dockerfile was written: file and line where the template has the very same line."""
    file = home / name / TEMPLATE
    shown = f"{name}/{TEMPLATE}" if home == folder else str(file)
    wanted = dict(instructions(text)).get(line)
    for number, instruction in instructions(file.read_text()):
        if instruction == wanted:
            return f"{shown}:{number}"
    return f"{shown} (rendered line {line})"
