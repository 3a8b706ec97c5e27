"""State form of the checks of a host: red when one of them fails. Changes nothing."""


def passed(name, cheap=False, now=None):
    """
    This host can take what the model wants. The return's ``readings`` are those of ``openstack_precheck.run``.

    name
        Any name; it is what the output shows.

    cheap : False
        Ask the Docker Engine nothing.

    now : None
        The master's clock in epoch seconds when it sent this; None = the clock is not checked.

    .. code-block:: yaml

        Host is ready:
          openstack_precheck.passed:
            - cheap: true
    """
    answer = __salt__["openstack_precheck.run"](cheap=cheap, now=now)
    failed = [check for check in answer["checks"] if not check["ok"]]
    lines = [f"{c['name']}: {c['found']}, expected {c['expected']}. {c['hint']}".rstrip(". ") for c in failed]
    good = f"{len(answer['checks'])} checks passed"
    comment = "\n".join(lines) or good
    return {"name": name, "result": not failed, "changes": {}, "comment": comment, "readings": answer["readings"]}
