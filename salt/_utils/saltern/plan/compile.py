"""Compile: from the operator's tree and the services to a plan, a slice per host, and who set what. Pure.

The digest names the inputs, so a model that was compiled before need not be compiled again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from saltern.contract import digests
from saltern.contract.errors import Problem
from saltern.contract.masking import mask, mask_tree
from saltern.contract.names import instance
from saltern.model import checks, schema
from saltern.model.checks_services import check_services
from saltern.model.cloud import TOOLBOX, Cloud, resolve, texts_of
from saltern.model.problems import Problems
from saltern.model.schema_pillar import OPENSTACK
from saltern.model.services import Services
from saltern.model.slices import Slicer, endpoint
from saltern.model.tree import Tree
from saltern.plan.steps import steps


@dataclass
class Compiled:
    """A compiled model, or the problems that kept it from being one."""

    digest: str
    plan: dict[str, Any] | None = None
    slices: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def model_digest(
    tree: Mapping[str, Any], service_files: Mapping[str, str], images_digest: str, library_digest: str, key: bytes
) -> str:
    """Name of a model: a keyed hash over all of its inputs.

    tree
        What stands below ``openstack:``.
    service_files, images_digest
        Fingerprints of the service folders and of the images' inputs.
    library_digest
        Digest of the library: other code may compile the same inputs to something else.
    key
        The master's own; the name must not let anybody test guesses of a password.
    """
    return digests.keyed(key, [tree, dict(service_files), images_digest, library_digest])


def compile_model(tree: Tree, services: Services, digest: str, library_digest: str) -> Compiled:
    """Check, resolve, render and slice. Every fault is in ``problems``; nothing is raised for one.

    tree
        The operator's tree.
    services
        All service folders.
    digest
        The model's name, from :func:`model_digest`.
    library_digest
        Goes into the slices, for hosts to compare with their own.
    """
    made = _compile(tree, services, digest, library_digest)
    secrets = texts_of(tree.data.get("secrets"))
    made.problems = [_masked(problem, secrets) for problem in made.problems]
    return made


def _masked(problem: Problem, secrets: set[str]) -> Problem:
    """A secret in the wrong place is still one: never quoted."""
    return replace(
        problem,
        expected=mask(problem.expected, secrets),
        found=mask(problem.found, secrets),
        hint=mask(problem.hint, secrets),
    )


def _compile(tree: Tree, services: Services, digest: str, library_digest: str) -> Compiled:
    problems = [*tree.problems, *services.problems, *check_services(services.services)]
    shape = Problems(tree.sources)
    schema.check(tree.data, OPENSTACK, shape, ("openstack",))
    if not tree.problems or tree.data:
        problems += shape.items
    if not shape.items and tree.data:
        problems += checks.check_names(tree.data, services.services, tree.sources)
    if problems:
        return Compiled(digest, problems=ordered(problems))
    cloud = resolve(tree.data, services.services, tree.sources)
    problems += checks.check_cloud(cloud)
    if problems:
        return Compiled(digest, problems=ordered(problems))
    made = Slicer(cloud, digest, library_digest).all()
    if made.problems:
        return Compiled(digest, problems=ordered(made.problems))
    return Compiled(digest, make_plan(cloud, made.hosts, digest, library_digest), made.hosts, made.origins)


def ordered(problems: list[Problem]) -> list[Problem]:
    """By file and line, as one mends them; each once."""
    return sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line or 0, p.key))


def make_plan(
    cloud: Cloud, slices: Mapping[str, Mapping[str, Any]], digest: str, library_digest: str
) -> dict[str, Any]:
    """The plan of docs/interfaces.md section 7. It holds no secret."""
    names = {host: [spec["name"] for spec in s["containers"]] for host, s in slices.items()}
    toolbox = cloud.toolbox_host.id if cloud.toolbox_host and TOOLBOX in cloud.services else None
    return {
        "digest": digest,
        "library": library_digest,
        "cloud": cloud.name,
        "release": cloud.release,
        "region": cloud.region,
        "vip": cloud.vip,
        "errors": [],
        "toolbox_host": toolbox,
        "hosts": {
            h.id: {"address": h.address, "roles": list(h.roles), "containers": names[h.id]}
            for h in cloud.hosts.values()
        },
        "containers": _containers(cloud),
        "endpoints": {
            entry["name"]: endpoint(cloud, service, entry)
            for service in cloud.services.values()
            for entry in service.identity["services"]
        },
        "images": sorted({image for s in slices.values() for image in s["images"]}),
        "heal": cloud.heal,
        "auto_join": cloud.auto_join,
        "networks": mask_tree(cloud.networks.as_dict(), cloud.secret_values),
        "steps": steps(cloud),
    }


def _containers(cloud: Cloud) -> dict[str, Any]:
    found = {}
    for service in cloud.services.values():
        for base, container in service.containers.items():
            for key, _ in cloud.instances(service.name, base):
                found[instance(base, key)] = {
                    "service": service.name,
                    "restart": container["restart"],
                    "image": cloud.image(container["image"]),
                    "hosts": [host.id for host in cloud.members(base)],
                    "needs": list(service.needs),
                    "cluster": container["cluster"],
                }
    return found


__all__ = ["Compiled", "compile_model", "make_plan", "model_digest", "ordered"]
