"""Bring the images of a tree to what their inputs say, on one builder or several.

One list of each builder's images decides: an image whose label has the digest of its inputs is left alone, one that
has it under another name gets a further name, all others are built, parents first. When nothing differs that list is
the only call.
"""

from __future__ import annotations

import errno
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saltern.contract.errors import BuildFailed, SalternError
from saltern.host.build import Report, labels, silent
from saltern.images import custom, locks, registry, sbom, select
from saltern.images.builders import Builder, NoAnswer
from saltern.images.causes import Causes
from saltern.images.context import write_context
from saltern.images.decide import Survey, Todo, decide, survey
from saltern.images.diagnose import explained
from saltern.images.distros import require_buildable
from saltern.images.options import Options
from saltern.images.record import Record, read_record, write_record
from saltern.images.reports import write_report
from saltern.images.retry import patiently
from saltern.images.roll import Roll
from saltern.images.schedule import Outcome, Shared, simulate
from saltern.images.summary import summary, unique_size
from saltern.images.tree import Image, Tree, load

__all__ = ["Build", "Clock", "Todo", "build_all", "decide", "needs_all", "render_all", "renew", "unique_size"]

CONTEXTS = "build-contexts"
KEPT = 8  # former images of a name that are remembered, for inputs that come back
ASKER = "base"  # the image in which a refresh asks for versions: it has apt and is there before all others
ONLY = ""  # what a builder is called that is the only one


@dataclass
class Clock:
    """Time as the builds see it."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Build:
    """One call of build_all: what it works with and what it has found."""

    builders: Mapping[str, Builder]
    tree: Tree
    state: Path
    record: Record
    report: Report
    clock: Clock
    causes: Causes
    found: Survey
    lock: threading.Lock = field(default_factory=threading.Lock)


def build_all(
    builder: Builder | Mapping[str, Builder],
    folder: Path,
    options: Options,
    *,
    state: Path,
    names: Sequence[str] = (),
    profiles: Sequence[str] = (),
    refresh: bool = False,
    push: bool = False,
    report: Report = silent,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Build what is stale of a folder of images and all it needs.

    builder
        Who builds (`saltern.images.builders.LocalBuilder`, or a minion), or several by their names: they share the
        images, and what one has made and another needs goes through the registry.
    folder
        ``images/`` of a checkout.
    options
        The operator's choices.
    state
        State root of the master: record, contexts and reports lie below it.
    names, profiles
        Images to bring up to date, with all they need (`saltern.images.select`); none = all.
    refresh
        Ask the mirror first which packages have newer versions; images that hold older ones are stale then.
    push
        Push the shipped ones to the registry afterwards.
    report
        Told ``begin`` (the list), ``retry``, ``failed`` and what the builder itself does not report.
    clock
        Time.

    Returns the data of the verb ``build``: one entry an image, sizes, seconds, ``retcode``; of several builders
    ``builders`` took part, ``away`` did not (`saltern.images.roll.Roll.away`). Raises SalternError for a tree that is
    broken, for a registry that is needed and not named, and when no builder answers; failures of single images are
    entries.
    """
    clock = clock or Clock()
    began = clock.now()
    builders = dict(builder) if isinstance(builder, Mapping) else {ONLY: builder}
    registry.check(options, builders, push=push)
    record = read_record(state)
    roll = Roll(builders)
    known = asked(roll, builders, options)
    tree = load(folder, options, record.packages, known)
    selected = tree.select(select.chosen(tree, folder, names, profiles))
    require_buildable(folder, options, [tree.images[name].release for name in selected], refresh=refresh)
    locks.check([tree.images[name] for name in selected], folder)
    custom.missing(tree.images[name].custom for name in selected)
    listings = roll.ask(lambda place: builders[place].listing())
    builders = {place: builders[place] for place in roll.present}
    if refresh:
        renew(next(iter(builders.values())), tree, selected, record)
        write_record(state, record)
        tree = load(folder, options, record.packages, known)
    causes = Causes(tree, record)
    found = survey(tree, selected, listings, record, causes)
    run = Build(builders, tree, state, record, report, clock, causes, found)
    outcome = _carry_out(run)
    pushed: dict[str, dict[str, Any]] = {}
    if push:
        pushed = registry.push_all(run, selected, outcome)
    data = summary(tree, found, listings, outcome, record, pushed, clock.now() - began)
    data |= {"builders": list(builders), "away": roll.away()}
    if found.needs or pushed:
        data["report"] = str(write_report(state, data, clock.now()))
    return data


def _carry_out(run: Build) -> Outcome[dict[str, Any]]:
    found = run.found
    parallel = max(1, run.tree.options.parallel)
    seconds, known = _durations(run)
    begin = {
        "images": {name: each.action for name, each in found.todo.items()},
        "needs": {name: list(parents) for name, parents in found.needs.items()},
        "parallel": parallel * len(run.builders),
        "known": seconds if known else {},
        "seconds": simulate(found.needs, seconds, parallel=parallel * len(run.builders)) if known else None,
    }
    run.report("begin", begin)
    if not found.needs:
        return Outcome()
    exchange = registry.Exchange(run)
    return Shared(
        found.needs,
        lambda name, place: _one(run, exchange, name, place),
        places=list(run.builders),
        seconds=seconds,
        parallel=parallel,
        local=found.local,
        have=found.have,
        pinned=found.pinned,
        home=found.home,
        failed=lambda name, blocked: run.report("failed", {"image": name, "blocks": list(blocked)}),
    ).run()


