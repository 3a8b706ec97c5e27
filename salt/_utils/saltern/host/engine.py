"""The one door to the Docker Engine: a small client over docker-py's low-level API.

Everything that Saltern asks of an engine is a method here, so that a fake one (tests), podman's compatible API or a
counting proxy can stand in. The API version is pinned: negotiating it would cost a call for each job. Errors leave as
the library's own (`EngineUnavailable`, `EngineRefused`, `ImageMissing`); what is absent is None where the caller asks
about it (`inspect`) and `NotThere` where the caller acts on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions

from saltern.contract.errors import EngineRefused, EngineUnavailable, ImageMissing
from saltern.contract.names import DOCKER_URL, LABEL_CLOUD
from saltern.host import hijack

API_VERSION = "1.41"
TIMEOUT = 60.0

T = TypeVar("T")
# Engines from 29 on refuse old clients and name the least version they take.
_TOO_OLD = re.compile(r"client version \S+ is too old.*?[Mm]inimum supported API version is (\d+\.\d+)", re.S)


class NotThere(EngineRefused):
    """The container, volume or exec that one wanted to act on does not exist."""


class Conflict(EngineRefused):
    """The name is in use, or the container's state does not allow it."""


class Engine:
    """A Docker Engine.

    url
        Address (``unix:///path`` or ``tcp://host:port``).
    version
        API version to speak.
    timeout
        Seconds to wait for an ordinary answer.
    """

    def __init__(self, url: str = DOCKER_URL, *, version: str = API_VERSION, timeout: float = TIMEOUT) -> None:
        self.url, self.timeout = url, timeout
        self._api: Any = self._connect(version)

    @property
    def api(self) -> Any:
        """docker-py's own client, for what only one room needs (building images)."""
        return self._api

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the engine itself

    def ping(self) -> bool:
        """True, or raises EngineUnavailable."""
        return self._call("ping", lambda api: bool(api.ping()))

    def version(self) -> dict[str, Any]:
        """The engine's answer to ``GET /version``."""
        return self._call("version", lambda api: dict(api.version()))

    def info(self) -> dict[str, Any]:
        """The engine's answer to ``GET /info``."""
        return self._call("info", lambda api: dict(api.info()))

    # reading

    def containers(self, cloud: str | None = None, labels: list[str] | None = None) -> list[dict[str, Any]]:
        """All containers of a cloud, running or not, as ``GET /containers/json`` gives them: one call.

        cloud
            Value of the label ``saltern.cloud``; None = any.
        labels
            Further label filters (``name`` or ``name=value``).
        """
        wanted = [*([f"{LABEL_CLOUD}={cloud}"] if cloud else []), *(labels or [])]
        filters = {"label": wanted} if wanted else None
        return self._call("list containers", lambda api: list(api.containers(all=True, filters=filters)))

    def images(self) -> list[dict[str, Any]]:
        """All tagged images as ``GET /images/json`` gives them: one call."""
        return self._call("list images", lambda api: list(api.images()))

    def inspect(self, name: str) -> dict[str, Any] | None:
        """One container as ``GET /containers/<name>/json`` gives it, None when there is none."""
        try:
            return self._call(f"inspect {name}", lambda api: dict(api.inspect_container(name)))
        except NotThere:
            return None

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """One image, None when it is not on this host."""
        try:
            return self._call(f"inspect image {reference}", lambda api: dict(api.inspect_image(reference)))
        except (NotThere, ImageMissing):
            return None

    def logs(self, name: str, lines: int = 20) -> list[str]:
        """The last lines a container wrote, stdout and stderr together; control characters are dropped."""
        raw = self._call(f"logs of {name}", lambda api: api.logs(name, tail=lines, stdout=True, stderr=True))
        text = bytes(raw).decode("utf-8", "replace")
        return ["".join(c for c in line if c == "\t" or c >= " ") for line in text.splitlines()][-lines:]

    def events(self, since: float | None = None, filters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """The engine's events as they come, decoded; the iterator has a ``close()`` that ends it from any thread.

        since
            Epoch seconds: events from then on are sent first.
        filters
            As the API takes them, for example ``{"type": ["container"], "event": ["die"]}``.
        """
        start = f"{since:.9f}" if since is not None else None
        return self._call("events", lambda api: api.events(since=start, filters=filters, decode=True))

    def volumes(self, cloud: str | None = None) -> list[dict[str, Any]]:
        """Volumes, of one cloud or all."""
        filters = {"label": f"{LABEL_CLOUD}={cloud}"} if cloud else None
        answer = self._call("list volumes", lambda api: dict(api.volumes(filters=filters)))
        return list(answer.get("Volumes") or [])

    # acting

    def create(self, name: str, body: dict[str, Any]) -> str:
        """Create a container from the body of ``POST /containers/create``; returns its id.

        Raises ImageMissing when the image is not on this host, Conflict when the name is taken.
        """
        answer = self._call(f"create {name}", lambda api: api.create_container_from_config(body, name))
        return str(answer["Id"])

    def start(self, name: str) -> None:
        """Start a container; one that runs already is left alone."""
        self._call(f"start {name}", lambda api: api.start(name))

    def stop(self, name: str, timeout: int = 10) -> None:
        """Stop a container: its stop signal, then SIGKILL after ``timeout`` seconds."""
        self._call(f"stop {name}", lambda api: api.stop(name, timeout=timeout))

    def restart(self, name: str, timeout: int = 10) -> None:
        """Stop and start a container."""
        self._call(f"restart {name}", lambda api: api.restart(name, timeout=timeout))

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Send a signal to a container's process."""
        self._call(f"kill {name}", lambda api: api.kill(name, signal=signal))

    def unpause(self, name: str) -> None:
        """Let a paused container go on."""
        self._call(f"unpause {name}", lambda api: api.unpause(name))

    def rename(self, name: str, new: str) -> None:
        """Give a container another name."""
        self._call(f"rename {name}", lambda api: api.rename(name, new))

    def restart_policy(self, name: str, policy: str) -> None:
        """Change a container's restart policy (``no``, ``unless-stopped``) in place."""
        self._call(f"update {name}", lambda api: api.update_container(name, restart_policy={"Name": policy}))

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a container (its anonymous volumes too); one that is absent already is fine."""
        try:
            self._call(f"remove {name}", lambda api: api.remove_container(name, force=force, v=True))
        except NotThere:
            return

    def remove_volume(self, name: str) -> None:
        """Remove a named volume and its data; one that is absent already is fine."""
        try:
            self._call(f"remove volume {name}", lambda api: api.remove_volume(name))
        except NotThere:
            return

    def wait(self, name: str, timeout: float) -> int | None:
        """Exit code of a container when it has ended, None when it still runs after ``timeout`` seconds."""
        try:
            answer = self._call(f"wait for {name}", lambda api: api.wait(name, timeout=timeout))
        except EngineUnavailable as error:
            if _timed_out(error.__cause__):
                return None
            raise
        return int(answer["StatusCode"])

    def exec(
        self,
        name: str,
        argv: list[str],
        *,
        stdin: bytes | None = None,
        user: str | None = None,
        timeout: float = TIMEOUT,
    ) -> tuple[int, bytes, bytes]:
        """Run a program in a running container: exit code, stdout, stderr (three calls).

        stdin
            Given to the program, then closed: the way for secrets, which must not be arguments.
        user
            Name or number; None = the container's own.
        timeout
            Seconds without any output after which it counts as stuck (EngineUnavailable; the program may go on).
        """
        options = {"stdin": stdin is not None, "user": user or ""}
        made = self._call(f"exec in {name}", lambda api: api.exec_create(name, argv, **options))
        out, err = self._call(f"exec in {name}", lambda api: hijack.run(api, str(made["Id"]), stdin, timeout))
        code = self._call(f"exec in {name}", lambda api: api.exec_inspect(made["Id"]))["ExitCode"]
        return (-1 if code is None else int(code)), out, err

    # what only one room needs

    def call(self, what: str, do: Callable[[Any], T]) -> T:
        """Call docker-py's own client, with errors translated as everywhere.

        what
            For the message: "tag saltern/keystone:2025.2".
        do
            Gets the client.
        """
        return self._call(what, do)

    # errors

    def _connect(self, version: str) -> Any:
        try:
            return docker.APIClient(base_url=self.url, version=version, timeout=int(self.timeout))
        except docker.errors.DockerException as error:
            raise EngineUnavailable(str(error), where=self.url) from error

    def _call(self, what: str, do: Callable[[Any], T]) -> T:
        try:
            return do(self._api)
        except docker.errors.APIError as error:
            least = _TOO_OLD.search(str(error.explanation or ""))
            if least is None or self._api.api_version == least[1]:
                raise _refused(what, error) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unavailable(what, error) from error
        self._api = self._connect(least[1])
        return self._call(what, do)

    def _unavailable(self, what: str, error: Exception) -> EngineUnavailable:
        if _timed_out(error):
            return EngineUnavailable(f"no answer to {what} in time", where=self.url, hint="The engine is stuck or busy")
        return EngineUnavailable(
            f"no Docker Engine answers ({what}: {_cause(error)})",
            where=self.url,
            hint="Start it, or set the minion option saltern_docker_url",
        )


def require_ours(inspected: dict[str, Any] | None, cloud: str) -> None:
    """Raises Conflict when a container of that name exists that is not this cloud's: it must not be touched."""
    if inspected is None:
        return
    found = ((inspected.get("Config") or {}).get("Labels") or {}).get(LABEL_CLOUD)
    if found != cloud:
        whose = f"cloud {found}" if found else "somebody else"
        raise Conflict(
            f"a container of this name exists and belongs to {whose}, not to cloud {cloud}",
            where=str(inspected.get("Name", "")).lstrip("/"),
            hint="Remove or rename it",
        )


def image_ids(images: list[dict[str, Any]]) -> dict[str, str]:
    """Reference (``name:tag`` and ``name@digest``) to image id, from what :meth:`Engine.images` returned."""
    found: dict[str, str] = {}
    for image in images:
        for reference in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())):
            found[reference] = image["Id"]
        found[image["Id"]] = image["Id"]
    return found


def _refused(what: str, error: docker.errors.APIError) -> EngineRefused | ImageMissing:
    text = _explanation(error)
    status = getattr(error.response, "status_code", None)
    if status == 404 and "no such image" in text.lower():
        return ImageMissing(text, where=what)
    if status == 404:
        return NotThere(text, where=what)
    if status == 409:
        return Conflict(text, where=what)
    return EngineRefused(text, where=what)


def _explanation(error: docker.errors.APIError) -> str:
    """The engine's own words."""
    text = str(error.explanation or error).strip()
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text


def _timed_out(error: BaseException | None) -> bool:
    # docker-py lets a read timeout out as ConnectionError around urllib3's ReadTimeoutError.
    return isinstance(error, (requests.exceptions.Timeout, TimeoutError)) or "Read timed out" in str(error or "")


def _cause(error: BaseException) -> str:
    """The innermost operating system error in words; requests wraps it several times over."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno and seen.strerror:
            return seen.strerror.lower()
        inner = next((a for a in seen.args if isinstance(a, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__ or getattr(seen, "reason", None)
    return type(error).__name__
