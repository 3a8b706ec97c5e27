"""New configuration for a running process, without a new container: files in place, kolla_set_configs, check, signal.

The container's own copy of a file is made by ``kolla_set_configs`` (run inside as the container's user), the spec's
``reload.check`` says whether the service takes it, then the signal makes it read it. What fails before the signal puts
the former files back. Killed in between, the record of what the process has loaded still names the former digest, so
the next run reloads again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saltern.contract.errors import EngineRefused, SalternError
from saltern.host import files, health
from saltern.host.context import Host
from saltern.host.spec import Spec

SET_CONFIGS = ["kolla_set_configs"]
SECONDS = 60.0


def reload(host: Host, spec: Spec, target: Path) -> None:
    """Bring the changed files to the running process.

    spec
        The container, with the content of its files.
    target
        Its configuration directory on the host, with the former content.

    Raises EngineRefused when a step says no: the former files are back and the process has not been told. Raises
    SalternError when the container is no longer healthy after the signal.
    """
    former, shown = files.read_back(target, spec), files.masked(host.store.config, spec["name"], target.name)
    files.write(host.store.config, spec, host.secrets, target=target)
    wanted = spec.get("reload") or {}
    try:
        _run(host, spec, SET_CONFIGS, "kolla_set_configs")
        if wanted.get("check"):
            _run(host, spec, list(wanted["check"]), "the check of the new configuration")
    except SalternError:
        files.restore(target, former, shown, spec)
        _run(host, spec, SET_CONFIGS, "kolla_set_configs with the former files")
        raise
    if wanted.get("signal"):
        host.engine.kill(spec["name"], str(wanted["signal"]))
    state = health.await_healthy(host, spec["name"], spec)
    if not state.ok:
        raise SalternError(f"after the reload: {state.why}", where=spec["name"], hint=state.probe)


def record(host: Host, spec: Spec) -> None:
    """Write down which configuration the running process has loaded."""
    document: dict[str, Any] = {"config": files.config_digest(spec)}
    if files.reloads(spec) and host.store.records.get(spec["name"]) != document:
        host.store.records.put(spec["name"], document)


def loaded(host: Host, spec: Spec) -> bool:
    """Whether the running process has loaded this configuration (always so without files that can be reloaded)."""
    if not files.reloads(spec):
        return True
    return (host.store.records.get(spec["name"]) or {}).get("config") == files.config_digest(spec)


def _run(host: Host, spec: Spec, argv: list[str], what: str) -> None:
    code, out, err = host.engine.exec(spec["name"], argv, timeout=SECONDS)
    if code:
        text = host.mask((err or out).decode("utf-8", "replace").strip())
        said = "; ".join(text.splitlines()[-5:]) or "nothing"
        raise EngineRefused(f"{what} ended with {code} and said: {said}", where=spec["name"])
