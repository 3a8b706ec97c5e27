"""State ``openstack_host`` of a pretended host: settings that differ lie in its behaviour until they are set."""

import json
import pathlib


def prepared(name, containers=None):
    """Nothing to do unless the test says so."""
    file = pathlib.Path(__opts__["fake_world"]) / f"{__opts__['id']}.behaviour"
    behaviour = json.loads(file.read_text()) if file.exists() else {}
    changes = {
        what: change
        for what, change in behaviour.get("settings", {}).items()
        if containers is None or set(containers) & set(change["containers"])
    }
    if changes and not __opts__["test"]:
        left = {what: change for what, change in behaviour["settings"].items() if what not in changes}
        file.write_text(json.dumps({**behaviour, "settings": left}))
    return {"name": name, "result": None if changes and __opts__["test"] else True, "changes": changes, "comment": ""}
