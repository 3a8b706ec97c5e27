"""From a container's spec (docs/interfaces.md, section 4) to the body of ``POST /containers/create`` and its digest.

The body says only what the spec says and is normalised: lists that are sets are sorted, units are numbers. So the same
wish has the same digest, on every host and after every compile. `NORMALISER` is part of the label: when this file
learns to say something in another way, containers made before are compared field by field instead of being replaced.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from saltern.contract.digests import digest as digest_of
from saltern.contract.errors import SalternError
from saltern.contract.names import (
    LABEL_CLOUD,
    LABEL_CONTAINER,
    LABEL_JOB,
    LABEL_OWN,
    LABEL_RESTART,
    LABEL_SERVICE,
    LABEL_SPEC,
)

NORMALISER = 1
CONFIG_TARGET = "/var/lib/kolla/config_files"
STOP_TIMEOUT = 10
START_TIMEOUT = 60
ALL_OF_PROC = "systempaths=unconfined"  # of `security`: nothing of /proc and /sys is hidden or read-only

Spec = dict[str, Any]
Body = dict[str, Any]

_SECOND = 1_000_000_000  # the API counts nanoseconds
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def body(spec: Spec, image_id: str, config_dir: Path | None, *, job: str | None = None) -> Body:
    """Body for ``POST /containers/create``, its spec label included.

    spec
        The container.
    image_id
        Id of the image to run (``sha256:…``); deployed by id, so that a moved tag changes nothing by itself.
    config_dir
        Directory to mount at `CONFIG_TARGET`; None = no configuration.
    job
        Name of the job, for one-shot containers: they never restart and are labelled so.

    Raises SalternError for a value that has no meaning (a size such as ``1Q``).
    """
    made: Body = {
        "Image": image_id,
        "Env": sorted(f"{key}={value}" for key, value in (spec.get("environment") or {}).items()),
        "Labels": _labels(spec, job),
        "Healthcheck": _healthcheck(spec.get("healthcheck")),
        "StopTimeout": int(spec.get("stop_timeout") or STOP_TIMEOUT),
        "HostConfig": _host_config(spec, config_dir, job),
    }
    for key, field in (("Cmd", "command"), ("User", "user"), ("StopSignal", "stop_signal"), ("Hostname", "hostname")):
        if spec.get(field) is not None:
            made[key] = spec[field]
    made["Labels"][LABEL_SPEC] = label(made)
    return made


def config_source(made: Body) -> Path | None:
    """The directory on the host that a body, or an inspected HostConfig's owner, mounts as configuration."""
    mounts = (made.get("HostConfig") or {}).get("Mounts") or []
    return next((Path(mount["Source"]) for mount in mounts if mount.get("Target") == CONFIG_TARGET), None)


def label(made: Body) -> str:
    """``<normaliser version>:<digest>`` of a body; its own spec label does not count."""
    labels = {key: value for key, value in made["Labels"].items() if key != LABEL_SPEC}
    return f"{NORMALISER}:{digest_of({**made, 'Labels': labels})}"


def size(text: str | int | float) -> int:
    """Bytes of ``512M``, ``1.5G``, ``1024``; units are powers of 1024 as in Docker. Raises SalternError."""
    found = _SIZE.fullmatch(str(text).strip())
    if not found:
        raise SalternError(f"{text!r} is not a size such as 512M or 2G")
    return int(float(found[1]) * 1024 ** _POWER[found[2].upper()])


def _labels(spec: Spec, job: str | None) -> dict[str, str]:
    labels = {
        LABEL_CLOUD: spec["cloud"],
        LABEL_SERVICE: spec["service"],
        LABEL_CONTAINER: spec["name"],
        LABEL_RESTART: "none" if job else spec.get("restart", "engine"),
    }
    if spec.get("own"):
        labels[LABEL_OWN] = "true"
    return {**labels, LABEL_JOB: job} if job else labels


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any]:
    if not check:
        return {"Test": ["NONE"]}  # the model decides what healthy means, not a HEALTHCHECK in somebody's image
    return {
        "Test": ["CMD", *check["exec"]],
        "Interval": int(check.get("interval", 10) * _SECOND),
        "Timeout": int(check.get("timeout", 5) * _SECOND),
        "Retries": int(check.get("failures", 3)),
        "StartPeriod": int(check.get("start_period", 0) * _SECOND),
    }


