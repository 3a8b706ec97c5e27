"""
``salt-run openstack.build``: the part of the front door that is about images.
"""

import sys

import salt.client
import salt.exceptions
import salt.utils.event
import salt.utils.jid

from saltern.contract.errors import SalternError
from saltern.images import front as images
from saltern.plan.ask import Asker
from saltern.terminal import build_live as building
from saltern.terminal import noise
from saltern_front import front

BUILD_LIMIT = 7200.0  # seconds one image may take

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def build(
    names="", profile="", release=None, type=None, distro=None, push=False, refresh=False,
    only_render=False, list_dependencies=False,
):  # fmt: skip
    """
    Build the images whose inputs have changed, on the builder; when nothing has changed, nothing is asked of it but a
    list.

    names : all
        Images, separated by commas or spaces: names, or regular expressions that are searched for in names
        (``^nova-``). What they need is built too.

    profile : none
        ``infra``, ``main``, ``all``, ``enabled`` (what the pillar's services need) or profiles of
        ``openstack:images:profiles``, separated by commas; added to ``names``.

    release : None
        Build for this release instead of the pillar's.

    type : None
        ``source`` or ``binary``, instead of the pillar's.

    distro : None
        Distribution inside the images, instead of the pillar's.

    push : False
        Push the shipped images to the registry afterwards.

    refresh : False
        Ask the mirror first: images with outdated packages of the distribution are rebuilt.

    only_render : False
        Write the Dockerfiles and build nothing.

    list_dependencies : False
        Show what each image needs and build nothing.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.build
        salt-run openstack.build names=keystone,haproxy refresh=True
        salt-run openstack.build profile=enabled
        salt-run openstack.build profile=main type=binary release=2025.1
    """
    try:
        wanted = {"names": images.words(names), "profiles": images.words(profile)}
        options, chosen = _front().images(profiles=wanted["profiles"], release=release, type=type, distro=distro)
        folder = images.folder(__opts__.get("saltern_checkout"))
        if list_dependencies:
            return front.answer("dependencies", images.needs_all(folder, options, state=_front().root, **wanted))
        if only_render:
            files = images.render_all(folder, options, state=_front().root, **wanted)
            lines = [f"{name}: {path}" for name, path in files.items()]
            title = f"{len(files)} Dockerfiles rendered"
            return front.answer("message", {"title": title, "result": "ok", "lines": lines})
        minions = images.builders_of(chosen["hosts"], options, _front().accepted)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
    return _build_on(minions, folder, options, {**wanted, "refresh": bool(refresh), "push": bool(push)})


def _build_on(minions, folder, options, wanted):
    noise.quiet()
    opts, jids = dict(__opts__), {}  # dunders are empty in the threads that build

    def asker(minion):
        def new_jid():
            jid = salt.utils.jid.gen_jid(opts)
            jids[jid] = minion
            return jid

        def ask(function, kwargs):
            with salt.client.LocalClient(mopts=dict(opts)) as client:
                answers = Asker(client, new_jid).ask([minion], function, (), kwargs, limit=BUILD_LIMIT, tracked=True)
            jids.pop(answers.jid, None)
            return images.answer_of(minion, function, answers)

        return ask

    model = _model() if options.registry and (wanted["push"] or len(minions) > 1) else None
    where = {"suite": options.suite, "mirrors": options.mirrors, "distro": options.distro}
    builders = {minion: images.MinionBuilder(asker(minion), **where, model=model) for minion in minions}
    try:
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=True) as bus:
            bus.subscribe(images.EVENTS)
            with building.Painter(sys.stderr, next_event=images.events_of(bus)) as painter:
                made = images.build_all(builders, folder, options, state=_front().root, **wanted, report=painter.feed)
    except (KeyboardInterrupt, SystemExit):  # salt-run makes the latter of Ctrl-C
        for jid, minion in sorted(jids.items()):  # its connection closed, the engine ends the build
            _front().ask([minion], "saltutil.term_job", [jid])
        hint = "What is finished stays. Go on: salt-run openstack.build"
        message = f"interrupted; the builds on {', '.join(minions)} are ended"
        return front.answer("error", {"message": message, "hint": hint}, front.FAILED)
    except images.NoAnswer as exc:
        return front.error(exc, front.UNREACHABLE)
    except SalternError as exc:
        return front.error(exc, front.WRONG)
    return front.answer("build", {**made, "builder": ", ".join(made["builders"])}, made["retcode"])


def _model():
    """The model whose credentials builders use; None before there is one that holds."""
    made, wrong = _front().compiled()
    return None if wrong else made["digest"]
