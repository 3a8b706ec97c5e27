"""
``salt-run openstack.images``: what there is of each image, and whether it is what its inputs say.
"""

import salt.exceptions

from saltern.contract.errors import SalternError
from saltern.images import front as factory
from saltern.images.overview import overview
from saltern_front import front

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def images(names="", profile="", release=None, type=None, distro=None):
    """
    Show the tree of images with their sizes: which are fresh, which are stale and why, which are missing. Asks the
    builder for one list and builds nothing.

    names : all
        Images, separated by commas or spaces: names, or regular expressions; what they need is shown too.

    profile : none
        ``infra``, ``main``, ``all``, ``enabled`` (what the pillar's services need) or profiles of
        ``openstack:images:profiles``, separated by commas; added to ``names``.

    release : None
        Images of this release instead of the pillar's.

    type : None
        ``source`` or ``binary``, instead of the pillar's.

    distro : None
        Distribution inside the images, instead of the pillar's.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images
        salt-run openstack.images names=keystone,haproxy release=2026.1
    """
    master = _front()
    try:
        wanted = {"names": factory.words(names), "profiles": factory.words(profile)}
        options, chosen = master.images(profiles=wanted["profiles"], release=release, type=type, distro=distro)
        minions = factory.builders_of(chosen["hosts"], options, master.accepted)

        roll = factory.Roll(minions)

        def ask(function, *args, **forgiven):
            answers = master.ask(roll.present, function, *args)
            return roll.ask(lambda minion: factory.answer_of(minion, function, answers), **forgiven)

        def list_all():
            return ask("openstack_image.list")

        def ask_paths(paths):
            return ask("openstack_image.fingerprints", [paths], forgiven=factory.NoAnswer)

        folder = factory.folder(__opts__.get("saltern_checkout"))
        found = overview(list_all, folder, options, state=master.root, ask_paths=ask_paths, **wanted)
        return front.answer("images", {**found, "away": roll.away()})
    except factory.NoAnswer as exc:
        return front.error(exc, front.UNREACHABLE)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
