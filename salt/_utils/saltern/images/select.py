"""Which images are meant: by name, by regular expression, by profile.

A word that is an image's name means that image. Any other is a regular expression, searched for in the names of all
images as kolla-build does it: ``nova`` means all whose name holds it, ``^nova-`` those that begin so. What the chosen
ones need comes with them (`saltern.images.tree.Tree.select`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from saltern.contract.errors import SalternError
from saltern.images.tree import Tree, unknown

PROFILES = "profiles.yaml"
ALL = "all"
ENABLED = "enabled"  # what the model needs; the verb knows it
WHERE = "openstack:images:profiles"


def words(text: Any) -> list[str]:
    """Words of a verb's argument: text separated by commas or spaces, or a list.

    >>> words("keystone, glance-api"), words(None), words(["^nova-"])
    (['keystone', 'glance-api'], [], ['^nova-'])
    """
    parts = (
        text.replace(",", " ").split() if isinstance(text, str) else [text] if isinstance(text, float | int) else text
    )
    return [str(part) for part in parts or ()]


def matching(pattern: str, known: Iterable[str]) -> list[str]:
    """Names that a name or regular expression means, in the order of ``known``; none when nothing matches.

    Raises SalternError for an expression that is none.

    >>> matching("nova-api", ["nova-api", "nova-api-metadata"]), matching("nova", ["nova-api", "nova-compute", "cron"])
    (['nova-api'], ['nova-api', 'nova-compute'])
    """
    known = list(known)
    if pattern in known:
        return [pattern]
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise SalternError(
            f"'{pattern}' is neither an image nor a regular expression: {error}", where="names"
        ) from error
    return [name for name in known if expression.search(name)]


def chosen(tree: Tree, folder: Path, names: Sequence[str] = (), profiles: Sequence[str] = ()) -> list[str]:
    """Names of the images that are asked for, without what they need; empty = all.

    tree
        All images.
    folder
        ``images/`` of the checkout, for its profiles.
    names
        Names or regular expressions.
    profiles
        Names of profiles, added to ``names``.

    Raises SalternError for a word that matches nothing (nearest names shown), an expression that is none, an unknown
    profile, and a profile of the operator's that names what does not exist.
    """
    known = list(tree.images)
    wanted: set[str] = set()
    for word in names:
        found = matching(word, known)
        if not found:
            raise unknown(word, known, where="names")
        wanted.update(found)
    for profile in profiles:
        wanted.update(_of_profile(profile, known, tree, folder))
    return [name for name in known if name in wanted]


def _of_profile(profile: str, known: list[str], tree: Tree, folder: Path) -> list[str]:
    if profile == ALL:
        return known
    own = tree.options.profiles
    table = built_in(folder)
    if profile not in own and profile not in table:
        names = [*table, ALL, *own]
        near = difflib.get_close_matches(profile, names, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Profiles are {', '.join(names)}"
        raise SalternError(f"there is no profile '{profile}'", where="profile", hint=hint)
    found: list[str] = []
    for word in own.get(profile, table.get(profile, [])):
        matches = matching(word, known)
        # the table of the checkout is for images still to come too; an operator's word has been written for one
        if not matches and profile in own:
            raise unknown(word, known, where=f"{WHERE}:{profile}")
        found += matches
    if not found:
        raise SalternError(f"the profile '{profile}' has no image here", where="profile")
    return found


def built_in(folder: Path) -> Mapping[str, list[str]]:
    """The profiles of a folder of images (``profiles.yaml``): name → names or regular expressions; none without it.

    Raises SalternError when the file is no table of lists.
    """
    path = folder / PROFILES
    if not path.is_file():
        return {}
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise SalternError(f"it is no YAML: {error}", where=str(path)) from error
    if not isinstance(data, dict) or not all(isinstance(each, list) for each in data.values()):
        raise SalternError("a profile is a list of names or regular expressions", where=str(path))
    return {str(name): [str(word) for word in each] for name, each in data.items()}


def dependencies(tree: Tree, selected: Sequence[str], asked: Sequence[str]) -> dict[str, Any]:
    """What each image of a selection needs: the data of the verb's ``list_dependencies``.

    tree
        All images.
    selected
        The images with all they need, parents first.
    asked
        Those of them that were asked for; empty = all.

    Returns ``{"kind": "dependencies", "release", "images": [{"image", "reference", "base": name or None, "needs":
    [names that are needed at once], "all_needs": [names, parents first], "shipped", "asked"}]}``.
    """
    entries = []
    for name in selected:
        image = tree.images[name]
        entries.append(
            {
                "image": name,
                "reference": image.reference,
                "base": image.base,
                "needs": list(image.parents),
                "all_needs": [each for each in tree.select([name]) if each != name],
                "shipped": not image.build_only,
                "asked": not asked or name in asked,
            }
        )
    return {"kind": "dependencies", "release": tree.options.release, "images": entries, "retcode": 0}
