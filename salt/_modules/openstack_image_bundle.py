"""
Images of this host as files, and images that nobody needs any more: functions of ``openstack_image``.

The verbs that use them: ``salt-run openstack.images_export``, ``images_import``, ``images_prune``.
"""

import hashlib
import os
import pathlib

from salt.exceptions import CommandExecutionError

from saltern.contract.errors import SalternError
from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import bundle
from saltern.host import prune as pruning
from saltern.host.engine import Engine
from saltern.host.settings import BUNDLE_ENV
from saltern.host.store import Store

__func_alias__ = {"prune_": "prune"}
__virtualname__ = "openstack_image"  # Salt puts the functions of this file beside those of openstack_image.py


def __virtual__():
    """Always there."""
    return __virtualname__


def export(references, folder, proof=None, release="", extra=None, compress=False):
    """
    Write images of this host into a bundle.

    references
        Names with tags.

    folder
        The bundle's directory, made by this.

    proof : None
        ``{"path", "sha256"}`` of a file that the master has just made: where this host cannot read it, ``folder`` is
        another machine's, and the bundle goes into ``bundles/`` of this host's state root.

    release : ""
        What they are images of, for the manifest.

    extra : None
        Further keys of the manifest.

    compress : False
        gzip the archive.

    Returns ``{"folder", "here", "images", "bytes"}``; ``here`` is true where ``folder`` is the one that was asked for.
    Raises CommandExecutionError when an image is missing, the folder exists or the disk is full.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.export '[saltern/keystone:2025.2]' /root/keystone-bundle
    """
    here = proof is None or _same_machine(proof)
    target = pathlib.Path(folder) if here else _root() / "bundles" / os.path.basename(folder)
    made = _with_engine(
        lambda engine: bundle.save(
            engine, references, target, release=release, extra=extra or {}, compress=bool(compress)
        )
    )
    size = sum(file["size"] for file in made["files"].values())
    return {"folder": str(target), "here": here, "images": made["images"], "bytes": size}


def load(archive, sha256, images):
    """
    Load an archive of images unless they are here.

    archive
        Its path here, or its name in the saltenv ``saltern_bundle`` of the master; the fetched copy goes afterwards.

    sha256
        Of the archive.

    images
        Reference on this host → id that the image must have.

    Returns reference → ``{"result": "loaded" | "there" | "failed", "id"}``, a failed one with ``error`` and ``hint``.
    Raises CommandExecutionError when the archive cannot be fetched, is not the one that was meant, or is not taken.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.load /root/bundle/images.tar 5f2a… '{saltern/keystone:2025.2: sha256:1c…}'
    """
    fetched = []

    def bring():
        path = archive
        if not os.path.isabs(archive):
            path = __salt__["cp.cache_file"](f"salt://{archive}", saltenv=BUNDLE_ENV)
            if not path:
                raise SalternError(f"the master does not serve {archive} in the saltenv {BUNDLE_ENV}")
            fetched.append(path)
        if bundle.checksum(pathlib.Path(path)) != sha256:
            raise SalternError("it is not the archive that was meant: its checksum differs", where=path)
        return pathlib.Path(path)

    try:
        found = _with_engine(lambda engine: bundle.load(engine, bring, images, locks=_root() / "locks"))
    except OSError as exc:
        raise CommandExecutionError(f"{archive}: {exc.strerror}")
    finally:
        for path in fetched:
            os.unlink(path)
    if any(each["result"] == "failed" for each in found.values()):
        __context__["retcode"] = 1
    return found


def prune_(path, keep, tags=(), apply=False):
    """
    Remove images of ours that nothing on this host and nothing of the master's models needs.

    path
        ``{registry/}{namespace}/{prefix}`` of the cloud's images: others are not touched.

    keep
        References that stay.

    tags : ()
        Tags of which all images stay.

    apply : False
        Remove; else only say what would go.

    Returns ``{"images": [{"id", "image", "tags", "size", "unique", "left"}], "kept", "unique", "freed"}``. Raises
    CommandExecutionError while images are built, pulled or loaded here, and when this host's state cannot be read.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.prune saltern/ '[saltern/keystone:2025.2]'
    """
    return _with_engine(
        lambda engine: pruning.prune(engine, Store(_root()), path=path, keep=keep, tags=tags, apply=bool(apply))
    )


def _same_machine(proof):
    try:
        content = pathlib.Path(proof["path"]).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == proof["sha256"]


def _with_engine(work):
    try:
        with Engine(__opts__.get("saltern_docker_url", DOCKER_URL), timeout=600) as engine:
            return work(engine)
    except SalternError as exc:
        raise CommandExecutionError(str(exc))


def _root():
    return pathlib.Path(__opts__.get("saltern_root", HOST_ROOT))
