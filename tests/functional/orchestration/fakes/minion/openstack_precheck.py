"""State ``openstack_precheck`` of a pretended host."""

import json
import pathlib


def passed(name, cheap=False, now=None):
    """Red when the test says so; with the readings that it says."""
    file = pathlib.Path(__opts__["fake_world"]) / f"{__opts__['id']}.behaviour"
    told = json.loads(file.read_text()) if file.exists() else {}
    lines, readings = told.get("prechecks", []), told.get("readings", {})
    return {"name": name, "result": not lines, "changes": {}, "comment": "\n".join(lines), "readings": readings}
