"""State ``openstack_toolbox`` of a pretended host: databases and jobs are names in a JSON file."""

import json
import pathlib

from saltern.contract.errors import SalternError
from saltern.host import run_guard


def _file():
    return pathlib.Path(__opts__["fake_world"]) / "toolbox.json"


def _done():
    try:
        return json.loads(_file().read_text())
    except FileNotFoundError:
        return []


def compared(name):
    """What is due, by service; red while the toolbox does not run."""
    here = pathlib.Path(__opts__["fake_world"]) / f"{__opts__['id']}.json"
    if "kolla_toolbox" not in (here.read_text() if here.exists() else ""):
        return {"name": name, "result": False, "changes": {}, "comment": "the toolbox does not run"}
    due = {}
    if "prepare keystone" not in _done():
        due["database"] = [{"kind": "database", "name": "keystone", "what": "create"}]
    if "register keystone" not in _done():
        due["identity"] = [{"kind": "user", "name": "admin", "what": "create"}]
    changes = {"keystone": due} if due else {}
    return {"name": name, "result": None if changes else True, "changes": changes, "comment": ""}


def prepared(name, service):
    """Databases and jobs before the start."""
    return _do(
        name, f"prepare {service}", {"database": [{"kind": "database", "name": service}], "jobs": [{"name": "db_sync"}]}
    )


def registered(name, service):
    """Identity and jobs after the start."""
    return _do(name, f"register {service}", {"identity": [{"kind": "user", "name": service}]})


def _do(name, what, changes):
    try:
        run_guard.admitted(__pillar__)
    except SalternError as error:
        return {"name": name, "result": False, "changes": {}, "comment": str(error)}
    done = _done()
    if what in done:
        return {"name": name, "result": True, "changes": {}, "comment": "As the model says"}
    _file().write_text(json.dumps([*done, what]))
    return {"name": name, "result": True, "changes": changes, "comment": "Put right"}