def _durations(run: Build) -> tuple[dict[str, float], bool]:
    """Seconds that each image may take, by earlier builds, and whether any of it is known."""
    last = {name: run.record.builds.get(run.tree.images[name].reference, {}) for name in run.found.needs}
    known = {name: float(each["seconds"]) for name, each in last.items() if each.get("seconds") is not None}
    usual = statistics.median(known.values()) if known else 20.0
    tags = {name: 0.0 for name, each in run.found.todo.items() if each.action == "tag"}
    return {name: tags.get(name, known.get(name, usual)) for name in run.found.needs}, bool(known)


def asked(roll: Roll, builders: Mapping[str, Builder], options: Options) -> dict[str, str | None]:
    """What the builders say of the paths there that an operator named; no call when there are none.

    Raises SalternError where they differ, as any of them may be the one that builds.
    """
    named = custom.paths(options.custom)
    if not named:
        return {}
    return custom.agreed(roll.ask(lambda place: builders[place].fingerprints(named), forgiven=NoAnswer))


def renew(builder: Builder, tree: Tree, selected: list[str], record: Record) -> dict[str, dict[str, str]]:
    """Note in the record which packages of the selected images have newer versions; those of parents are not theirs."""
    images = {name: tree.images[name].reference for name in selected if tree.images[name].packages}
    found = builder.outdated(images, tree.images[ASKER].reference, tree.options.network)
    own: dict[str, dict[str, str]] = {}
    for name, packages in found.items():
        above = set(tree.select([name])) - {name}
        inherited = {p for parent in images if parent in above for p in found.get(parent, {})}
        if mine := {package: version for package, version in packages.items() if package not in inherited}:
            own[name] = mine
            record.packages[name] = {**record.packages.get(name, {}), **mine}
    return own


def _one(run: Build, exchange: registry.Exchange, name: str, place: str) -> dict[str, Any]:
    """Do what one image needs at one builder."""
    todo = run.found.at[place][name]
    image, builder = todo.image, run.builders[place]
    if todo.action == "tag":
        builder.tag(todo.id, image.reference)
        run.report("end", {"image": image.name, "result": "tagged", "seconds": 0.0})
        _remember(run, image, todo.id, {})
        exchange.made(image, place, todo.id)
        return {"id": todo.id, "seconds": 0.0}

    def again(number: int, error: BaseException) -> None:
        run.report("retry", {"image": image.name, "try": number, "text": getattr(error, "message", str(error))})

    try:
        exchange.provide(image, place)
        made = patiently(lambda: _build(run, builder, image), sleep=run.clock.sleep, again=again)
    except Exception as error:
        raise explained(error, place or "the builder", run.tree.options) from error
    _remember(run, image, made["id"], {key: made[key] for key in ("size", "seconds", "layers") if key in made})
    exchange.made(image, place, made["id"])
    if packages := made.get("packages"):
        options = run.tree.options
        about = (image.name, image.inputs, made["id"], image.release or "", run.clock.now())
        try:
            sbom.write(run.state, sbom.Subject(*about, options.distro, options.suite), packages)
        except SalternError as error:  # the image is made and has its name all the same
            made = {**made, "notes": [str(error)]}
    return made


def _remember(run: Build, image: Image, image_id: str, more: Mapping[str, Any]) -> None:
    """What tells at the next build why, and how long it may take."""
    with run.lock:
        former = {**run.record.builds.get(image.reference, {})}
        former.pop("digest", None)  # the manifest of another image
        made = [each for each in former.get("made", ()) if each[0] != image.inputs]
        run.record.builds[image.reference] = {
            **former,
            **run.causes.remembered(image.name),
            "made": [*made, [image.inputs, image_id]][-KEPT:],
            "inputs": image.inputs,
            "id": image_id,
            "at": run.clock.now(),
            **more,
        }
        write_record(run.state, run.record)


def _build(run: Build, builder: Builder, image: Image) -> dict[str, Any]:
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
        return builder.import_base(request | {"packages": list(image.packages)})
    try:
        context = write_context(image, run.state / CONTEXTS)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise BuildFailed(
            "the master's disk is full" if full else error.strerror or str(error),
            where=str(error.filename or run.state / CONTEXTS),
            hint="Free space there, then run the build again: what is finished stays" if full else "",
        ) from error
    request |= {"smoke": list(image.smoke), "shipped": not image.build_only}
    request |= {"root": bool(image.root), "setuid": list(image.setuid)}
    if image.custom and image.custom.sources:
        request["places"] = [each.as_place() for each in image.custom.sources.values()]
    return builder.build(request | {"context": str(context), "network": options.network})


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
