"""Where Salt's loader finds our modules when Saltern is installed as a package (entry point ``salt.loader``).

A checkout needs none of this: a master reads ``<checkout>/salt`` by ``module_dirs``, and minions get it by a sync.
"""

from __future__ import annotations

from pathlib import Path

KINDS = ("modules", "states", "runners", "engines", "pillar", "output")


def directories(package: Path = Path(__file__).parent) -> dict[str, list[str]]:
    """Directories by the loader's name of their kind: inside the wheel, or in the checkout of an editable install.

    package
        Directory of the package ``saltern``.
    """
    checkout = package.parents[1]
    found = {}
    for kind in KINDS:
        for path in (package / "ext" / kind, checkout / f"_{kind}"):
            if path.is_dir():
                found[kind] = [str(path)]
                break
    return found
