"""State ``openstack_container`` of a pretended host: its containers are a JSON file, its behaviour another."""

import json
import pathlib
import time

from saltern.contract.errors import SalternError
from saltern.host import run_guard


def _world(suffix="json"):
    return pathlib.Path(__opts__["fake_world"]) / f"{__opts__['id']}.{suffix}"


def _read(suffix):
    try:
        return json.loads(_world(suffix).read_text())
    except FileNotFoundError:
        return {}


def converged(name, containers=None, mode="deploy", volumes=False):
    """Make the pretended containers what the slice says."""
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    call = {"at": time.time(), "host": __opts__["id"], "mode": mode, "containers": containers, "test": __opts__["test"]}
    call["run"] = __pillar__.get("saltern_step", {}).get("run")
    call["jid"] = __pillar__.get("saltern_run")
    behaviour = _read("behaviour")
    try:
        part = run_guard.admitted(__pillar__, test=__opts__["test"])
    except SalternError as error:
        _log({**call, "refused": str(error)})
        return {**ret, "result": False, "comment": str(error)}
    if not __opts__["test"]:
        _world("begun").touch()
    desired = {spec["name"]: spec["image"] for spec in part["containers"]}
    here = _read("json")
    for container, action in _actions(desired, here, mode, containers):
        if container in behaviour.get("fail", []) and not __opts__["test"]:
            failure = {"image": desired[container], "exit_code": 1, "log": ["boom"], "message": "not healthy after 1 s"}
            ret["changes"][container] = {"action": action, "failure": failure}
            ret["result"] = False
            continue
        ret["changes"][container] = {"action": action, "reasons": [], "files": []}
        here.pop(container, None)
        if action in ("create", "replace"):
            here[container] = desired[container]
    if not __opts__["test"]:
        time.sleep(behaviour.get("delay", 0))
        _world().write_text(json.dumps(here))
        _world("desired").write_text(json.dumps({**_read("desired"), **here}))
    elif ret["changes"] and ret["result"]:
        ret["result"] = None
    _log({**call, "changes": sorted(ret["changes"]), "end": time.time()})
    return ret


def _actions(desired, here, mode, containers):
    if mode in ("stop", "destroy"):
        gone = [name for name in here if containers is None or name in containers]
        return [(name, "remove" if mode == "destroy" else "stop") for name in sorted(gone)]
    found = []
    for name in sorted(set(desired) | (set(here) if containers is None else set())):
        if containers is not None and name not in containers:
            continue
        if name not in desired:
            found.append((name, "remove"))
        elif name not in here:
            found.append((name, "create"))
        elif here[name] != desired[name]:
            found.append((name, "replace"))
    return found


def _log(call):
    with _world("calls").open("a") as file:
        file.write(json.dumps(call) + "\n")
