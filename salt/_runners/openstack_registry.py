"""
``salt-run openstack.pull`` and ``images_prune``: the part of the front door about images on hosts.
"""

import salt.exceptions

from saltern.contract.errors import SalternError
from saltern.images import distribute
from saltern.images import front as images
from saltern.images.record import read_record
from saltern.model.store import Store
from saltern.plan import kept
from saltern_front import bring, front
from saltern_front.crowd import Crowd

__virtualname__ = "openstack"  # Salt puts the functions of this file beside those of openstack.py


def __virtual__():
    """Always there."""
    return __virtualname__


def _front():
    return front.Front(__opts__, __salt__)


@front.reachable
def pull(hosts="", release=None):
    """
    Bring every host the images that it needs from the registry; what is there already is left alone.

    hosts : all
        Minion ids, separated by commas or spaces.

    release : None
        Images of this release instead of the pillar's, ahead of an upgrade.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.pull
        salt-run openstack.pull hosts=ctl1,ctl2
    """
    made, wrong = _front().compiled()
    if wrong:
        return wrong
    try:
        options, tree = _front().images(release=release)
        if not options.registry:
            raise SalternError(
                "no registry is configured",
                where="openstack:images:registry",
                hint="Name one, or take images to hosts by openstack.images_export and images_import",
            )
        wanted = _wanted(made, distribute.hosts_of(hosts, made["plan"]["hosts"]), options, release)
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
    _complete(wanted, made["digest"])
    questions = {host: {"wanted": each, "model": made["digest"]} for host, each in wanted.items()}
    return bring.bring(
        _front(), "pull", "openstack_image.fetch", questions,
        hosts_at_once=bring.at_once(tree), release=options.release,
    )  # fmt: skip


def _wanted(made, hosts, options, release):
    """Host → reference → what the master knows of it; only hosts that need images."""
    store, record, found = Store(_front().root), read_record(_front().root), {}
    tag = options.reference("x").rpartition(":")[2]
    for host in hosts:
        references = (store.slice(made["digest"], host) or {}).get("images") or []
        if release:
            references = distribute.with_tag(references, tag)
        if references:
            found[host] = distribute.known(record, references)
    return found


def _complete(wanted, model):
    """Where no digest is known, what the tag means now: asked once, so that all hosts get the same image."""
    references = sorted({name for each in wanted.values() for name, known in each.items() if "digest" not in known})
    if not references:
        return
    host = next(host for host, each in wanted.items() if set(each) & set(references))
    answers = _front().ask([host], "openstack_image.resolve", [references], {"model": model})
    found = answers.returns.get(host)
    for each in wanted.values():
        for name, known in each.items():
            if isinstance(found, dict) and name in found:
                known.setdefault("digest", found[name])


@front.reachable
def images_prune(hosts="", yes=False, keep=""):
    """
    Show which images of hosts nobody needs any more, or remove them. Kept is what containers use, what hosts could go
    back to, what the present model, the one before it and an open run need, and on the builder all of the tree.

    hosts : all
        Minion ids, separated by commas or spaces.

    yes : False
        Remove; else only show.

    keep : none
        Tags of which all images stay, such as a release that was pulled ahead.

    CLI Example:

    .. code-block:: bash

        salt-run openstack.images_prune
        salt-run openstack.images_prune yes=True keep=2026.1
    """
    made, wrong = _front().compiled()
    if wrong:
        return wrong
    try:
        options, tree = _front().images()
        chosen = distribute.hosts_of(hosts, made["plan"]["hosts"])
        built = distribute.built(images.folder(__opts__.get("saltern_checkout")), options, _front().root)
        builders = {host for host, roles in tree["hosts"].items() if "builder" in roles}
        builders.add(bring.builder(_front(), tree, options))
    except (salt.exceptions.CommandExecutionError, SalternError) as exc:
        return front.error(exc, front.WRONG)
    models = kept.models_kept(_front().root, made["digest"])
    path = options.reference("x").rpartition(":")[0][:-1]
    questions = {
        host: {
            "path": path,
            "keep": kept.needed(_front().root, models, host, built if host in builders else ()),
            "tags": images.words(keep),
            "apply": bool(yes),
        }
        for host in chosen
    }
    answers = Crowd(_front(), bring.at_once(tree)).ask("openstack_image.prune", questions, lambda host, answer: None)
    found = distribute.pruned(answers, applied=bool(yes))
    return front.answer("prune", found, found["retcode"])
