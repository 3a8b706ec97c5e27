"""Which images a host is to have, which ones exactly, and what came of bringing them there: the master's half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saltern.contract.errors import SalternError
from saltern.images.options import Options
from saltern.images.record import Record, read_record, write_record
from saltern.images.select import chosen
from saltern.images.tree import load


def known(record: Record, references: Iterable[str]) -> dict[str, dict[str, str]]:
    """What the master knows of images: reference → ``{"id", "digest"}``, each only where it is known."""
    found = {}
    for reference in references:
        build = record.builds.get(reference) or {}
        found[reference] = {key: str(build[key]) for key in ("id", "digest") if build.get(key)}
    return found


def with_tag(references: Iterable[str], tag: str) -> list[str]:
    """The same images of another release.

    >>> with_tag(["registry.local:5000/saltern/keystone:2025.2"], "2026.1")
    ['registry.local:5000/saltern/keystone:2026.1']
    """
    return [f"{reference.rpartition(':')[0]}:{tag}" for reference in references]


def hosts_of(asked: str, hosts: Iterable[str]) -> list[str]:
    """Hosts by name, all when none is named; separated by commas or spaces. Raises SalternError for an unknown one."""
    there = list(hosts)
    names = str(asked or "").replace(",", " ").split()
    wrong = [name for name in names if name not in there]
    if wrong:
        raise SalternError(f"no host {', '.join(wrong)} in the model", hint=f"Hosts are {', '.join(there)}")
    return list(dict.fromkeys(names)) or there


def report(
    verb: str,
    answers: Mapping[str, Any],
    *,
    release: str,
    seconds: float,
) -> dict[str, Any]:
    """The answer of a verb that brings images to hosts.

    verb
        ``pull`` or ``images_import``.
    answers
        Host → reference → result of `saltern.host.fetch.fetch`; a text where the whole host failed, None where it is
        silent.
    release
        What the images are of.
    seconds
        In all.
    """
    hosts: dict[str, dict[str, Any]] = {}
    for host, found in answers.items():
        images = found if isinstance(found, Mapping) else {}
        hosts[host] = {
            "images": {name: dict(each) for name, each in images.items()},
            "silent": found is None,
            "seconds": max((float(each.get("seconds") or 0) for each in images.values()), default=0.0),
            "counts": counts(images),
            "error": "" if found is None or isinstance(found, Mapping) else str(found).removeprefix("ERROR: "),
        }
    failed = any(each["error"] or each["counts"]["failed"] for each in hosts.values())
    silent = any(each["silent"] for each in hosts.values())
    return {
        "verb": verb,
        "release": release,
        "hosts": hosts,
        "seconds": round(seconds, 1),
        "retcode": 1 if failed else 5 if silent else 0,
    }


def counts(images: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many images came to which result."""
    kinds = [each["result"] for each in images.values()]
    return {kind: kinds.count(kind) for kind in ("pulled", "loaded", "there", "failed")}


def short(answer: Any) -> dict[str, Any]:
    """One host's answer for a line of progress: ``{"counts"}``, or ``{"text"}`` where it is none."""
    if isinstance(answer, Mapping):
        return {"counts": counts(answer)}
    return {"text": "it does not answer" if answer is None else str(answer).removeprefix("ERROR: ")}


def remember_digests(state: Path, answers: Mapping[str, Any]) -> None:
    """Write down the digests of manifests that hosts have pulled, beside the ids of the images that they belong to."""
    record, changed = read_record(state), False
    for found in answers.values():
        for reference, each in (found if isinstance(found, Mapping) else {}).items():
            build = record.builds.get(reference)
            if build and each.get("digest") and each.get("id") == build.get("id"):
                changed |= build.get("digest") != each["digest"]
                build["digest"] = each["digest"]
    if changed:
        write_record(state, record)


def shipped(folder: Path, options: Options, state: Path, names: Sequence[str]) -> list[str]:
    """References of the tree's images that go to hosts.

    folder
        ``images/`` of the checkout.
    options
        The operator's choices.
    state
        Master state root, for its record.
    names
        Names or regular expressions; empty = all.

    Raises SalternError for a broken tree, a word that matches nothing, a named image that serves builds only.
    """
    tree = load(folder, options, read_record(state).packages)
    wanted = chosen(tree, folder, names) or list(tree.images)
    if names and (kept := [name for name in names if name in tree.images and tree.images[name].build_only]):
        raise SalternError(f"{', '.join(kept)} serves builds only and is never shipped", where="names")
    return [tree.images[name].reference for name in wanted if not tree.images[name].build_only]


def built(folder: Path, options: Options, state: Path) -> list[str]:
    """References of all images of the tree, those that serve builds only too: what a builder keeps."""
    return [image.reference for image in load(folder, options, read_record(state).packages).images.values()]


def pruned(answers: Mapping[str, Any], *, applied: bool) -> dict[str, Any]:
    """The answer of the verb ``images_prune``.

    answers
        Host → what `saltern.host.prune.prune` gave; a text where it failed, None where the host is silent.
    applied
        Whether images were removed.
    """
    hosts = {
        host: dict(found)
        if isinstance(found, Mapping)
        else {"error": "it does not answer" if found is None else str(found).removeprefix("ERROR: ")}
        for host, found in answers.items()
    }
    silent = any(found is None for found in answers.values())
    failed = any("error" in each for each in hosts.values())
    return {"hosts": hosts, "applied": applied, "retcode": 5 if silent else 1 if failed else 0}
