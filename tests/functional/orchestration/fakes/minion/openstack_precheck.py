"""State ``openstack_precheck`` of a pretended host."""

import json
import pathlib


def passed(name, cheap=False, now=None):
    """Red when the test says so."""
    file = pathlib.Path(__opts__["fake_world"]) / f"{__opts__['id']}.behaviour"
    lines = json.loads(file.read_text()).get("prechecks", []) if file.exists() else []
    return {"name": name, "result": not lines, "changes": {}, "comment": "\n".join(lines)}