def _host_config(spec: Spec, config_dir: Path | None, job: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "NetworkMode": "host",
        "ReadonlyRootfs": bool(spec.get("read_only", True)),
        "Init": bool(spec.get("init", True)),
        "CapDrop": ["ALL"],
        "CapAdd": sorted(_capability(name) for name in spec.get("capabilities") or []),
        "SecurityOpt": sorted(option for option in spec.get("security") or [] if option != ALL_OF_PROC),
        "Devices": sorted((_device(d) for d in spec.get("devices") or []), key=lambda d: d["PathInContainer"]),
        "Tmpfs": {path: _tmpfs(path, spec) for path in spec.get("writable") or []},
        "Mounts": _mounts(spec, config_dir),
        "RestartPolicy": {"Name": restart_policy(spec, job)},
    }
    if ALL_OF_PROC in (spec.get("security") or ()):
        # To the engine these are lists of their own; only its command line knows the option.
        made |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if spec.get("pid_host"):
        made["PidMode"] = "host"
    if spec.get("ipc_host"):
        made["IpcMode"] = "host"
    if spec.get("device_rules"):
        made["DeviceCgroupRules"] = sorted(spec["device_rules"])
    if spec.get("cgroup_host"):
        made["CgroupnsMode"] = "host"  # the default with cgroup v1, said all the same: it is what the spec asks for
    return {**made, **_limits(spec.get("limits") or {})}


def restart_policy(spec: Spec, job: str | None = None) -> str:
    """Docker's restart policy for a spec: only ``restart: engine`` lets the engine restart it."""
    return "unless-stopped" if spec.get("restart", "engine") == "engine" and not job else "no"


def _capability(name: str) -> str:
    # The engine takes both and shows the short form; some versions show what they were given.
    return name.upper().removeprefix("CAP_")


def _device(text: str) -> dict[str, str]:
    source, _, rest = text.partition(":")
    target, _, permissions = rest.partition(":")
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": permissions or "rwm"}


def _tmpfs(path: str, spec: Spec) -> str:
    if path == "/tmp":
        return "rw,nosuid,nodev,mode=1777"
    return f"rw,nosuid,nodev,mode=0750,uid={int(spec.get('uid') or 0)},gid={int(spec.get('gid') or 0)}"


def _mounts(spec: Spec, config_dir: Path | None) -> list[dict[str, Any]]:
    mounts = [_mount(mount, spec["cloud"]) for mount in spec.get("mounts") or []]
    if config_dir is not None:
        mounts.append({"Type": "bind", "Source": str(config_dir), "Target": CONFIG_TARGET, "ReadOnly": True})
    return sorted(mounts, key=lambda mount: str(mount["Target"]))


def _mount(mount: dict[str, Any], cloud: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Type": mount.get("type", "volume"),
        "Source": mount["source"],
        "Target": mount["target"],
        "ReadOnly": bool(mount.get("read_only", False)),
    }
    if mount.get("propagation"):
        made["BindOptions"] = {"Propagation": mount["propagation"]}
    if made["Type"] == "volume":
        # A label on the volume lets `down --purge` and `destroy volumes=True` find what is ours.
        made["VolumeOptions"] = {"Labels": {LABEL_CLOUD: cloud}}
    return made


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if limits.get("memory"):
        made["Memory"] = size(limits["memory"])
    if limits.get("pids"):
        made["PidsLimit"] = int(limits["pids"])
    if limits.get("cpus"):
        made["NanoCpus"] = int(float(limits["cpus"]) * _SECOND)
    if limits.get("nofile"):
        # Only when asked for: an engine without CAP_SYS_RESOURCE refuses to raise it.
        made["Ulimits"] = [{"Name": "nofile", "Soft": int(limits["nofile"]), "Hard": int(limits["nofile"])}]
    return made
