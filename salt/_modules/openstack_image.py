"""Images on this host: build one from a rendered context, list them, say which are missing, remove them.

The tree of images, their digests and what has to be built are the master's: ``salt-run openstack.build``.

.. code-block:: bash

    salt builder openstack_image.list
"""

import os
import pathlib
import time

from salt.exceptions import CommandExecutionError

from saltern.contract import events
from saltern.contract.errors import BuildFailed, SalternError
from saltern.contract.names import DOCKER_URL, HOST_ROOT
from saltern.host import build as building
from saltern.host import build_base, build_refresh, inside
from saltern.host import places as host_places
from saltern.host.build_settings import gather
from saltern.host.engine import Engine, image_ids

__func_alias__ = {"list_": "list"}

CONTEXTS = "saltern_build"  # the saltenv in which the master publishes build contexts, and nothing else


def build(
    image, reference, labels, context, network="host", suite="trixie", mirrors=None, distro="debian",
    smoke=(), shipped=False, root=False, setuid=(), places=(),
):  # fmt: skip
    """
    Build one image with the classic builder; the former one keeps its tag until the new one is whole.

    image
        Its name in the tree of images.

    reference
        Name and tag it gets.

    labels
        Labels of the image.

    context
        Tar file with the Dockerfile and what it copies: a path here, or its name in the saltenv ``saltern_build``.

    network : host
        Network of the build's steps.

    suite : trixie
        The images' suite, into which this host's apt sources are translated.

    mirrors : None
        ``{"apt": address, "pypi": address}`` instead of this host's own.

    distro : debian
        The images' distribution: what is installed with dnf gets none of this host's apt sources.

    smoke : none
        Commands that must succeed in the image before it is tagged.

    shipped : False
        Whether hosts get it: then it must hold nothing of how it was built, and the start contract is tried in it.

    root : False
        Whether its user may be root.

    setuid : none
        Files that may have another user's rights.

    places : none
        Files and folders of this host that are added to the context: a list of ``{"path", "into", "digest"}``, as
        ``openstack_image.fingerprints`` gives digests; the build fails where the content is another one by now.

    Fires ``openstack/build/<image>/start``, ``step`` and ``end``. Returns ``{"result": "built", "id", "seconds",
    "size", "layers"}``, for shipped images with ``packages``; or ``{"result": "failed", "error", "where", "step",
    "log"}`` with the failing step's last lines. Raises CommandExecutionError when no engine answers or the context
    cannot be fetched.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.build tiny example/tiny:1 '{}' /root/tiny.tar
    """
    request = building.BuildRequest(
        image,
        reference,
        dict(labels),
        _context(context),
        network,
        smoke=tuple(smoke),
        shipped=shipped,
        root=root,
        setuid=tuple(setuid),
        places=tuple(host_places.Place(**place) for place in places),
    )
    return _build(building.build, request, suite, mirrors, distro)


def import_base(image, reference, labels, suite="trixie", packages=("ca-certificates",), mirrors=None, distro="debian"):
    """
    Make the distribution's image from its own packages with mmdebstrap.

    image
        Its name in the tree of images.

    reference
        Name and tag it gets.

    labels
        Labels of the image.

    suite : trixie
        The suite.

    packages : ca-certificates
        Packages beyond the minimal set.

    mirrors : None
        ``{"apt": address}`` instead of this host's own.

    distro : debian
        The distribution, ``debian`` or ``ubuntu``.

    Events and returns as ``openstack_image.build``.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.import_base distro example/distro:1 '{}'
    """
    request = build_base.BaseRequest(image, reference, dict(labels), suite, tuple(packages))
    return _build(build_base.import_base, request, suite, mirrors, distro)


def list_():
    """
    All images here that carry our label, tagged or not, by one call of the engine.

    Returns a list of ``{"id", "tags", "image", "inputs", "release", "size"}``. Raises CommandExecutionError when no
    engine answers.

    CLI Example:

    .. code-block:: bash

        salt '*' openstack_image.list
    """
    return _with_engine(building.listing)


def present(references):
    """
    Which images are on this host.

    references
        Names with tags, or ids.

    Returns reference → id, None for those that are missing. Raises CommandExecutionError when no engine answers.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_image.present '[saltern/keystone:2025.2]'
    """
    known = _with_engine(lambda engine: image_ids(engine.images()))
    return {reference: known.get(reference) for reference in references}


