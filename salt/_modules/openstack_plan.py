"""
The model on the master: compile it, check it, explain it, make its secrets.

Runs on the master only: ``salt['openstack_plan.compile']()`` in our orchestrations,
``__salt__["salt.cmd"]("openstack_plan.compile")`` in runners. Master options: ``saltern_checkout`` (where services and
images are), ``saltern_state_dir`` (where compiled models are kept), ``pillar_roots`` (the operator's tree lies in
``openstack/`` below them).
"""

import logging
import pathlib

import salt.loader
import salt.template
from salt.exceptions import CommandExecutionError

try:
    from saltern.contract import names
    from saltern.contract.errors import SalternError
    from saltern.model import secrets as model_secrets
    from saltern.model.explain import explain as explain_key
    from saltern.model.services import load_services
    from saltern.plan import master

    MISSING = None
except ImportError as exc:  # a minion has no jsonschema, and needs none
    MISSING = str(exc)

log = logging.getLogger(__name__)

__virtualname__ = "openstack_plan"


def __virtual__():
    """Only where the model's libraries are, which is the master."""
    return __virtualname__ if MISSING is None else (False, f"only on the master: {MISSING}")


def _inputs():
    checkout = __opts__.get("saltern_checkout") or pathlib.Path(names.__file__).resolve().parents[4]
    roots = __opts__.get("pillar_roots") or {}
    paths = [pathlib.Path(root) for root in roots.get(__opts__.get("pillarenv") or "base", [])]
    state = __opts__.get("saltern_state_dir") or names.MASTER_ROOT
    return master.Inputs(pathlib.Path(checkout), pathlib.Path(state), paths, _renderer())


def _renderer():
    # Salt's own renderers, with their default pipe; a file's "#!" line may name others (gpg, sdb, py).
    opts = __opts__
    renderers = salt.loader.render(opts, __salt__)
    default = opts.get("renderer", "jinja|yaml")

    lists = opts.get("renderer_blacklist"), opts.get("renderer_whitelist")

    def render(path):
        # Salt only logs a renderer that it does not have, and takes the file for an empty one.
        if not salt.template.template_shebang(str(path), renderers, default, *lists, ""):
            raise SalternError("its first line names no renderer that this master has")
        return salt.template.compile_template(str(path), renderers, default, *lists, "base")

    return render


def compile():
    """
    Compile the operator's tree into a model; what was compiled before is found again.

    Writes ``compiled/<digest>/`` and nothing else, never switches the current model, never raises: wrong input comes
    back in ``errors``. Gives ``{"digest": text, "errors": list, "plan": mapping or None}``.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.compile
    """
    try:
        return master.compile_master(_inputs())
    except Exception as exc:  # in an orchestration's Jinja a traceback would hide what is wrong
        log.error("Cannot compile the model: %s", type(exc).__name__, exc_info_on_loglevel=logging.DEBUG)
        return master.failed(
            f"{type(exc).__name__}: {exc}" if isinstance(exc, (OSError, SalternError)) else type(exc).__name__
        )


def validate():
    """
    Every fault of the operator's tree and of the service folders, or what the model holds.

    Gives ``{"errors": list, "digest": text, "cloud": text, "hosts": number, "containers": number}``.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.validate
    """
    made = compile()
    plan = made["plan"] or {}
    return {
        "digest": made["digest"],
        "errors": made["errors"],
        "cloud": plan.get("cloud", ""),
        "release": plan.get("release", ""),
        "hosts": len(plan.get("hosts", {})),
        "containers": sum(len(host["containers"]) for host in plan.get("hosts", {}).values()),
        "services": len({container["service"] for container in plan.get("containers", {}).values()}),
    }


def explain(file, key, container=None, host=None):
    """
    Who set a key of a configuration file, weakest first; the last one counts.

    file
        Name of the file: ``keystone.conf``.

    key
        ``<section>.<key>``: ``DEFAULT.debug``.

    container
        Only this container. Default: all that have the file.

    host
        Only this minion id. Default: all.

    Raises CommandExecutionError when the model has errors or knows no such file or key.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.explain keystone.conf DEFAULT.debug
    """
    try:
        inputs = _inputs()
        made = master.compile_master(inputs)
        return explain_key(master.origins(inputs, made), file, key, container=container, host=host)
    except SalternError as exc:
        raise CommandExecutionError(str(exc))


def changes(old, new):
    """
    Keys of the operator's tree that differ between two compiled models.

    old
        Digest of the former model.

    new
        Digest of the later model.

    Gives a list of ``{"key", "file", "line", "old", "new"}``; secrets are never in it. Empty when a model is gone.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.changes 4f1c9a0d2b3e4f50 7be210aa01c2d3e4
    """
    return master.changes(_inputs(), old, new)


def secrets_generate():
    """
    Make every secret that a service declares and the tree does not have, in ``openstack/secrets.sls`` (mode 0600).

    Existing ones are never touched. Gives ``{"made": [names], "file": path}``, never a value.

    Raises CommandExecutionError when the tree cannot be read or the file cannot be written.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.secrets_generate
    """
    inputs = _inputs()
    try:
        tree = inputs.tree()
        services = load_services(inputs.checkout / master.SERVICES)
        return model_secrets.generate(inputs.pillar_roots, tree, services)
    except (SalternError, OSError) as exc:
        raise CommandExecutionError(str(exc))


def images():
    """
    What the operator's tree says about images, and which hosts may build them; no model is needed for it.

    Gives ``{"release": text or None, "images": mapping, "hosts": {minion id: roles}}``.

    Raises CommandExecutionError when the tree cannot be read.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_plan.images
    """
    try:
        tree = _inputs().tree()
    except (SalternError, OSError) as exc:
        raise CommandExecutionError(str(exc))
    if tree.problems:
        raise CommandExecutionError(f"{len(tree.problems)} errors in the model: salt-run openstack.validate")
    hosts = tree.data.get("hosts") or {}
    return {
        "release": tree.data.get("release"),
        "images": tree.data.get("images") or {},
        "hosts": {host: list((entry or {}).get("roles") or []) for host, entry in hosts.items()},
    }
