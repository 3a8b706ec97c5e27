"""What differs between a container as the engine shows it and the body one would create it from.

Only fields that the body sets are compared, plus those it leaves to a default that somebody may have changed
(privileged, a device, a mount too many). What engines fill in by themselves (a default memory swap, the image's
environment, the order of lists) is no difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saltern.contract.names import LABEL_SPEC
from saltern.host.spec import ALL_OF_PROC

Difference = dict[str, Any]

CGROUP_V2 = Path("/sys/fs/cgroup/cgroup.controllers")

# Key below HostConfig → its name in the spec, and what the engine may show for "not set".
_UNSET: dict[str, tuple[str, tuple[Any, ...]]] = {
    "PidMode": ("pid_host", ("", None)),
    "IpcMode": ("ipc_host", ("", None, "private", "shareable")),
    "CgroupnsMode": ("cgroup_host", ("", None, "private")),
    "DeviceCgroupRules": ("device_rules", ([], None)),
    "Memory": ("limits memory", (0, None)),
    "NanoCpus": ("limits cpus", (0, None)),
    "PidsLimit": ("limits pids", (0, -1, None)),
    "Privileged": ("privileged", (False, None)),
}


def differences(inspected: dict[str, Any], body: dict[str, Any], image: dict[str, Any]) -> list[Difference]:
    """Field by field: ``[{"field", "current", "desired"}]``, empty when the container is what the body asks for.

    inspected
        ``GET /containers/<name>/json``.
    body
        As :func:`saltern.host.spec.body` makes it.
    image
        The image that the container was made from, as inspected (empty when it is gone): its environment, command and
        user stand in the container where nothing else was said.
    """
    have, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    wanted, default = body["HostConfig"], image.get("Config") or {}
    found: list[Difference] = []

    def compare(field: str, current: Any, desired: Any) -> None:
        if current != desired:
            found.append({"field": field, "current": current, "desired": desired})

    compare("image", inspected.get("Image"), body["Image"])
    for key, field in (("Cmd", "command"), ("User", "user"), ("StopSignal", "stop_signal"), ("Hostname", "hostname")):
        if body.get(key) is not None:
            compare(field, have.get(key), body[key])
        elif key in ("Cmd", "User"):
            compare(field, have.get(key) or None, default.get(key) or None)
    compare("environment", _own_environment(have.get("Env") or [], default), _own_environment(body["Env"], default))
    compare("labels", _labels(have.get("Labels")), _labels(body["Labels"]))
    compare("healthcheck", _healthcheck(have.get("Healthcheck")), _healthcheck(body["Healthcheck"]))
    compare("stop_timeout", have.get("StopTimeout"), body["StopTimeout"])
    compare("network", host.get("NetworkMode"), wanted["NetworkMode"])
    compare("read_only", bool(host.get("ReadonlyRootfs")), wanted["ReadonlyRootfs"])
    compare("init", bool(host.get("Init")), wanted["Init"])
    compare("capabilities dropped", _capabilities(host.get("CapDrop")), wanted["CapDrop"])
    compare("capabilities", _capabilities(host.get("CapAdd")), wanted["CapAdd"])
    compare("security", _security(host, wanted), sorted([*wanted["SecurityOpt"], *_proc(wanted)]))
    compare("devices", _devices(host.get("Devices")), _devices(wanted["Devices"]))
    compare("writable", host.get("Tmpfs") or {}, wanted["Tmpfs"])
    compare("mounts", _mounts(host), _mounts(wanted))
    compare("restart", (host.get("RestartPolicy") or {}).get("Name") or "no", wanted["RestartPolicy"]["Name"])
    compare("limits nofile", _ulimits(host.get("Ulimits")), _ulimits(wanted.get("Ulimits")))
    for key, (field, unset) in _UNSET.items():
        current, desired = host.get(key), wanted.get(key)
        if key == "CgroupnsMode" and not CGROUP_V2.exists():
            unset = (*unset, "host")  # with cgroup v1 that is what everybody gets, asked for or not
        if key == "DeviceCgroupRules":
            current = sorted(current or [])
        compare(field, None if current in unset else current, None if desired in unset else desired)
    return found


def _own_environment(pairs: list[str], image: dict[str, Any]) -> dict[str, str]:
    """What was set for the container: the engine puts the image's variables among them."""
    given = dict(_pair(entry) for entry in image.get("Env") or [])
    return {name: value for name, value in map(_pair, pairs) if given.get(name) != value}


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _labels(labels: dict[str, str] | None) -> dict[str, str]:
    # Images bring labels of their own; a differing spec label is why we are here.
    ours = {k: v for k, v in (labels or {}).items() if k.startswith("saltern.") and k != LABEL_SPEC}
    return {k: v for k, v in ours.items() if k not in ("saltern.inputs", "saltern.image", "saltern.release")}


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any]:
    if not check or check.get("Test") in (None, [], ["NONE"]):
        return {}
    return {k: v for k, v in check.items() if v}


def _capabilities(names: list[str] | None) -> list[str]:
    return sorted(name.upper().removeprefix("CAP_") for name in names or [])


def _security(host: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    found = sorted([*(host.get("SecurityOpt") or []), *_proc(host)])
    if "host" in (host.get("PidMode"), host.get("IpcMode")) and "label=disable" not in wanted["SecurityOpt"]:
        # The engine adds it by itself to containers that share these namespaces.
        found = [option for option in found if option != "label=disable"]
    return found


def _proc(host: dict[str, Any]) -> list[str]:
    """The option that leaves /proc and /sys as they are; else the engine hides parts, and forbids to write others."""
    return [ALL_OF_PROC] if host.get("MaskedPaths") == [] and host.get("ReadonlyPaths") == [] else []


def _devices(devices: list[dict[str, str]] | None) -> list[tuple[str, str, str]]:
    return sorted((d["PathOnHost"], d["PathInContainer"], d.get("CgroupPermissions") or "rwm") for d in devices or [])


def _ulimits(limits: list[dict[str, Any]] | None) -> list[tuple[str, int, int]]:
    return sorted((u["Name"], int(u["Soft"]), int(u["Hard"])) for u in limits or [])


def _mounts(host: dict[str, Any]) -> list[str]:
    """Mounts in one line each, from the Mounts of a body or of an inspected HostConfig; foreign Binds count too."""
    lines = [*(host.get("Binds") or ())]
    for mount in host.get("Mounts") or []:
        mode = "ro" if mount.get("ReadOnly") else "rw"
        propagation = (mount.get("BindOptions") or {}).get("Propagation")
        lines.append(f"{mount['Type']} {mount.get('Source')} {mount['Target']} {mode} {propagation or ''}".rstrip())
    return sorted(lines)
