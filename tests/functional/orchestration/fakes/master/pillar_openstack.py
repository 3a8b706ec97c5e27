"""ext_pillar ``openstack``, as docs/interfaces.md section 3 says, without a compiler."""

import json
import pathlib

from saltern.plan import compiled
from saltern.plan.lock import RunLock


def ext_pillar(minion_id, pillar):
    """The slice of the model that the step names, else of the open run's, else of the current one."""
    root = pathlib.Path(__opts__["saltern_state_dir"])
    holder = RunLock(root).read()
    model = pillar.get("saltern_step", {}).get("model") or (holder.model if holder else compiled.current(root))
    path = root / "compiled" / str(model) / "hosts" / f"{minion_id}.json"
    found = {"saltern": json.loads(path.read_text())} if path.exists() else {}
    return {**found, "saltern_run": holder.run} if holder else found
