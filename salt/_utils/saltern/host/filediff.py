"""How configuration files change, in lines that an operator may see: ``+ new``, ``- former``, two lines around them.

Compared is the real text, shown is the masked one, so a changed password is a visible change of a line that does not
show it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saltern.host import files
from saltern.host.spec import Spec

CONTEXT = 2
LONGEST = 200  # lines per file: a plan is to be read
_SECTION = re.compile(r"\s*\[[^\]]+\]\s*$")


def changes(config_root: Path, spec: Spec, former: str | None, secrets: Iterable[str]) -> list[dict[str, Any]]:
    """``[{"name", "diff": [line…]}]`` for each file that differs from what lies on the host.

    former
        Name of the directory that the container uses now; None = nothing to compare with.
    """
    if former is None:
        return []
    values = list(secrets)
    shown = files.masked(config_root, spec["name"], former)
    found = []
    for file in spec.get("files") or []:
        old = _text(config_root / spec["name"] / former / file["name"])
        new = file.get("content") or ""
        if old == new:
            continue
        new_shown = files.mask_lines(new, values)
        if old is not None and file["name"] not in shown:
            # Without the masked copy the former text may hold secrets that nobody knows any more.
            found.append({"name": file["name"], "diff": ["~ differs (the former text is not shown)"]})
        else:
            old_shown = shown.get(file["name"], "") if old is not None else ""
            found.append({"name": file["name"], "diff": lines(old or "", new, old_shown, new_shown)})
    gone = set(shown) - {f["name"] for f in spec.get("files") or []}
    return found + [{"name": name, "diff": ["- (the file is no longer there)"]} for name in sorted(gone)]


def lines(old: str, new: str, old_shown: str, new_shown: str) -> list[str]:
    """The diff of two texts, printed from their masked forms (which have the same lines)."""
    a, b = old.splitlines(), new.splitlines()
    shown_a, shown_b = _padded(old_shown, a), _padded(new_shown, b)
    made: list[str] = []
    for group in difflib.SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(CONTEXT):
        start = group[0][3]
        if not any(_SECTION.match(line) for line in b[start : group[0][4] + 1]):
            made += [f"  {shown_b[n]}" for n in range(start - 1, -1, -1) if _SECTION.match(b[n])][:1]
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                made += [f"  {line}" for line in shown_b[b1:b2]]
            else:
                made += [f"- {line}" for line in shown_a[a1:a2]] + [f"+ {line}" for line in shown_b[b1:b2]]
    return made if len(made) <= LONGEST else [*made[:LONGEST], f"… {len(made) - LONGEST} more lines"]


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _padded(shown: str, real: list[str]) -> list[str]:
    """Masked lines, one per real line: never a real line in place of a missing masked one."""
    made = shown.splitlines()
    return made if len(made) == len(real) else ["(not shown)"] * len(real)
