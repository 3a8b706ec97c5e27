"""What a run would do on this host: every container with its decision, from two reads of the engine.

The engine is asked for its containers and its images once, whatever their number; a container is inspected only when
its spec label is another. Nothing here changes anything: this is `plan`, test mode, and the first half of a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from saltern.contract.errors import ImageMissing, SalternError
from saltern.contract.names import FORMER, LABEL_SPEC, NEXT, missing_hint
from saltern.host import committed, decide, diff, filediff, files, journal, reload
from saltern.host import spec as specs
from saltern.host.context import Host
from saltern.host.decide import Current, Decision
from saltern.host.engine import image_ids
from saltern.host.spec import Body, Spec


@dataclass
class Task:
    """One container of a run.

    spec
        What is wanted; None = that it be absent.
    made
        The create body; None where none is needed.
    broken
        An interrupted swap has to be finished or taken back first.
    """

    name: str
    spec: Spec | None
    made: Body | None
    current: Current | None
    decision: Decision
    files: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False

    def report(self) -> dict[str, Any]:
        """As docs/interfaces.md, section 5 shows it."""
        return {"action": self.decision.action, "reasons": self.decision.reasons, "files": self.files}


def compare(
    host: Host, wanted: list[Spec], *, mode: str = "deploy", names: Iterable[str] | None = None
) -> dict[str, Any]:
    """What a run would do, changing nothing.

    wanted
        The specs of the host's slice.
    mode
        One of `decide.MODES`.
    names
        Only these containers (one that is here but not in the model is to go); None = all, and those of our cloud
        that the model does not know.

    Returns ``{"containers": {name: {"action", "reasons", "files"}}, "host", "seconds"}``. Raises ImageMissing naming
    every image that is not here, SalternError for an unknown mode.
    """
    begin = host.clock()
    tasks = plan(host, wanted, mode=mode, names=names)
    found = {task.name: host.mask_tree(task.report()) for task in tasks}
    return {"containers": found, "host": host.name, "seconds": round(host.clock() - begin, 3)}


def plan(host: Host, wanted: list[Spec], *, mode: str, names: Iterable[str] | None = None) -> list[Task]:
    """Every container with its decision, in start order; those to be removed last."""
    if mode not in decide.MODES:
        raise SalternError(f"no such mode: {mode}", hint=f"One of {', '.join(decide.MODES)}")
    chosen = None if names is None else set(names)
    known = {spec["name"]: spec for spec in wanted if chosen is None or spec["name"] in chosen}
    listed = [Current.listed(item) for item in host.engine.containers(host.cloud)]
    host.images = host.engine.images()
    images = image_ids(host.images)
    if mode in ("deploy", "start"):
        _require_images(host, known.values(), images)
    current = {item.name: item for item in listed}
    broken = {*journal.open_names(host.store), *(base(n) for n in current if n != base(n))}
    tasks = [_task(host, spec, current.get(name), images, mode, name in broken) for name, spec in known.items()]
    if mode in ("deploy", "destroy"):
        tasks += _strangers(host, {spec["name"] for spec in wanted}, listed, mode, chosen)
    return tasks


def look(host: Host, spec: Spec, made: Body, current: Current | None, inspected: dict[str, Any] | None = None) -> Task:
    """Decide about one container that is to run; it is inspected when its label is another (unless handed in)."""
    document, wanted = host.store.desired.get(spec["name"]), made["Labels"][LABEL_SPEC]
    found: list[dict[str, Any]] | None = None
    if current is not None and not committed.matches(document, current.label, wanted):
        inspected = inspected or host.engine.inspect(current.id) or {}
        image = host.engine.inspect_image(current.image_id) or {}
        found = _readable(diff.differences(inspected, made, image), spec)
    decision = decide.present(
        wanted,
        document,
        current,
        found,
        loaded=reload.loaded(host, spec),
        intact=files.intact(specs.config_source(made), spec),
        changes=committed.spec_changes(document, spec) if document else [],
    )
    changed: list[dict[str, Any]] = []
    if document and decision.action in ("replace", "reload", "equivalent", "start"):
        changed = filediff.changes(host.store.config, spec, document.get("config"), host.secrets)
    return Task(spec["name"], spec, made, current, decision, changed)


def body_for(host: Host, spec: Spec, image_id: str) -> Body:
    """The create body of a container on this host."""
    used = (host.store.desired.get(spec["name"]) or {}).get("config")
    return specs.body(spec, image_id, files.directory(host.store.config, spec, used))


def base(name: str) -> str:
    """Name of the container that a ``--next`` or ``--former`` belongs to."""
    return name.removesuffix(NEXT).removesuffix(FORMER)


def _require_images(host: Host, wanted: Iterable[Spec], images: dict[str, str]) -> None:
    missing = sorted({spec["image"] for spec in wanted if spec["image"] not in images})
    if missing:
        raise ImageMissing(
            f"not on this host: {', '.join(missing)}",
            where=host.name,
            hint=missing_hint(missing),
        )


def _task(host: Host, spec: Spec, current: Current | None, images: dict[str, str], mode: str, broken: bool) -> Task:
    name = spec["name"]
    document = host.store.desired.get(name)
    if mode == "destroy":
        traces = broken or (host.store.config / name).exists()
        return Task(name, None, None, current, decide.absent(document, current, traces=traces), broken=broken)
    if mode == "stop":
        return Task(name, spec, None, current, decide.stopped(document, current), broken=broken)
    if mode == "reconfigure" and current is None and not broken:
        return Task(name, spec, None, None, Decision("none"))
    if broken:
        decision = Decision("replace", [decide.reason("swap", "interrupted", "finished or taken back")])
        return Task(name, spec, None, current, decision, broken=True)
    image_id = current.image_id if mode == "reconfigure" and current else images[spec["image"]]
    return look(host, spec, body_for(host, spec, image_id), current)


def _strangers(host: Host, known: set[str], listed: list[Current], mode: str, names: set[str] | None) -> list[Task]:
    """What is here and not in the model: containers with our cloud's label, and documents without a container.

    One-shot jobs clean up after themselves; only destroying the cloud takes them too. An operator's own containers go
    only when they are named.
    """
    documents = host.store.desired.all()
    there = {item.name: item for item in listed if mode == "destroy" or not item.job}
    own = {base(item.name) for item in listed if item.own} | {n for n, d in documents.items() if d["spec"].get("own")}
    traces = {
        n for n in (*host.store.records.names(), *files.owners(host.store.config)) if mode == "destroy" or "--" not in n
    }
    found = {*(base(name) for name in there), *documents, *traces} - known
    found = found - own if names is None else found & names
    decisions = ((name, decide.absent(documents.get(name), there.get(name), traces=True)) for name in sorted(found))
    return [Task(name, None, None, there.get(name), decision) for name, decision in decisions]


def _readable(found: list[dict[str, Any]], spec: Spec) -> list[dict[str, Any]]:
    """In an operator's words: a changed file shows as another mounted directory, an image as an id."""
    return [_readable_one(item, spec) for item in found]


def _readable_one(item: dict[str, Any], spec: Spec) -> dict[str, Any]:
    if item["field"] == "image":
        return decide.reason("image", _short(item["current"]), f"{spec['image']} ({_short(item['desired'])})")
    if item["field"] == "mounts":
        current, desired = (
            [line for line in item[side] if specs.CONFIG_TARGET not in line] for side in ("current", "desired")
        )
        if current == desired:
            return decide.reason("configuration", "former", "new")
    return item


def _short(image_id: str | None) -> str:
    return str(image_id).removeprefix("sha256:")[:12]
