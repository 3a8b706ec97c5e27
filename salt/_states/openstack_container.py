"""What this host's containers should be.

.. code-block:: yaml

    Containers are as the model says:
      openstack_container.converged:
        - containers: [memcached, keystone]
"""

from salt.exceptions import CommandExecutionError

DONE = {
    "create": "started",
    "replace": "replaced",
    "start": "started",
    "reload": "reloaded",
    "remove": "removed",
    "stop": "stopped",
    "equivalent": "recorded",
}


def converged(name, containers=None, mode="deploy", volumes=False):
    """
    This host's containers are as the model says: one state for a host and a wave, however many containers.

    Refuses without a valid model and when the run that asked is no longer open.

    name
        Any name; it is what the output shows.

    containers : None
        Names; None = all, and those of the cloud that the model does not know are removed.

    mode : deploy
        deploy; reconfigure (images stay as they run, nothing is created); start; stop; destroy.

    volumes : False
        With destroy: remove the containers' volumes and the data in them too.

    .. code-block:: yaml

        Keystone is as the model says:
          openstack_container.converged:
            - containers: [keystone]
            - mode: deploy
    """

    def work():
        if not __opts__["test"]:
            return __salt__["openstack_container.converge"](containers=containers, mode=mode, volumes=volumes)
        found = __salt__["openstack_container.compare"](mode=mode, containers=containers)["containers"]
        return {key: change for key, change in found.items() if change["action"] != "none"}

    return _state(name, work)


def running(name, image=None, **kwargs):
    """
    One container runs and is healthy. With an image it is an operator's own and needs no model; without one it is the
    container of this name out of the model.

    name
        Name of the container: lower case letters, digits, underscores.

    image : None
        Reference or id of an image on this host; None = take all from the model.

    kwargs
        Fields of a container's spec (docs/interfaces.md, section 4): command, user, environment, writable, mounts,
        capabilities, limits, restart, liveness, readiness, process, files, ...; and ``layout: kolla`` for an image
        that Kolla built (docs/contract.md).

    .. code-block:: yaml

        my_cache:
          openstack_container.running:
            - image: saltern/memcached:2025.2
            - uid: 42457
            - command: [memcached, -l, 127.0.0.1, -p, '11222']
            - limits: {memory: 64M, pids: 64}
            - liveness: {tcp: '127.0.0.1:11222', interval: 5, timeout: 3, failures: 3}
    """
    arguments = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    if image is None and not arguments:
        return converged(name, containers=[name])
    if image is None:
        return _red(name, "an own container needs an image; without arguments it is taken from the model")
    test = bool(__opts__["test"])
    return _state(name, lambda: __salt__["openstack_container.ensure"](name, image, arguments=arguments, test=test))


def absent(name, volumes=False):
    """
    One container is not there, nor what was committed for it and its configuration.

    name
        Name of the container.

    volumes : False
        Remove its volumes and the data in them too.

    .. code-block:: yaml

        my_cache:
          openstack_container.absent: []
    """
    test = bool(__opts__["test"])
    return _state(name, lambda: __salt__["openstack_container.remove"](name, volumes=volumes, test=test))


def _state(name, work):
    try:
        changes = work()
    except CommandExecutionError as error:
        return _red(name, str(error))
    lines = [_line(container, change) for container, change in changes.items()]
    failed = any("failure" in change for change in changes.values())
    result = False if failed else None if changes and __opts__["test"] else True
    return {"name": name, "result": result, "changes": changes, "comment": "\n".join(lines) or "As the model says"}


def _line(container, change):
    """One container in words; of a failed one all that an operator needs, as Salt's own output shows nothing else."""
    failure = change.get("failure")
    if failure is not None:
        told = [f"{container}: {failure.get('message', 'failed')}"]
        told += [f"  probe: {failure['probe']}"] if failure.get("probe") else []
        return "\n".join([*told, *(f"  log: {line}" for line in failure.get("log") or [])])
    fields = ", ".join(str(reason["field"]) for reason in change.get("reasons") or [])
    verb = f"would be {DONE[change['action']]}" if __opts__["test"] else DONE[change["action"]]
    return f"{container}: {verb}" + (f" ({fields})" if fields else "")


def _red(name, comment):
    return {"name": name, "result": False, "changes": {}, "comment": comment}
