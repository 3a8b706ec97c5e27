"""Why an image is built, exactly: which image of its chain changed, and what in it.

A digest says that an input differs. What it was is remembered beside it in the record: versions in locks, lines of the
Dockerfile in short, versions of the last refresh, type and distribution. An image whose parents alone changed gets its
parents' changes told; where a parent was rebuilt by an earlier call, they are in the parent's history. Records of
former versions have no details: of them it is told which file changed, or which parent.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from saltern.contract.digests import digest
from saltern.host.build_stream import describe
from saltern.images.lint import instructions
from saltern.images.options import Options
from saltern.images.record import Record
from saltern.images.tree import Image, Tree, nameless

TOLD = 3  # changes of one kind that are told one by one
HISTORY = 10  # builds of an image whose changes are remembered
WIDTH = 60  # characters of a step
LINES = 200  # steps of a Dockerfile that are remembered
PARENT = "image "  # how a parent is named among the parts
DOCKERFILE = "Dockerfile"
_LOCK = re.compile(r"locks/.*\.txt")
_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?={2,3}([^\s;\\]+)", re.M)

Changes = list[str]
Origins = dict[str, Changes]  # image → what changed in it


def versions(text: str) -> dict[str, str]:
    """Names and versions of a lock.

    >>> versions("keystone==28.0.0 \\\\\\n    --hash=sha256:00\\n")
    {'keystone': '28.0.0'}
    """
    return {match[1].lower(): match[2] for match in _LINE.finditer(text)}


def details(
    image: Image, options: Options, packages: Mapping[str, str], references: Mapping[str, str]
) -> dict[str, Any]:
    """What is remembered of an image's inputs, to say more than "changed" of them; plain data of bounded size.

    image
        As it is built.
    options
        The operator's choices.
    packages
        Versions of its packages that the last refresh noted.
    references
        Reference → name, of all images.
    """
    refresh = digest(dict(packages)) if packages else "0"
    text = nameless(image.dockerfile, references).replace(f"SALTERN_REFRESH={refresh}", "SALTERN_REFRESH=")
    steps = [instruction for _, instruction in instructions(text)][:LINES]
    return {
        "steps": [[hashlib.sha256(step.encode()).hexdigest()[:8], describe(step)[:WIDTH]] for step in steps],
        "locks": {
            path: versions(file.source.read_text()) for path, file in image.files.items() if _LOCK.fullmatch(path)
        },
        "packages": dict(packages),
        "options": {"type": options.type, "distro": options.distro, "suite": options.suite},
    }


def own_changes(former: Mapping[str, Any], parts: Mapping[str, str], now: Mapping[str, Any]) -> Changes:
    """What differs in an image's own inputs, in words; its parents are left out.

    former
        Its record: ``parts`` and, if it is not an old one, ``details``.
    parts, now
        Parts and details of its inputs now.
    """
    before: Mapping[str, str] = former.get("parts") or {}
    details_before: Mapping[str, Any] = former.get("details") or {}
    differing = [name for name in sorted({*before, *parts}) if before.get(name) != parts.get(name)]
    differing = [name for name in differing if not name.startswith(PARENT)]
    if not differing:
        return []
    found = _options(details_before.get("options"), now.get("options"))
    chosen_anew = bool(found)
    if details_before:
        found += _packages(details_before.get("packages") or {}, now.get("packages") or {})
    for name in differing:
        if name == DOCKERFILE and name in before and details_before:
            found += [] if chosen_anew else _steps(details_before.get("steps") or [], now.get("steps") or [])
        elif name in (details_before.get("locks") or {}) and name in (now.get("locks") or {}):
            found += _lock(name, details_before["locks"][name], now["locks"][name])
        elif not (name == "recipe" and found):
            found.append(f"{name} {'is gone' if name not in parts else 'changed' if name in before else 'is new'}")
    return found or [f"{differing[0]} changed"]


def _options(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Changes:
    if not before or not now:
        return []
    return [f"{key} {before[key]} → {now[key]}" for key in now if key in before and before[key] != now[key]]


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    changed = [
        f"package {name} {before[name]} → {now[name]}" if name in before else f"package {name} → {now[name]}"
        for name in sorted(now)
        if before.get(name) != now[name]
    ]
    return changed if len(changed) <= TOLD else [f"{len(changed)} packages have newer versions"]


def _lock(path: str, before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    changed = [name for name in now if name in before and before[name] != now[name]]
    added, removed = [name for name in now if name not in before], [name for name in before if name not in now]
    if len(changed) + len(added) + len(removed) > TOLD:
        counts = ((len(changed), "changed"), (len(added), "added"), (len(removed), "removed"))
        return [f"{path}: {', '.join(f'{number} {what}' for number, what in counts if number)}"]
    lines = [f"lock line {name} {before[name]} → {now[name]}" for name in changed]
    lines += [f"lock line {name} {now[name]} added" for name in added]
    lines += [f"lock line {name} {before[name]} removed" for name in removed]
    return lines or [f"hashes in {path} changed"]


def _steps(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> Changes:
    matcher = difflib.SequenceMatcher(None, [step[0] for step in before], [step[0] for step in now], autojunk=False)
    removed, added = [], []
    for kind, start, end, from_, to in matcher.get_opcodes():
        if kind != "equal":
            removed += [step[1] for step in before[start:end]]
            added += [step[1] for step in now[from_:to]]
    if len(removed) + len(added) > TOLD:
        return [f"Dockerfile: {len(added)} steps added, {len(removed)} removed"]
    if removed and removed == added:  # differs behind what is told of it
        return [f"Dockerfile: {added[0]} changed"]
    marked = [f"{mark} {step}" for mark, steps in (("−", removed), ("+", added)) for step in steps]
    return [f"Dockerfile: {', '.join(marked)}"] if marked else []


class Causes:
    """Finds the changes that made images stale; asked parents first.

    tree
        All images.
    record
        What is remembered of their last builds.
    """

    def __init__(self, tree: Tree, record: Record) -> None:
        self.tree, self.record = tree, record
        self._references = {image.reference: name for name, image in tree.images.items()}
        self._found: dict[str, Origins] = {}

    def details(self, name: str) -> dict[str, Any]:
        """What is to be remembered of an image."""
        packages = self.record.packages.get(name, {})
        return details(self.tree.images[name], self.tree.options, packages, self._references)

    def origins(self, name: str) -> Origins:
        """Image → changes, since the last build of ``name``; its own first. Empty without a record of it."""
        if name not in self._found:
            self._found[name] = self._origins(name)
        return self._found[name]

    def _origins(self, name: str) -> Origins:
        image = self.tree.images[name]
        former = self.record.builds.get(image.reference)
        if former is None:
            return {}
        found: Origins = {}
        if changes := own_changes(former, image.parts, self.details(name)):
            found[name] = changes
        before: Mapping[str, str] = former.get("parts") or {}
        for parent in image.parents:
            part = f"{PARENT}{parent}"
            if part not in before:
                found.setdefault(name, []).append(f"{parent} is a new parent")
            elif before[part] != image.parts[part]:
                _merge(found, self._since(parent, before[part]))
        for part in before:
            if part.startswith(PARENT) and part not in image.parts:
                found.setdefault(name, []).append(f"{part[len(PARENT) :]} is no parent any more")
        return found

    def _since(self, name: str, inputs: str) -> Origins:
        """Changes of an image since it had these inputs."""
        image = self.tree.images[name]
        last = self.record.builds.get(image.reference) or {}
        found: Origins = {}
        current = inputs
        for step in last.get("history") or ():
            if step["from"] == current:
                _merge(found, step["origins"])
                current = step["to"]
        if current == last.get("inputs") and current != image.inputs:
            _merge(found, self.origins(name))
            current = image.inputs
        return found if found and current == image.inputs else {name: ["was rebuilt"]}

    def remembered(self, name: str) -> dict[str, Any]:
        """What a build of ``name`` adds to its record: ``parts``, ``details`` and ``history``."""
        image = self.tree.images[name]
        former = self.record.builds.get(image.reference) or {}
        history = list(former.get("history") or ())
        if former.get("inputs") and former["inputs"] != image.inputs:
            history.append({"from": former["inputs"], "to": image.inputs, "origins": self.origins(name)})
        return {"parts": dict(image.parts), "details": self.details(name), "history": history[-HISTORY:]}


def _merge(into: Origins, more: Mapping[str, Sequence[str]]) -> None:
    for name, changes in more.items():
        known = into.setdefault(name, [])
        known += [change for change in changes if change not in known]


def told(name: str, origins: Mapping[str, Sequence[str]], limit: int = 4) -> str:
    """Origins as one line.

    >>> told("keystone", {"openstack-base": ["lock line keystoneauth1 5.1.0 → 5.2.0"]})
    'openstack-base changed: lock line keystoneauth1 5.1.0 → 5.2.0'
    >>> told("keystone", {"keystone": ["file run.sh changed"], "base": ["was rebuilt"]})
    'file run.sh changed; base was rebuilt'
    """
    parts = []
    seen: set[str] = set()  # a lock or an option of several images is told once
    for image, all_changes in origins.items():
        changes = [change for change in all_changes if change not in seen]
        if not changes:
            continue
        if changes != ["was rebuilt"]:
            seen.update(changes)
        text = ", ".join(changes[:limit]) + (f" and {len(changes) - limit} more" if len(changes) > limit else "")
        rebuilt = changes == ["was rebuilt"]
        parts.append(text if image == name else f"{image} {text}" if rebuilt else f"{image} changed: {text}")
    return "; ".join(parts[:limit]) + (f" and {len(parts) - limit} more" if len(parts) > limit else "")
