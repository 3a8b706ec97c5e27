"""The builder's half of making images: one rendered context in, one tagged image out.

The tree, its digests and what is to be built are the master's (`saltern.images`). Here: the classic builder through
docker-py, a lock per image (two identical builds would end in two ids), the former image kept until the new one is
whole, and stage images gone afterwards. They are found by a label that names the image, under its lock: removing
dangling images of other builds would kill those.

An image gets its name last: what is to be shipped must hold nothing of how it was built (`saltern.host.faults`) and
pass its smoke test (`saltern.host.smoke`) before, so that whatever has a name may be pushed and deployed.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import docker.errors
import requests.exceptions
import urllib3.exceptions

from saltern.contract.errors import BuildFailed, EngineRefused, SalternError
from saltern.contract.masking import mask
from saltern.contract.names import LABEL_IMAGE, LABEL_INPUTS, LABEL_RELEASE
from saltern.host import inside, smoke
from saltern.host.build_resume import LABEL_STAGE, finished, sweep_steps
from saltern.host.build_settings import Settings
from saltern.host.build_stream import BuildStream
from saltern.host.engine import Engine
from saltern.host.faults import faults, sentence
from saltern.host.imagelock import making
from saltern.host.places import Place
from saltern.host.places import add as add_place

SMOKE, INSIDE = "smoke test", "content"  # what a built image can fail: nothing that another try would mend
OCI = "org.opencontainers.image"
START = "/usr/local/bin/kolla_start"
Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class BuildRequest:
    """One image to build.

    image
        Its name in the tree.
    reference
        Name and tag it gets.
    labels
        Labels of the final image.
    context
        Tar file with ``Dockerfile`` and all it copies, without ``settings/``.
    network
        Network of the build's RUN steps (``host``, ``default``, ``none``).
    smoke
        Commands that must succeed in the image before it is tagged.
    shipped
        Whether hosts get it: then its content is looked at, and the start contract is tried in it.
    root
        Whether its user may be root.
    setuid
        Files that may have another user's rights.
    places
        Files and folders of this host that are added to the context.
    """

    image: str
    reference: str
    labels: dict[str, str]
    context: Path
    network: str = "host"
    smoke: tuple[str, ...] = ()
    shipped: bool = False
    root: bool = False
    setuid: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Built:
    """What came of it; ``seconds`` is the build's own time, ``packages`` what a shipped image holds."""

    image: str
    reference: str
    id: str
    seconds: float
    size: int
    layers: int = 0
    packages: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        data = {
            "image": self.image,
            "reference": self.reference,
            "id": self.id,
            "seconds": round(self.seconds, 1),
            "size": self.size,
            "layers": self.layers,
        }
        return data if self.packages is None else data | {"packages": self.packages}


def silent(kind: str, data: dict[str, Any]) -> None:
    """A report that goes nowhere."""


def listing(engine: Engine) -> list[dict[str, Any]]:
    """All images with our label, tagged or not: ``{"id", "tags", "image", "inputs", "release", "size"}``; one call."""
    found = engine.call("list images", lambda api: list(api.images(filters={"label": [LABEL_IMAGE]})))
    return [
        {
            "id": each["Id"],
            "tags": [tag for tag in each.get("RepoTags") or () if tag != "<none>:<none>"],
            "image": each["Labels"].get(LABEL_IMAGE, ""),
            "inputs": each["Labels"].get(LABEL_INPUTS, ""),
            "release": each["Labels"].get(LABEL_RELEASE, ""),
            "size": each["Size"],
        }
        for each in found
    ]


