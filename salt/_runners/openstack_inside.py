"""
``salt-run openstack.images_diff`` and ``images_sbom``: the part of the front door that tells what is inside images.
"""

import salt.exceptions

from saltern.contract.errors import SalternError
from saltern.images import difference, sbom
from saltern.images import front as images
from saltern.images.record import read_record
from saltern.images.tree import load
from saltern_front import front

LIMIT = 600.0  # seconds to read two images

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


def _asked(work, host=None, release=None):
    """What ``work(builder, options)`` says, or the answer that tells what is wrong."""
    try:
        options, chosen = _front().images(release=release)
        minion = host or images.builder_of(chosen["hosts"], options, _front().accepted)

        def ask(function, kwargs):
            return images.answer_of(minion, function, _front().ask([minion], function, (), kwargs, limit=LIMIT))

        return work(images.MinionBuilder(ask, suite=options.suite, distro=options.distro), options)
    except images.NoAnswer as exc:
        return front.error(exc, front.UNREACHABLE)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)


@front.reachable
def images_diff(a, b, host=None):
    """
    Show what differs between two images: packages, configuration, files. Nothing of them is executed.

    a, b
        The images: references, ids, or names of the tree (of the release in the pillar).

    host : the builder
        The minion that has both.

    The exit code is 0 when they are equal but for times, 3 when they differ.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images_diff saltern/keystone:2025.2 saltern/keystone:2026.1
        salt-run openstack.images_diff keystone 5762348048d9 host=ctl1
    """

    def work(builder, options):
        references = [difference.reference(str(each), options) for each in (a, b)]
        found = difference.difference(builder.compared(*references))
        return front.answer(
            "images_diff", {**found, "references": references}, front.GOOD if found["same"] else front.DIFFERS
        )

    return _asked(work, host)


@front.reachable
def images_sbom(image, release=None):
    """
    Say where the bill of material of an image lies (CycloneDX, one for each build) and which licences it names; made
    from the builder's image where there is none.

    image
        A name of the tree.

    release : None
        Of this release instead of the pillar's.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images_sbom keystone
    """

    def work(builder, options):
        root = _front().root
        record = read_record(root)
        tree = load(images.folder(__opts__.get("saltern_checkout")), options, record.packages)
        tree.select([image])
        found = tree.images[image]
        path, how = sbom.of_image(builder, found, options, record, root)
        data = {"reference": found.reference, "path": str(path), "how": how, **sbom.summary(path)}
        return front.answer("images_sbom", data)

    return _asked(work, release=release)
