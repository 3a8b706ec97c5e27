"""Specs of containers and one-shot jobs (docs/interfaces.md sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saltern.contract import digests
from saltern.contract.names import instance as instance_name
from saltern.contract.users import UIDS
from saltern.model import messaging, units
from saltern.model.cloud import Cloud, Host
from saltern.model.configfiles import ConfigFiles
from saltern.model.services import Service
from saltern.model.templating import Scope, TemplateFault, shared_context

CONTRACT_ENVIRONMENT = {"KOLLA_CONFIG_STRATEGY": "COPY_ALWAYS"}
NOFILE = 16384
PIDS = 1024
VIRTUAL = {"acceleration": ("auto", "kvm", "qemu"), "processors": ("same", "mixed")}
PRIVILEGES = ("capabilities", "devices", "device_rules", "security", "pid_host", "ipc_host", "cgroup_host")


class SpecFault(Exception):
    """A part of a service.yaml that makes no container; ``key`` is below ``containers:<name>``."""

    def __init__(self, key: tuple[str, ...], expected: str, found: str) -> None:
        self.key, self.expected, self.found = key, expected, found
        super().__init__(found)


class SpecBuilder:
    """Builds the specs of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.shared = shared_context(cloud)
        self.configs = ConfigFiles(cloud)

    def container(
        self, host: Host, service: Service, name: str, each: tuple[str | None, Any] = (None, None)
    ) -> tuple[dict[str, Any], set[str]]:
        """Spec of a container on a host, and the secret values in it. Raises TemplateFault or SpecFault."""
        instance = instance_name(name, each[0])
        scope = self._scope(host, service, name, instance, each)
        return self._spec(scope, host, service, name, instance), scope.used

    def job(self, host: Host, service: Service, name: str) -> tuple[dict[str, Any], set[str]]:
        """A job as the toolbox host gets it, and the secret values in it. Raises TemplateFault or SpecFault."""
        job = service.jobs[name]
        process = f"{service.name}--{name}"
        scope = self._scope(host, service, job["container"], process, (None, None))
        self.configs.origins.muted = True
        try:
            spec = self._spec(scope, host, service, job["container"], job["container"], extra=job["config"])
        finally:
            self.configs.origins.muted = False
        spec |= {
            "name": process,
            "process": scope.tree(job["process"], f"jobs:{name}:process"),
            "restart": "none",
            "liveness": None,
            "readiness": None,
            "healthcheck": None,
            "reload": None,
        }
        for file in spec["files"]:
            file["on_change"] = "recreate"
        inputs = self._inputs(scope, service, spec, job)
        made = {
            "name": name,
            "service": service.name,
            "spec": spec,
            "when": job["when"],
            "input": digests.digest(inputs),
            "timeout": units.seconds(job["timeout"]),
        }
        return made, scope.used

    def _scope(self, host: Host, service: Service, name: str, process: str, each: tuple[str | None, Any]) -> Scope:
        container = {**service.containers[name], "limits": self._limits(service, name)}
        return Scope(self.cloud, self.shared, host, service, name, container, process, each)

    def _limits(self, service: Service, name: str) -> dict[str, Any]:
        own = service.containers[name]["limits"]
        return {"pids": PIDS, "nofile": NOFILE, **own, **self.cloud.limits[service.name].get(name, {})}

    def _inputs(
        self, scope: Scope, service: Service, spec: Mapping[str, Any], job: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What makes a job due again: its command and the inputs it names."""
        values: dict[str, Any] = {"process": spec["process"]}
        for name in job["inputs"]:
            kind, _, key = name.partition(".")
            if kind == "vars":
                variables = self.cloud.variables[service.name]
                values[name] = variables if not key else variables.get(key)
            elif kind == "secret":
                # fixed by the cloud's name, so that equal passwords of two clouds differ
                values[name] = digests.keyed(self.cloud.name.encode(), self.cloud.secrets.get(key))
            elif kind == "hosts":
                values[name] = sorted(host.id for host in self.cloud.members(key))
            elif kind == "config":
                values[name] = digests.digest(spec["files"])
            elif kind == "url":
                values[name] = self.cloud.url(service.frontends[0].name) if service.frontends else ""
            else:
                values[name] = getattr(self.cloud, kind)
        return values

    def _spec(
        self,
        scope: Scope,
        host: Host,
        service: Service,
        name: str,
        instance: str,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        raw = service.containers[name]
        config = {**raw["config"], **(extra or {})}
        plain = scope.tree({k: v for k, v in raw.items() if k != "config"}, name)
        root = plain["privileges"]["root"]
        uid = 0 if root else UIDS[raw["user"]]
        probes = _Probes(self.cloud, host, service, name)
        return {
            "name": instance,
            "service": service.name,
            "cloud": self.cloud.name,
            "image": self.cloud.image(raw["image"]),
            "command": plain["command"],
            "user": "root" if root else None,
            "uid": uid,
            "gid": uid,
            "environment": {**CONTRACT_ENVIRONMENT, **{k: str(v) for k, v in plain["environment"].items()}},
            "init": plain["init"],
            "read_only": plain["read_only"],
            "hostname": plain["hostname"],
            "writable": plain["writable"],
            "mounts": [_mount(m, index) for index, m in enumerate(plain["mounts"])],
            **{key: plain["privileges"][key] for key in PRIVILEGES},
            "host": _host(plain["host"]),
            "limits": self._limits(service, name),
            "restart": plain["restart"],
            "stop_timeout": units.seconds(plain["stop_timeout"]),
            "stop_signal": plain["stop_signal"],
            "start_timeout": units.seconds(plain["start_timeout"]),
            "healthcheck": _healthcheck(plain["healthcheck"]),
            "liveness": probes.probe("liveness", plain["liveness"]),
            "readiness": probes.probe("readiness", plain["readiness"]),
            "reload": {"check": [], **plain["reload"]} if plain["reload"] else None,
            "rollback": plain["rollback"],
            "process": plain["process"],
            "files": [
                self._file(scope, host, name, instance, key, entry, raw["user"], root) for key, entry in config.items()
            ],
        }

    def _file(
        self,
        scope: Scope,
        host: Host,
        name: str,
        instance: str,
        key: str,
        entry: Mapping[str, Any],
        user: str,
        root: bool,
    ) -> dict[str, Any]:
        dest = scope.tree(entry["dest"], key)
        return {
            "name": key,
            "dest": dest,
            "owner": entry.get("owner", "root" if root else user),
            "mode": entry.get("mode", "0600").zfill(4),
            "content": self.configs.file(scope, host, name, instance, key, entry),
            "on_change": entry.get("on_change", "recreate"),
            "optional": entry.get("optional", False),
        }


def _mount(mount: Mapping[str, Any], index: int) -> dict[str, Any]:
    if mount["type"] != "tmpfs" and not mount.get("source"):
        raise SpecFault(("mounts", str(index), "source"), f"the source of a {mount['type']}", "nothing")
    create = mount.get("create")
    if create and (mount["type"] != "bind" or not mount["source"].startswith("/")):
        raise SpecFault(("mounts", str(index), "create"), "none but on a bind mount of an absolute path", f'"{create}"')
    owner = mount.get("owner")
    if owner and not create:
        raise SpecFault(("mounts", str(index), "owner"), "none but where `create` makes the directory", f'"{owner}"')
    return {
        "type": mount["type"],
        "source": mount.get("source"),
        "target": mount["target"],
        "read_only": mount.get("read_only", False),
        "propagation": mount.get("propagation"),
        **({"create": create} if create else {}),
        **({"owner": UIDS[owner]} if owner else {}),
    }


def _host(needs: Mapping[str, Any]) -> dict[str, Any]:
    """What a container needs of its host; empty for one that needs nothing."""
    made: dict[str, Any] = {}
    if needs.get("sysctls"):
        made["sysctls"] = {key: " ".join(str(value).split()) for key, value in sorted(needs["sysctls"].items())}
    if needs.get("paths"):
        made["paths"] = list(needs["paths"])
    for key, known in VIRTUAL.items():
        if needs.get(key) is not None:
            if needs[key] not in known:
                raise SpecFault(("host", key), " or ".join(known), f'"{needs[key]}"')
            made[key] = needs[key]
    return made


def _healthcheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not check:
        return None
    return {
        "exec": check["exec"],
        **_pace(check, every=10, timeout=5),
        "start_period": units.seconds(check.get("start_period", 0)),
    }


def _pace(probe: Mapping[str, Any], every: float, timeout: float) -> dict[str, Any]:
    return {
        "interval": units.seconds(probe.get("every", every)),
        "timeout": units.seconds(probe.get("timeout", timeout)),
        "failures": probe.get("failures", 3),
    }


class _Probes:
    """Turns ``{http: "/v3"}`` into an address that the health engine can ask from the host's network."""

    def __init__(self, cloud: Cloud, host: Host, service: Service, container: str) -> None:
        self.cloud, self.host, self.service, self.container = cloud, host, service, container

    def probe(self, kind: str, probe: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if not probe:
            return None
        pace = _pace(probe, every=5, timeout=3)
        if "unix" in probe:
            return {"unix": probe["unix"], **pace}
        if "http" in probe:
            return {"http": self._http(kind, probe["http"]), **pace}
        if "connected" in probe:
            return {"connected": self._connected(kind, probe["connected"]), **pace}
        return {"tcp": self._tcp(kind, str(probe["tcp"])), **pace}

    def _http(self, kind: str, text: str) -> str:
        if text.startswith(("http://", "https://")):
            return text
        if text.startswith(":"):
            port, slash, path = text[1:].partition("/")
            return f"http://{units.hostport(self.host.address, int(port))}{slash}{path}"
        return f"http://{units.hostport(self.host.address, self._listen(kind))}{text}"

    def _tcp(self, kind: str, text: str) -> str:
        if text == "listen":
            return units.hostport(self.host.address, self._listen(kind))
        if text.lstrip(":").isdigit():
            return units.hostport(self.host.address, int(text.lstrip(":")))
        if text.rpartition(":")[2].isdigit():
            return text
        raise SpecFault((kind, "tcp"), 'a port, "listen" or host:port', f'"{text}"')

    def _connected(self, kind: str, text: str) -> str:
        if text == "messaging":
            members = messaging.servers(self.cloud)
            if not members:
                raise SpecFault((kind, "connected"), "an enabled service that provides messaging", "none")
            return members
        parts = [part.strip() for part in text.split(",")]
        for part in parts:
            if not units.is_hostport(part):
                raise SpecFault((kind, "connected"), 'messaging, or "address:port,…"', f'"{part}"')
        return ",".join(parts)

    def _listen(self, kind: str) -> int:
        frontend = self.service.frontend_of(self.container)
        if frontend is None:
            raise SpecFault(
                (kind,), "a port, as no frontend of this service names this container", "a probe without one"
            )
        return frontend.listen


__all__ = ["SpecBuilder", "SpecFault", "TemplateFault"]