def tag(image_id, reference):
    """
    Give an image a further name.

    image_id
        Its id or another of its names.

    reference
        The further name.

    Raises CommandExecutionError when there is no such image.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.tag saltern/mariadb:2025.2 saltern/mariadb:2026.1
    """
    _with_engine(lambda engine: building.tag(engine, image_id, reference))
    return True


def remove(reference):
    """
    Remove an image.

    reference
        Its name or id.

    Raises CommandExecutionError when a container still uses it.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.remove saltern/keystone:2024.1
    """
    _with_engine(lambda engine: building.remove(engine, reference))
    return True


def outdated(images, asker, suite="trixie", mirrors=None, network="host", distro="debian"):
    """
    Which packages of the distribution have newer versions than images here hold.

    images
        Name in the tree → reference.

    asker
        Reference of an image with apt, in which the question is asked.

    suite : trixie
        The images' suite.

    mirrors : None
        ``{"apt": address}`` instead of this host's own.

    network : host
        Network of the asking container.

    distro : debian
        The images' distribution, ``debian`` or ``ubuntu``.

    Returns image → package → newer version. Raises CommandExecutionError when the mirror does not answer.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.outdated '{base: saltern/base:2025.2}' saltern/base:2025.2
    """
    return _with_engine(
        lambda engine: build_refresh.outdated(
            engine, images, asker, gather(suite, mirrors, distro=distro), network=network
        )
    )


def fingerprints(paths):
    """
    Digests of checkouts, sdists and wheels here, of which images are built.

    paths
        Files and folders.

    Returns path → digest of names, executable bits and content (git's data, caches and former builds left out), None
    where there is nothing. Raises CommandExecutionError for what is no Python project and what cannot be read.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.fingerprints '[/srv/git/keystone]'
    """
    try:
        return host_places.fingerprints(paths)
    except SalternError as exc:
        raise CommandExecutionError(str(exc))


def contents(reference):
    """
    What is inside an image: its packages with versions and licences, and its configuration. Nothing of it is executed.

    reference
        Its name or id.

    Returns ``{"id", "size", "created", "config", "distribution", "python"}``, sizes in bytes. Raises
    CommandExecutionError when there is no such image.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.contents saltern/keystone:2025.2
    """
    found = _with_engine(lambda engine: inside.contents(engine, reference, files=False))
    del found["files"]
    return found


def compared(a, b):
    """
    Two images beside each other: the packages and the configuration of both, and the files that differ.

    a, b
        Their names or ids.

    Returns ``{"a", "b", "files": {"added", "removed", "changed"}}``. Raises CommandExecutionError when one is missing.

    CLI Example:

    .. code-block:: bash

        salt builder openstack_image.compared saltern/keystone:2025.2 saltern/keystone:2026.1
    """
    return _with_engine(lambda engine: inside.compared(engine, a, b))


def _build(work, request, suite, mirrors, distro):
    locks = pathlib.Path(__opts__.get("saltern_root", HOST_ROOT)) / "locks"
    try:
        return _with_engine(
            lambda engine: (
                work(engine, request, gather(suite, mirrors, distro=distro), locks=locks, report=_report()).as_dict()
                | {"result": "built"}
            ),
            translate=False,
        )
    except BuildFailed as exc:
        __context__["retcode"] = 1
        return {
            "result": "failed", "error": exc.message, "where": exc.where, "hint": exc.hint,
            "step": getattr(exc, "step", ""), "log": getattr(exc, "log", []),
        }  # fmt: skip
    except SalternError as exc:
        raise CommandExecutionError(str(exc))


def _with_engine(work, translate=True):
    try:
        with Engine(__opts__.get("saltern_docker_url", DOCKER_URL), timeout=600) as engine:
            return work(engine)
    except SalternError as exc:
        if not translate:
            raise
        raise CommandExecutionError(str(exc))


def _report():
    send = __salt__["event.send"]
    cloud = (__pillar__.get("saltern") or {}).get("cloud", "")

    def report(kind, data):
        send(events.build_tag(data["image"], kind), events.stamped(cloud, time.time(), **data))

    return report


def _context(context):
    """The context as a file here."""
    if os.path.isabs(context) and os.path.isfile(context):
        return pathlib.Path(context)
    cached = __salt__["cp.cache_file"](f"salt://{os.path.basename(context)}", saltenv=CONTEXTS)
    if not cached:
        raise CommandExecutionError(
            f"The build context {os.path.basename(context)} is neither here nor in the saltenv {CONTEXTS} of the master"
        )
    return pathlib.Path(cached)
