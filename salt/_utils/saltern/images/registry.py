"""What a build hands to a registry and takes from it.

Builders that share a tree need it: an image that one has made is pushed, and pulled by another that continues it.
Nothing else is moved. With ``push`` all shipped images are pushed in the end; the registry itself tells which layers
it has already.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saltern.contract.errors import BuildFailed, SalternError
from saltern.images.builders import Builder
from saltern.images.options import Options
from saltern.images.record import write_record
from saltern.images.schedule import Outcome, PlaceLost, run_graph
from saltern.images.summary import failure
from saltern.images.tree import Image

if TYPE_CHECKING:
    from saltern.images.run import Build


def check(options: Options, builders: Mapping[str, Builder], *, push: bool) -> None:
    """Raise SalternError when a registry is needed and none is named."""
    if options.registry:
        return
    where, hint = "openstack:images:registry", "Set it to host:port of your registry"
    if push:
        raise SalternError("there is no registry to push to", where=where, hint=hint)
    if len(builders) > 1:
        raise SalternError(
            f"several builders ({', '.join(sorted(builders))}) hand images to each other by a registry",
            where=where,
            hint=f"{hint}, or name one of them in openstack:images:builder",
        )


class Exchange:
    """Gets parents to the builder that needs them.

    run
        The build.
    """

    def __init__(self, run: Build) -> None:
        self.run = run
        self._holders: dict[str, dict[str, str]] = {}  # image → builder → id
        for place, each in run.found.at.items():
            for name, todo in each.items():
                if todo.action == "unchanged":
                    self._holders.setdefault(name, {})[place] = todo.id
        self._needed = {parent for parents in run.found.needs.values() for parent in parents}
        self._pushed: set[str] = set()
        self._silent: dict[str, str] = {}  # builder → how it showed
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def provide(self, image: Image, place: str) -> None:
        """Pull the parents that another builder has made. Raises SalternError when that fails."""
        for parent in image.parents if len(self.run.builders) > 1 else ():
            if self.run.tree.images[parent].build_only:
                continue
            with self._lock(parent):
                holders = self._holders.setdefault(parent, {})
                if place in holders or not holders:
                    continue
                self.run.report("step", {"image": image.name, "step": 0, "of": 0, "text": f"pull {parent}"})
                origin, image_id = self._offer(parent, holders, image.name)
                reference = self.run.tree.images[parent].reference
                pulled = self.run.builders[place].pull([reference])[reference]
                if pulled["id"] != image_id:
                    raise BuildFailed(
                        f"the registry gave another {parent} than {origin} has made",
                        where=image.name,
                        hint="Does something else push to it? Run the build again",
                    )
                holders[place] = pulled["id"]

    def _offer(self, parent: str, holders: dict[str, str], wanting: str) -> tuple[str, str]:
        """Have one of an image's holders push it: who, and the image's id. Raises BuildFailed when none answers."""
        for origin, image_id in holders.items():
            if origin not in self._silent or parent in self._pushed:
                try:
                    self._push(parent, origin)
                    return origin, image_id
                except PlaceLost as error:  # the holder is lost, and not the builder that asks
                    self._silent[origin] = getattr(error, "message", str(error))
        raise BuildFailed(
            f"{parent} is not to be had: {'; '.join(self._silent[origin] for origin in holders)}",
            where=wanting,
            hint="Run the build again: without that builder, another makes what only it has",
        )

    def made(self, image: Image, place: str, image_id: str) -> None:
        """Note where an image was made; one that others wait for is pushed. Raises SalternError when that fails."""
        if len(self.run.builders) == 1 or image.build_only:
            return
        with self._lock(image.name):
            self._holders[image.name] = {place: image_id}
            if image.name in self._needed:
                self._push(image.name, place)

    def _push(self, name: str, place: str) -> None:
        if name not in self._pushed:
            pushed(self.run, name, place)
            self._pushed.add(name)

    def _lock(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())


def pushed(run: Build, name: str, place: str) -> dict[str, Any]:
    """Push one image from a builder and note the digest of its manifest: ``{"digest", "layers_pushed"}``."""
    reference = run.tree.images[name].reference
    answer = dict(run.builders[place].push([reference])[reference])
    with run.lock:
        run.record.builds.setdefault(reference, {})["digest"] = answer["digest"]
        write_record(run.state, run.record)
    return answer


def push_all(run: Build, selected: Sequence[str], outcome: Outcome[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Push the shipped images of a selection that are as their inputs say.

    Returns image → ``{"digest", "layers_pushed"}``, or what kept it from being pushed: ``{"error", "where", "hint",
    "log"}``. After a failure nothing more is begun: a registry that refuses one refuses the others. A builder that does
    not answer fails what only it has.
    """
    todo: dict[str, str] = {}
    for name in selected:
        places = [outcome.places[name]] if name in outcome.places else sorted(run.found.home.get(name, ()))
        places.sort(key=lambda place: place in outcome.lost)
        if places and not run.tree.images[name].build_only and name not in outcome.failed:
            todo[name] = places[0]
    run.report("push", {"images": list(todo)})
    stopped: list[Exception] = []
    silent = dict(outcome.lost)

    def push(name: str) -> dict[str, Any]:
        place = todo[name]
        if place in silent:
            raise silent[place]
        if stopped:
            raise stopped[0]
        try:
            answer = pushed(run, name, place)
        except Exception as error:
            if isinstance(error, PlaceLost):
                silent[place] = error
            else:
                stopped.append(error)
            raise
        run.report("pushed", {"image": name, **answer})
        return answer

    # parents first: an image's layers are there when the one that continues it is pushed, and are sent once
    needs = {name: [p for p in run.tree.layers_of(name)[:-1] if p in todo] for name in todo}
    gone = run_graph(needs, push, parallel=run.tree.options.parallel)
    blocked = {name: gone.failed[origin] for name, origin in gone.blocked.items()}
    return {**gone.done, **{name: failure(error) for name, error in (gone.failed | blocked).items()}}
