"""
``salt-run openstack.images_export`` and ``images_import``: images without a registry.
"""

import pathlib
import time

import salt.exceptions

from saltern.contract.errors import SalternError
from saltern.host.settings import BUNDLE_ENV
from saltern.host.store import private_directory
from saltern.images import bundle, distribute
from saltern.images import front as images
from saltern.model.store import Store
from saltern.terminal.build import megabytes
from saltern.terminal.marks import count
from saltern.terminal.marks import names as names_of
from saltern_front import bring, front

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py
LIMIT = 7200.0  # seconds an export may take


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def images_export(names="", path="", release=None, compress=False):
    """
    Write images into a bundle, for hosts and clouds that reach no registry.

    names : all
        Images, separated by commas or spaces: names, or regular expressions. By default all that are built and shipped.

    path : <saltern_state_dir>/bundles/<release>-<time>
        The bundle's directory on the master, made by this.

    release : None
        Images of this release instead of the pillar's.

    compress : False
        gzip the archive: about a third of the size, several times the seconds.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images_export
        salt-run openstack.images_export names=keystone path=/srv/keystone-bundle
    """
    try:
        options, tree = _front().images(release=release)
        checkout = images.folder(__opts__.get("saltern_checkout"))
        wanted = distribute.shipped(checkout, options, _front().root, images.words(names))
        minion = bring.builder(_front(), tree, options)
        present = images.answer_of(
            minion, "openstack_image.present", _front().ask([minion], "openstack_image.present", [wanted])
        )
        missing = [reference for reference in wanted if not present[reference]] if not images.words(names) else []
        wanted = [reference for reference in wanted if reference not in missing]
        if not wanted:
            raise SalternError("no image is built", where=minion, hint="Build them: salt-run openstack.build")
        target = _target(path, options.release)
    except images.NoAnswer as exc:
        return front.error(exc, front.UNREACHABLE)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
    return _export(minion, wanted, missing, target, options, bool(compress))


def _target(path, release):
    target = pathlib.Path(path or _front().root / "bundles" / f"{release}-{time.strftime('%Y%m%d-%H%M%S')}")
    if not target.is_absolute():
        raise SalternError("it must be absolute", where=f"path={path}", hint="The verb runs in another directory")
    if target.exists():
        raise SalternError("it is there already", where=str(target), hint="Name another path, or remove it")
    private_directory(target.parent)
    return target


def _export(minion, wanted, missing, target, options, compress):
    began = time.monotonic()
    extra = bundle.extra(_front().root, wanted)
    try:
        with bundle.Proof(target.parent) as proof:
            arguments = {
                "references": wanted, "folder": str(target), "proof": proof, "release": options.release,
                "extra": extra, "compress": compress,
            }  # fmt: skip
            answers = _front().ask([minion], "openstack_image.export", (), arguments, limit=LIMIT)
        made = images.answer_of(minion, "openstack_image.export", answers)
    except images.NoAnswer as exc:
        return front.error(exc, front.UNREACHABLE)
    except SalternError as exc:
        return front.error(exc, front.FAILED)
    seconds = time.monotonic() - began
    title = f"{count(len(made['images']), 'image')}, {megabytes(made['bytes'])} in {seconds:.1f} s: {made['folder']}"
    if made["here"]:
        after = f"salt-run openstack.images_import path={made['folder']}"
    else:
        title += f" on {minion}"
        after = f"take it to this machine (scp -r {minion}:{made['folder']} {target}), then images_import path={target}"
    lines = [f"{each['reference']}  {megabytes(each['size'])}" for each in made["images"]]
    if missing:
        short = [reference.rpartition("/")[2].rpartition(":")[0] for reference in missing]
        lines.append(f"left out, as {minion} does not have them: {names_of(short, 12)}")
    return front.answer(
        "message", {"title": title, "result": "ok", "lines": lines, "next": after, "missing": missing, **made}
    )


@front.reachable
def images_import(path, hosts=""):
    """
    Check a bundle to the last byte, then bring hosts the images of it that they need and lack.

    path
        The bundle's directory on the master.

    hosts : all
        Minion ids, separated by commas or spaces.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images_import path=/srv/bundle
    """
    made, wrong = _front().compiled()
    if wrong:
        return wrong
    root = _front().root
    try:
        served = str(root / bundle.SERVED)
        if served not in [str(each) for each in __opts__["file_roots"].get(BUNDLE_ENV) or ()]:
            hint = "Run: salt-run state.orch openstack.setup, and restart salt-master as it says"
            raise SalternError(f"the master has no saltenv {BUNDLE_ENV}", where="file_roots", hint=hint)
        options, tree = _front().images()
        chosen = distribute.hosts_of(hosts, made["plan"]["hosts"])
        opened = bundle.open_bundle(pathlib.Path(path))
        if options.release != opened.release:
            options, _ = _front().images(release=opened.release)
        there = bundle.names_here(opened, options.reference)
        wanted = {host: _wanted_by(host, made["digest"], there) for host in chosen}
        minion = bring.builder(_front(), tree, options)
        if minion in wanted:
            wanted[minion] = there
        wanted = {host: each for host, each in wanted.items() if each}
        if not wanted:
            raise SalternError("no host needs an image of it", where=path)
        name = bundle.publish(opened, root)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
    try:
        bundle.remember(opened, root, options.reference)
        questions = {host: {"archive": name, "sha256": opened.sha256, "images": each} for host, each in wanted.items()}
        return bring.bring(
            _front(), "images_import", "openstack_image.load", questions,
            hosts_at_once=bring.at_once(tree), release=opened.release,
        )  # fmt: skip
    finally:
        bundle.withdraw(name, root)


def _wanted_by(host, model, there):
    slice_ = Store(_front().root).slice(model, host) or {}
    return bundle.needed_by(there, slice_.get("images") or [])
