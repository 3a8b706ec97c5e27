"""What Saltern adds to the configuration of a salt-master and of a salt-minion that somebody else owns.

Salt reads the main file and then puts each included file's keys *over* it; only lists of included files are joined
with each other. A list in ``master.d/openstack.conf`` thus hides the main file's list of the same name, the
operator's own ``ext_pillar`` or ``file_roots``. So what we write repeats the main file's part and adds ours, and
plain values are set only where nobody else set them.

Pure functions: reading and writing files is the adapter's work. The file is written again by ``openstack.setup``; its
digest (option ``saltern_setup``) tells whether a running daemon has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract.digests import digest

Settings = dict[str, Any]

FILE = "openstack.conf"
DIGEST = "saltern_setup"
BUILD_ENV = "saltern_build"
BUNDLE_ENV = "saltern_bundle"  # archives of images, while hosts fetch them

# A connection that was cut without a word is noticed within seconds; by Salt's defaults it takes minutes.
KEEPALIVE: Settings = {
    "tcp_keepalive": True,
    "tcp_keepalive_idle": 3,
    "tcp_keepalive_cnt": 3,
    "tcp_keepalive_intvl": 2,
    "zmq_heartbeat_ivl": 2000,
    "zmq_heartbeat_timeout": 5000,
}
# A minion that is busy with a state may answer late: by the default of 10 s its step would count as failed.
# New files are seen at once, else a sync misses them for 20 s.
# Each parallel step of a run is a process of 9 MiB: more than eight at once gain nothing.
LIMITS: Settings = {"gather_job_timeout": 60, "fileserver_list_cache_time": 0, "state_max_parallel": 8}

REACTIONS = {
    "openstack/health/*/*/failed": "salt://openstack/reactor/failed.sls",
    "openstack/health/*/nova_compute/healthy": "salt://openstack/reactor/healthy.sls",
}


def master(checkout: str, state_root: str, main: Mapping[str, Any], others: Mapping[str, Any]) -> Settings:
    """What ``master.d/openstack.conf`` holds, its digest included.

    checkout
        Directory of Saltern on the master. Only its ``states`` and ``salt`` are published, never its root or the
        pillar.

    state_root
        Master state root; build contexts lie below it, in a saltenv of their own.

    main
        The master's main configuration file, parsed.

    others
        What the other included files say, joined as Salt does.
    """
    theirs = _visible(main, others)
    roots = {env: list(paths or []) for env, paths in (theirs.get("file_roots") or {}).items()}
    roots["base"] = _joined(roots.get("base"), [f"{checkout}/states", f"{checkout}/salt"])
    roots[BUILD_ENV] = [f"{state_root}/build-contexts"]
    roots[BUNDLE_ENV] = [f"{state_root}/bundles-served"]
    wanted: Settings = {
        "saltern_checkout": checkout,
        "saltern_state_dir": state_root,
        "file_roots": roots,
        "module_dirs": _joined(theirs.get("module_dirs"), [f"{checkout}/salt"]),
        "ext_pillar": _joined(theirs.get("ext_pillar"), [{"openstack": {}}]),
        "engines": _with_engine(theirs.get("engines"), "openstack_recovery"),
        "reactor": _with_reactions(theirs.get("reactor")),
        **_unset({**LIMITS, **KEEPALIVE}, main, others),
    }
    return {**wanted, DIGEST: digest(wanted)}


def minion(code: str, main: Mapping[str, Any], others: Mapping[str, Any]) -> Settings:
    """What ``minion.d/openstack.conf`` holds, its digest included.

    code
        Digest of the health engine's code on this host: the engine is started with the minion, so that new code asks
        for a restart as a new setting does.

    main, others
        As for ``master``.
    """
    wanted: Settings = {
        "engines": _with_engine(_visible(main, others).get("engines"), "openstack_health"),
        **_unset(KEEPALIVE, main, others),
    }
    return {**wanted, DIGEST: digest({**wanted, "code": code})}


def not_in_effect(wanted: Mapping[str, Any], effective: Mapping[str, Any]) -> list[str]:
    """Keys of ``wanted`` that the configuration, as Salt reads it, lacks: a file read later hides them."""
    return sorted(key for key, value in wanted.items() if not _contains(effective.get(key), value))


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_contains(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(item in found for item in wanted)
    return bool(found == wanted)


def _visible(main: Mapping[str, Any], others: Mapping[str, Any]) -> Settings:
    """The main file's keys that count: one that another included file sets is hidden already, and must stay hidden."""
    return {key: value for key, value in main.items() if key not in others}


def _with_engine(theirs: Any, name: str) -> list[Any]:
    """Their engines and ours, unless they run it with settings of their own."""
    configured = _joined(theirs, [])
    if any(item == name or (isinstance(item, Mapping) and name in item) for item in configured):
        return configured
    return [*configured, {name: {}}]


def _joined(theirs: Any, ours: list[Any]) -> list[Any]:
    """Their list, as it is, and then what of ours it lacks."""
    base = theirs if isinstance(theirs, list) else [theirs] if theirs else []
    return [*base, *(item for item in ours if item not in base)]


def _with_reactions(theirs: Any) -> list[Any]:
    """Their reactors, and ours unless one of theirs for that tag has ours among its own. Salt takes one tag an item."""
    configured = _joined(theirs, [])

    def there(tag: str, file: str) -> bool:
        return any(isinstance(item, Mapping) and file in (item.get(tag) or ()) for item in configured)

    return [*configured, *({tag: [file]} for tag, file in REACTIONS.items() if not there(tag, file))]


def _unset(values: Settings, main: Mapping[str, Any], others: Mapping[str, Any]) -> Settings:
    """Those of ``values`` that no other file sets: an operator's own choice stays."""
    return {key: value for key, value in values.items() if key not in main and key not in others}
