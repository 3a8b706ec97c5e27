"""Who set a key of a configuration file (``salt-run openstack.explain``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import SalternError
from saltern.model.problems import did_you_mean, listed


def explain(
    origins: Mapping[str, Any], file: str, key: str, *, container: str | None = None, host: str | None = None
) -> dict[str, Any]:
    """The chain of settings of a key, weakest first.

    origins
        ``origins.json`` of a compiled model.
    file
        Name of the file.
    key
        ``<section>.<key>``.
    container, host
        Only these.

    Gives ``{"file", "key", "containers": {name: [{"value", "who", "where", "hosts"}]}}``; ``hosts`` is None where a
    setting holds on all hosts of the container. Raises SalternError for a file, container or key that is not there.
    """
    if file not in origins:
        raise SalternError(f"no INI file {file!r} in the model", hint=_hint(file, list(origins)))
    containers = origins[file]
    if container is not None and container not in containers:
        raise SalternError(f"container {container!r} has no file {file}", hint=_hint(container, list(containers)))
    chosen = {name: keys for name, keys in containers.items() if container in (None, name)}
    found = {name: _on_host(keys[key], host) for name, keys in chosen.items() if key in keys}
    if not found:
        known = sorted({k for keys in chosen.values() for k in keys})
        near = did_you_mean(key, known)
        raise SalternError(
            f"nobody sets {key} in {file}", hint=_sentence(near) or "Write it as section.key: DEFAULT.debug"
        )
    return {"file": file, "key": key, "host": host, "containers": found}


def _on_host(settings: list[dict[str, Any]], host: str | None) -> list[dict[str, Any]]:
    if host is None:
        return settings
    return [{**s, "hosts": [host]} for s in settings if s["hosts"] is None or host in s["hosts"]]


def _hint(word: str, choices: list[str]) -> str:
    return _sentence(did_you_mean(word, choices)) or f"There are: {listed(sorted(choices))}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