def build(
    engine: Engine,
    request: BuildRequest,
    settings: Settings,
    *,
    locks: Path,
    report: Report = silent,
    clock: Callable[[], float] = time.monotonic,
) -> Built:
    """Build one image, look into it, try it, and tag it; the former one keeps the tag until then.

    engine
        The Docker Engine that builds.
    request
        What to build.
    settings
        How this machine reaches its mirrors.
    locks
        Directory of the images' locks.
    report
        Called with ``start``, ``step`` and ``end`` and their data, as the build goes.

    Raises BuildFailed with the failing step's last lines in ``log``, EngineUnavailable where none answers; the former
    image is untouched.
    """
    began = clock()
    report("start", {"image": request.image})
    try:
        with lock(locks, request.reference):
            sweep_steps(engine, request.reference)
            # whoever asked for it before may be gone; what it asked for is there
            there = finished(engine, request.reference, request.labels)
            image_id = str(there["Id"]) if there else _run(engine, request, settings, report)
            inspected = engine.inspect_image(image_id) or {}
            packages = _examined(engine, request, inspected, settings, report)
            tag(engine, image_id, request.reference)
            sweep(engine, request.reference)
    except SalternError as failure:
        report("end", {"image": request.image, "result": "failed", "seconds": clock() - began, "text": failure.message})
        raise
    size, layers = int(inspected.get("Size", 0)), len((inspected.get("RootFS") or {}).get("Layers") or ())
    built = Built(request.image, request.reference, image_id, clock() - began, size, layers, packages)
    report("end", {"image": request.image, "result": "built", "seconds": built.seconds, "size": size})
    return built


class StepFailed(BuildFailed):
    """A build ended with an error; ``log`` has the failing step's last lines, ``step`` its text."""

    def __init__(self, message: str, *, where: str, step: str, log: list[str], hint: str = "") -> None:
        self.step, self.log = step, log
        super().__init__(message, where=where, hint=hint)


def _run(engine: Engine, request: BuildRequest, settings: Settings, report: Report) -> str:
    stream = BuildStream(
        lambda number, of, text: report("step", {"image": request.image, "step": number, "of": of, "text": text})
    )
    with with_settings(request.context, settings, request.places) as context:
        messages = iter(())
        try:
            # closing the generator closes the connection, and the engine ends a build that nobody reads
            messages = engine.api.build(
                fileobj=context,
                custom_context=True,
                labels=request.labels,
                rm=True,
                forcerm=True,
                decode=True,
                network_mode=request.network,
            )
            for message in messages:
                stream.feed(message)
        except (docker.errors.APIError, requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            stream.error = stream.error or f"the engine ended the build: {getattr(error, 'explanation', None) or error}"
        finally:
            getattr(messages, "close", lambda: None)()
    if stream.error or not stream.image_id:
        _forget(engine, stream.last)
        hide = settings.secrets
        raise StepFailed(
            mask(stream.cause or "the engine ended the build without an image", hide),
            where=f"{request.image}, {mask(stream.step, hide)}" if stream.step else request.image,
            step=mask(stream.step, hide),
            log=[mask(line, hide) for line in stream.tail],
        )
    return stream.image_id


def _examined(
    engine: Engine, request: BuildRequest, inspected: dict[str, Any], settings: Settings, report: Report
) -> dict[str, Any] | None:
    """Packages of a shipped image that is as it should be; one that is not is removed, and StepFailed raised."""
    image_id = str(inspected.get("Id", ""))
    try:
        found = None
        if request.shipped:
            report("step", {"image": request.image, "step": 1, "of": 2, "text": "look at what is inside"})
            found = inside.read(engine, image_id, hashes=False)
            _clean(engine, request, inspected, settings, found)
        if commands := _commands(request, inspected, found):
            report("step", {"image": request.image, "step": 2, "of": 2, "text": "smoke test"})
            if failure := smoke.run(engine, image_id, commands):
                raise StepFailed(
                    failure.cause,
                    where=f"{request.image}, {SMOKE}: {failure.command}",
                    step=SMOKE,
                    log=failure.log,
                    hint="The image was built and got no name: what it lacks shows when its programs run",
                )
    except BuildFailed:
        _discard(engine, image_id)
        raise
    except SalternError as error:
        _discard(engine, image_id)
        raise BuildFailed(error.message, where=error.where or request.image, hint=error.hint) from error
    return None if found is None else inside.packages(found)


def _clean(
    engine: Engine, request: BuildRequest, inspected: dict[str, Any], settings: Settings, found: inside.Found
) -> None:
    image_id = inspected["Id"]
    made_by = engine.call(
        f"history of {request.image}", lambda api: [str(e["CreatedBy"]) for e in api.history(image_id)]
    )
    env = (inspected.get("Config") or {}).get("Env") or ()
    wrong = faults(found, settings, env=env, history=made_by, setuid=request.setuid)
    if wrong:
        raise StepFailed(
            sentence(wrong),
            where=f"{request.image}, {INSIDE}",
            step=INSIDE,
            log=wrong[:50],
            hint="Remove it in the step that makes it, or take less into the last stage",
        )


def _commands(request: BuildRequest, inspected: dict[str, Any], found: inside.Found | None) -> tuple[str, ...]:
    """The image's own smoke test, after that of the start contract where it has one."""
    if found is None or START not in found.files:
        return request.smoke
    user = str((inspected.get("Config") or {}).get("User") or "").partition(":")[0]
    if user not in ("", "0", "root"):
        return (*smoke.CONTRACT, *request.smoke)
    if not request.root:
        raise StepFailed(
            "its user is root",
            where=f"{request.image}, {SMOKE}",
            step=SMOKE,
            log=[],
            hint="End its Dockerfile with USER, or say why: {{ root('…') }}",
        )
    # what others continue may have no Python yet, which the start scripts need
    return (*(smoke.CONTRACT[1:] if "/usr/bin/python3" in found.files else ()), *request.smoke)


def _discard(engine: Engine, image_id: str) -> None:
    """Remove an image that failed, unless an earlier build of the same content has a name."""
    try:
        found = engine.inspect_image(image_id)
        if found and not found.get("RepoTags"):
            remove(engine, image_id)
    except SalternError:
        return  # the engine is gone, or something uses it


def _forget(engine: Engine, last: str) -> None:
    """Remove what a failed build left of its final stage; a stage's images stay as the next try's cache."""
    try:
        found = engine.inspect_image(last) if last else None
        labels = ((found or {}).get("Config") or {}).get("Labels") or {}
        if found and not found.get("RepoTags") and LABEL_STAGE not in labels:
            remove(engine, last)
    except SalternError:
        return  # the engine is gone, or something uses it


@contextmanager
def with_settings(context: Path, settings: Settings, places: Sequence[Place] = ()) -> Iterator[IO[bytes]]:
    """The context's tar with this machine's settings below ``settings/`` and its places added, as an open file."""
    try:
        with tempfile.TemporaryFile() as file:
            with open(context, "rb") as original:
                while chunk := original.read(1 << 20):
                    file.write(chunk)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="a:") as tar:
                for path, content in sorted(settings.files.items()):
                    entry = tarfile.TarInfo(f"settings/{path}")
                    entry.size, entry.mode = len(content), 0o644
                    tar.addfile(entry, io.BytesIO(content))
                for place in places:
                    add_place(tar, place)
            file.seek(0)
            yield file
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise BuildFailed("no space left on device for the build's context", where=tempfile.gettempdir()) from error


