"""Bring the images of a tree to what their inputs say, on one builder.

One list of the builder's images decides: an image whose label has the digest of its inputs is left alone, one that
has it under another name gets a further name, all others are built, parents first. When nothing differs that list is
the only call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saltern.contract.errors import BuildFailed
from saltern.host.build import Report, labels, silent
from saltern.images import select
from saltern.images.builders import Builder
from saltern.images.context import write_context
from saltern.images.distros import require_buildable
from saltern.images.options import Options
from saltern.images.record import Record, read_record, why, write_record
from saltern.images.retry import patiently
from saltern.images.schedule import Outcome, run_graph
from saltern.images.tree import Image, Tree, load

CONTEXTS = "build-contexts"
ASKER = "base"  # the image in which a refresh asks for versions: it has apt and is there before all others


@dataclass(frozen=True)
class Todo:
    """What an image needs: ``unchanged``, ``tag`` (``id`` has its content) or ``build``."""

    image: Image
    action: str
    reason: str
    id: str = ""


@dataclass
class Clock:
    """Time as the builds see it."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Build:
    """One call of build_all: what it works with and what it has found."""

    builder: Builder
    tree: Tree
    state: Path
    record: Record
    report: Report
    clock: Clock
    lock: threading.Lock = field(default_factory=threading.Lock)


