"""What differs between a container as the engine shows it and the body one would create it from.

Only fields that the body sets are compared, plus those it leaves to a default that somebody may have changed
(privileged, a device, a mount too many). What engines fill in by themselves (a default memory swap, the image's
environment, the order of lists) is no difference.
"""

from __future__ import annotations

from typing import Any

from saltern.contract.names import LABEL_SPEC

Difference = dict[str, Any]

# Key below HostConfig → its name in the spec, and what the engine may show for "not set".
_UNSET: dict[str, tuple[str, tuple[Any, ...]]] = {
    "PidMode": ("pid_host", ("", None)),
    "IpcMode": ("ipc_host", ("", None, "private", "shareable")),
    "Memory": ("limits memory", (0, None)),
    "NanoCpus": ("limits cpus", (0, None)),
    "PidsLimit": ("limits pids", (0, -1, None)),
    "Privileged": ("privileged", (False, None)),
}


def differences(
    inspected: dict[str, Any], body: dict[str, Any], image: dict[str, Any] | None = None
) -> list[Difference]:
    """Field by field: ``[{"field", "current", "desired"}]``, empty when the container is what the body asks for.

    inspected
        ``GET /containers/<name>/json``.
    body
        As :func:`saltern.host.spec.body` makes it.
    image
        The image as inspected, to tell its own environment and command from the container's; None = do not look at
        environment that the body does not name.
    """
    have, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    wanted = body["HostConfig"]
    found: list[Difference] = []

    def compare(field: str, current: Any, desired: Any) -> None:
        if current != desired:
            found.append({"field": field, "current": current, "desired": desired})

    compare("image", inspected.get("Image"), body["Image"])
    for key, field in (("Cmd", "command"), ("User", "user"), ("StopSignal", "stop_signal"), ("Hostname", "hostname")):
        _optional(compare, field, have.get(key), body.get(key), (image or {}).get("Config", {}).get(key), image)
    _environment(compare, have.get("Env") or [], body["Env"], image)
    compare("labels", _labels(have.get("Labels")), _labels(body["Labels"]))
    compare("healthcheck", _healthcheck(have.get("Healthcheck")), _healthcheck(body["Healthcheck"]))
    compare("stop_timeout", have.get("StopTimeout"), body["StopTimeout"])
    compare("network", host.get("NetworkMode"), wanted["NetworkMode"])
    compare("read_only", bool(host.get("ReadonlyRootfs")), wanted["ReadonlyRootfs"])
    compare("init", bool(host.get("Init")), wanted["Init"])
    compare("capabilities dropped", _capabilities(host.get("CapDrop")), wanted["CapDrop"])
    compare("capabilities", _capabilities(host.get("CapAdd")), wanted["CapAdd"])
    compare("security", _security(host, wanted), wanted["SecurityOpt"])
    compare("devices", _devices(host.get("Devices")), _devices(wanted["Devices"]))
    compare("writable", host.get("Tmpfs") or {}, wanted["Tmpfs"])
    compare("mounts", _mounts(host), _mounts(wanted))
    compare("restart", (host.get("RestartPolicy") or {}).get("Name") or "no", wanted["RestartPolicy"]["Name"])
    compare("limits nofile", _ulimits(host.get("Ulimits")), _ulimits(wanted.get("Ulimits")))
    for key, (field, unset) in _UNSET.items():
        current, desired = host.get(key), wanted.get(key)
        compare(field, None if current in unset else current, None if desired in unset else desired)
    return found


def _optional(compare: Any, field: str, current: Any, desired: Any, default: Any, image: dict[str, Any] | None) -> None:
    """A field that falls back to the image's when the body does not set it."""
    if desired is not None:
        compare(field, current, desired)
    elif image is not None and field in ("command", "user"):
        compare(field, current or None, default or None)


def _environment(compare: Any, current: list[str], desired: list[str], image: dict[str, Any] | None) -> None:
    # The engine puts the image's variables before ours; a name that ours repeats replaces it.
    have, want = dict(_pair(e) for e in current), dict(_pair(e) for e in desired)
    if image is None:
        have = {name: value for name, value in have.items() if name in want}
    else:
        want = {**dict(_pair(e) for e in (image.get("Config") or {}).get("Env") or []), **want}
    compare("environment", have, want)


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
    found = sorted(host.get("SecurityOpt") or [])
    if "host" in (host.get("PidMode"), host.get("IpcMode")) and "label=disable" not in wanted["SecurityOpt"]:
        # The engine adds it by itself to containers that share these namespaces.
        found = [option for option in found if option != "label=disable"]
    return found


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
