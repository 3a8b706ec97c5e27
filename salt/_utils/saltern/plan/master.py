"""Compile for a master: reads the operator's files, the services and the images, and keeps what it made.

An unchanged model costs reading and hashing its inputs: a compiled one is found by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saltern.contract import digests
from saltern.contract.errors import InvalidModel, Problem
from saltern.contract.library import library_digest
from saltern.model.changes import changes as differing
from saltern.model.changes import flatten
from saltern.model.services import fingerprints, load_services
from saltern.model.store import Store
from saltern.model.tree import Render, Tree, read_tree
from saltern.plan.compile import Compiled, compile_model, model_digest
from saltern.plan.lock import RunLock

SERVICES = Path("states/openstack/services")
# Of the code that this process runs, which in a long-lived one may be older than what lies on disk by now.
LIBRARY = library_digest()


@dataclass
class Inputs:
    """Where a master finds what models are made of.

    checkout
        Saltern's checkout (master option ``saltern_checkout``).
    state
        Master state root (master option ``saltern_state_dir``).
    pillar_roots
        The operator's pillar roots; the tree lies in ``openstack/`` below them.
    render
        Gives the data of one pillar file.
    """

    checkout: Path
    state: Path
    pillar_roots: list[Path]
    render: Render
    library: str = LIBRARY

    def shown(self, path: Path) -> str:
        """A file as messages name it: below the checkout in short, else in full."""
        return str(path.relative_to(self.checkout)) if path.is_relative_to(self.checkout) else str(path)

    def tree(self) -> Tree:
        """The operator's tree."""
        folders = [root / "openstack" for root in self.pillar_roots]
        return read_tree([f for f in folders if f.is_dir()] or folders[:1], self.render, self.shown)


def compile_master(inputs: Inputs) -> dict[str, Any]:
    """Compile, or find what was compiled, and answer as data.

    Gives ``{"digest", "errors": [Problem…], "plan": plan or None}``. Only ``compiled/<digest>/`` is written.
    """
    store = Store(inputs.state)
    tree = inputs.tree()
    while True:
        files = fingerprints(inputs.checkout / SERVICES)
        images = digests.digest(fingerprints(inputs.checkout / "images"))
        digest = model_digest(tree.data, files, images, inputs.library, store.key())
        plan = store.plan(digest) if not tree.problems else None
        if plan is not None:
            return {"digest": digest, "errors": [], "plan": plan}
        made = compile_model(tree, load_services(inputs.checkout / SERVICES), digest, inputs.library)
        if fingerprints(inputs.checkout / SERVICES) == files:  # else somebody saved a file meanwhile: not this digest's
            break
    if made.problems:
        return {"digest": digest, "errors": [p.as_dict() for p in made.problems], "plan": None}
    keep(store, tree, made)
    return {"digest": digest, "errors": [], "plan": made.plan}


def keep(store: Store, tree: Tree, made: Compiled) -> None:
    """Write a compiled model, and prune superseded ones that no open run is pinned to."""
    run = RunLock(store.root).read()
    documents = {f"hosts/{host}.json": data for host, data in made.slices.items()}
    documents |= {"origins.json": made.origins, "inputs.json": flatten(tree.data, tree.sources, store.key())}
    store.write(made.digest, {**documents, "plan.json": made.plan}, [run.model] if run else [])


def failed(message: str, where: str = "") -> dict[str, Any]:
    """The answer when inputs cannot even be read: one error, as data."""
    return {"digest": "", "errors": [Problem(where, "", "a master that can compile", message).as_dict()], "plan": None}


def origins(inputs: Inputs, made: dict[str, Any]) -> dict[str, Any]:
    """Who set what in a compiled model. Raises InvalidModel when it has errors."""
    if made["errors"]:
        raise InvalidModel([Problem(**problem) for problem in made["errors"]])
    return Store(inputs.state).origins(made["digest"]) or {}


def changes(inputs: Inputs, old: str, new: str) -> list[dict[str, Any]]:
    """Keys of the operator's tree that differ between two compiled models; none when one of them is gone."""
    store = Store(inputs.state)
    before, after = store.inputs(old), store.inputs(new)
    return differing(before, after) if before is not None and after is not None else []