def build_all(
    builder: Builder,
    folder: Path,
    options: Options,
    *,
    state: Path,
    names: Sequence[str] = (),
    profiles: Sequence[str] = (),
    refresh: bool = False,
    report: Report = silent,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Build what is stale of a folder of images and all it needs.

    builder
        Who builds (`saltern.images.builders.LocalBuilder`, or a minion).
    folder
        ``images/`` of a checkout.
    options
        The operator's choices.
    state
        State root of the master: record and contexts lie below it.
    names, profiles
        Images to bring up to date, with all they need (`saltern.images.select`); none = all.
    refresh
        Ask the mirror first which packages have newer versions; images that hold older ones are stale then.
    report
        Told ``begin`` (the list), ``retry`` and what the builder itself does not report.
    clock
        Time.

    Returns the data of the verb ``build``: one entry an image, sizes, seconds, ``retcode``. Raises SalternError for a
    tree that is broken; failures of single images are entries.
    """
    clock = clock or Clock()
    began = clock.now()
    record = read_record(state)
    tree = load(folder, options, record.packages)
    selected = tree.select(select.chosen(tree, folder, names, profiles))
    require_buildable(folder, options, [tree.images[name].release for name in selected], refresh=refresh)
    if refresh:
        renew(builder, tree, selected, record)
        write_record(state, record)
        tree = load(folder, options, record.packages)
    listing = builder.listing()
    todo = {each.image.name: each for each in decide(tree, selected, listing, record)}
    run = Build(builder, tree, state, record, report, clock)
    report("begin", {"images": {name: each.action for name, each in todo.items()}, "seconds": _estimate(todo, record)})
    needs = {name: tree.images[name].parents for name, each in todo.items() if each.action != "unchanged"}
    outcome: Outcome[dict[str, Any]] = Outcome()
    if needs:
        seconds = {name: record.seconds(tree.images[name].reference) for name in needs}
        outcome = run_graph(needs, lambda name: _one(run, todo[name]), seconds=seconds, parallel=options.parallel)
    return _summary(run, todo, listing, outcome, clock.now() - began)


def renew(builder: Builder, tree: Tree, selected: list[str], record: Record) -> dict[str, dict[str, str]]:
    """Note in the record which packages of the selected images have newer versions; those of parents are not theirs."""
    images = {name: tree.images[name].reference for name in selected if tree.images[name].packages}
    found = builder.outdated(images, tree.images[ASKER].reference, tree.options.network)
    own: dict[str, dict[str, str]] = {}
    for name, packages in found.items():
        chain = tree.images[name].parents
        inherited = {p for parent in images if parent in _above(tree, chain) for p in found.get(parent, {})}
        if mine := {package: version for package, version in packages.items() if package not in inherited}:
            own[name] = mine
            record.packages[name] = {**record.packages.get(name, {}), **mine}
    return own


def _above(tree: Tree, parents: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(parents)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += tree.images[name].parents
    return found


def decide(tree: Tree, selected: list[str], listing: list[dict[str, Any]], record: Record) -> list[Todo]:
    """What each selected image needs, from one list of the builder's images; pure."""
    by_tag = {tag: each for each in listing for tag in each["tags"]}
    # only tagged ones: what a build left behind has inherited its parent's labels, and is not that parent
    by_inputs = {(each["image"], each["inputs"]): each["id"] for each in listing if each["tags"]}
    stale: set[str] = set()
    found = []
    for name in selected:
        image = tree.images[name]
        there = by_tag.get(image.reference)
        if there and there["inputs"] == image.inputs and there["image"] == name:
            found.append(Todo(image, "unchanged", "", there["id"]))
            continue
        other = by_inputs.get((name, image.inputs))
        reason = _reason(image, there, record)
        found.append(
            Todo(image, "tag", "the same content has another name", other) if other else Todo(image, "build", reason)
        )
        stale.add(name)
    return found


def _reason(image: Image, there: dict[str, Any] | None, record: Record) -> str:
    last = record.builds.get(image.reference)
    if there is None:
        return "it was removed" if last else "never built"
    if last is None or last["inputs"] != there["inputs"]:
        return "its inputs changed"
    return why(last["parts"], image.parts)


def _estimate(todo: dict[str, Todo], record: Record) -> float | None:
    """Seconds by earlier runs, None while one of the images was never built."""
    known = [
        record.builds.get(each.image.reference, {}).get("seconds") for each in todo.values() if each.action == "build"
    ]
    return None if not known or None in known else sum(float(each) for each in known if each is not None) / 1.5


def _one(run: Build, todo: Todo) -> dict[str, Any]:
    image = todo.image
    if todo.action == "tag":
        run.builder.tag(todo.id, image.reference)
        run.report("end", {"image": image.name, "result": "tagged", "seconds": 0.0})
        _remember(run, image, todo.id, {})
        return {"id": todo.id, "seconds": 0.0}

    def again(number: int, error: BaseException) -> None:
        run.report("retry", {"image": image.name, "try": number, "text": str(error)})

    made = patiently(lambda: _build(run, image), sleep=run.clock.sleep, again=again)
    _remember(run, image, made["id"], {"size": made["size"], "seconds": made["seconds"]})
    return made


def _remember(run: Build, image: Image, image_id: str, more: dict[str, Any]) -> None:
    """What tells at the next build why, and how long it may take."""
    with run.lock:
        run.record.builds[image.reference] = {
            **run.record.builds.get(image.reference, {}),
            "inputs": image.inputs,
            "parts": dict(image.parts),
            "id": image_id,
            "at": run.clock.now(),
            **more,
        }
        write_record(run.state, run.record)


def _build(run: Build, image: Image) -> dict[str, Any]:
    options = run.tree.options
    request: dict[str, Any] = {
        "image": image.name,
        "reference": image.reference,
        "labels": labels(image.name, image.inputs, image.release),
        "suite": options.suite,
        "mirrors": dict(options.mirrors),
        "distro": options.distro,
    }
    if not image.dockerfile:
        return run.builder.import_base(request | {"packages": list(image.packages)})
    context = write_context(image, run.state / CONTEXTS)
    return run.builder.build(request | {"context": str(context), "network": options.network})


def _summary(
    run: Build, todo: dict[str, Todo], listing: list[dict[str, Any]], outcome: Outcome[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    sizes = {tag: each["size"] for each in listing for tag in each["tags"]}
    sizes |= {
        i.reference: outcome.done[n]["size"] for n, i in run.tree.images.items() if "size" in outcome.done.get(n, {})
    }
    by_id = {each["id"]: each["size"] for each in listing}
    entries = []
    for name, each in todo.items():
        image = each.image
        if each.action == "tag":
            sizes[image.reference] = by_id.get(each.id, 0)
        entry = {
            "image": name,
            "reference": image.reference,
            "reason": each.reason,
            "shipped": not image.build_only,
            "size": sizes.get(image.reference),
            "own": _own(run.tree, image, sizes),
            "seconds": None,
            **_result(each, outcome),
        }
        entries.append(entry)
    kinds = [entry["result"] for entry in entries]
    return {
        "kind": "build",
        "release": run.tree.options.release,
        "images": entries,
        "unique": unique_size(run.tree, [e["image"] for e in entries if e["shipped"]], sizes),
        "seconds": round(seconds, 1),
        "counts": {kind: kinds.count(kind) for kind in ("built", "tagged", "unchanged", "failed", "blocked")},
        "retcode": 1 if "failed" in kinds else 0,
    }


def _result(todo: Todo, outcome: Outcome[dict[str, Any]]) -> dict[str, Any]:
    name = todo.image.name
    if todo.action == "unchanged":
        return {"result": "unchanged", "id": todo.id}
    if name in outcome.failed:
        error = outcome.failed[name]
        cause = error.message if isinstance(error, BuildFailed) else str(error)
        blocks = sorted(other for other, origin in outcome.blocked.items() if origin == name)
        return {
            "result": "failed",
            "error": cause,
            "where": getattr(error, "where", ""),
            "hint": getattr(error, "hint", ""),
            "log": list(getattr(error, "log", [])),
            "blocks": blocks,
        }
    if name in outcome.blocked:
        return {"result": "blocked", "by": outcome.blocked[name]}
    made = outcome.done[name]
    return {"result": "tagged" if todo.action == "tag" else "built", "id": made["id"], "seconds": made["seconds"]}


def _own(tree: Tree, image: Image, sizes: dict[str, int]) -> int | None:
    """Bytes that an image adds to the one it continues."""
    size = sizes.get(image.reference)
    below = sizes.get(tree.images[image.base].reference, 0) if image.base else 0
    return None if size is None else size - below


def unique_size(tree: Tree, names: Iterable[str], sizes: dict[str, int]) -> int:
    """Bytes that a set of images takes on a host, layers that they share counted once."""
    needed = {layer for name in names for layer in tree.layers_of(name)}
    return sum(_own(tree, tree.images[name], sizes) or 0 for name in needed)


def render_all(
    folder: Path, options: Options, *, state: Path, names: Sequence[str] = (), profiles: Sequence[str] = ()
) -> dict[str, str]:
    """Write the rendered Dockerfiles below ``<state>/rendered/`` without building anything: image → file.

    folder, options, state, names, profiles
        As for :func:`build_all`.

    Raises SalternError for a tree that is broken.
    """
    tree = load(folder, options, read_record(state).packages)
    found = {}
    for name in tree.select(select.chosen(tree, folder, names, profiles)):
        if tree.images[name].dockerfile:
            path = state / "rendered" / name / "Dockerfile"
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(tree.images[name].dockerfile)
            found[name] = str(path)
    return found


def needs_all(
    folder: Path, options: Options, *, state: Path, names: Sequence[str] = (), profiles: Sequence[str] = ()
) -> dict[str, Any]:
    """What each image of a selection needs (`saltern.images.select.dependencies`); nothing is built.

    folder, options, state, names, profiles
        As for :func:`build_all`.

    Raises SalternError for a tree that is broken.
    """
    tree = load(folder, options, read_record(state).packages)
    asked = select.chosen(tree, folder, names, profiles)
    return select.dependencies(tree, tree.select(asked), asked)