@contextmanager
def lock(directory: Path, reference: str) -> Iterator[None]:
    """Only one build of an image at a time on this host, and none while images are removed; dies with its holder."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in reference)
    descriptor = os.open(directory / f"image-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with making(directory):
            yield
    finally:
        os.close(descriptor)


def sweep(engine: Engine, reference: str) -> list[str]:
    """Remove what stages of this image's builds left; to be called under its lock. Returns ids."""
    filters = {"dangling": True, "label": [f"{LABEL_STAGE}={reference}"]}
    removed = []
    for each in engine.call("list stages", lambda api: list(api.images(filters=filters))):
        try:
            remove(engine, each["Id"])
            removed.append(each["Id"])
        except EngineRefused:
            continue  # a child of it is still there (an image that was built from a former builder)
    return removed


def tag(engine: Engine, image_id: str, reference: str) -> None:
    """Give an image a further name."""
    repository, _, name = reference.rpartition(":")
    engine.call(f"tag {reference}", lambda api: api.tag(image_id, repository, name, force=True))


def remove(engine: Engine, image: str, *, force: bool = False) -> None:
    """Remove an image (a reference or an id). Raises EngineRefused when something still uses it."""
    engine.call(f"remove image {image}", lambda api: api.remove_image(image, force=force))


def labels(image: str, inputs: str, release: str | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Labels of a final image, ours and those of the OCI standard: a function of its inputs alone.

    They decide the image's id, so there is no time, no name and no mirror in them; a release only on images that depend
    on one, so that others are shared by all.
    """
    base = {
        LABEL_IMAGE: image,
        LABEL_INPUTS: inputs,
        f"{OCI}.title": image,
        f"{OCI}.vendor": "Saltern",
        f"{OCI}.revision": inputs,
    }
    if release:
        base |= {LABEL_RELEASE: release, f"{OCI}.version": release}
    return base | dict(extra or {})
