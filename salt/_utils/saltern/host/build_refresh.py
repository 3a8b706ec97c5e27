"""Which packages of the distribution have newer versions than the images hold: one container asks for all images.

Every image carries a list of its packages (``/usr/share/saltern/packages/<image>``), so nothing has to be installed
to know, and an image that took single files out of a package is asked about too.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from typing import Any

from saltern.contract.errors import BuildFailed, EngineRefused
from saltern.contract.masking import mask
from saltern.contract.names import LABEL_IMAGE
from saltern.host.build_settings import Settings
from saltern.host.engine import Engine

FOLDER = "/usr/share/saltern/packages"
ROOM = "/var/lib/apt"  # exists in every image; a container's /tmp may be a mount
SCRIPT = "apt-get -qq update >&2 && xargs apt-cache policy < /var/lib/apt/saltern-names"
_NAME = re.compile(r"^(\S+):$")
_CANDIDATE = re.compile(r"^  Candidate: (\S+)$")


def outdated(
    engine: Engine, images: Mapping[str, str], asker: str, settings: Settings, *, network: str = "host"
) -> dict[str, dict[str, str]]:
    """Packages of images that the mirror has in another version: image → package → that version.

    engine
        The Docker Engine that has the images.
    images
        Name → reference; images that are absent are left out.
    asker
        Reference of an image with apt, in which the question is asked.
    settings
        How this machine reaches its mirrors.
    network
        Network of the asking container.

    Raises BuildFailed when the mirror does not answer.
    """
    lists = {name: held for name, reference in images.items() if (held := packages_of(engine, name, reference))}
    wanted = sorted({package for held in lists.values() for package in held})
    if not wanted:
        return {}
    newest = candidates(engine, wanted, asker, settings, network)
    found = {
        name: {package: newest[package] for package, version in held.items() if newest.get(package, version) != version}
        for name, held in lists.items()
    }
    return {name: packages for name, packages in found.items() if packages}


def packages_of(engine: Engine, image: str, reference: str) -> dict[str, str]:
    """Package → version as the image's own list says; empty when there is no image or no list."""
    if engine.inspect_image(reference) is None:
        return {}
    container = _create(engine, {"Image": reference, "Cmd": ["true"], "Labels": {LABEL_IMAGE: ""}})
    try:
        stream = engine.call("read packages", lambda api: api.get_archive(container, f"{FOLDER}/{image}")[0])
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            text = file.read().decode() if file else ""
    except EngineRefused:
        return {}
    finally:
        engine.remove(container, force=True)
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def candidates(engine: Engine, names: list[str], image: str, settings: Settings, network: str) -> dict[str, str]:
    """The versions that apt would install now."""
    body = {
        "Image": image, "Cmd": ["sh", "-c", SCRIPT], "User": "0", "HostConfig": {"NetworkMode": network},
        "Labels": {LABEL_IMAGE: ""},
    }  # fmt: skip
    container = _create(engine, body)
    try:
        files = dict(settings.files)
        files["var/lib/apt/saltern-names"] = ("\n".join(names) + "\n").encode()
        engine.call("settings", lambda api: api.put_archive(container, "/", _tar(files)))
        engine.start(container)
        code = engine.wait(container, 600)
        lines = engine.logs(container, 1_000_000)
    finally:
        engine.remove(container, force=True)
    if code != 0:
        telling = [line for line in lines if line.startswith(("E:", "W:"))] or lines or ["no answer in ten minutes"]
        raise BuildFailed(mask(telling[-1], settings.secrets), where="refresh", hint="Is the mirror reachable?")
    return parse_policy(lines)


def parse_policy(lines: list[str]) -> dict[str, str]:
    """Package → candidate out of ``apt-cache policy``."""
    found, name = {}, ""
    for line in lines:
        if match := _NAME.match(line):
            name = match[1]
        elif (match := _CANDIDATE.match(line)) and match[1] != "(none)":
            found[name] = match[1]
    return found


def _create(engine: Engine, body: dict[str, Any]) -> str:
    return str(engine.call("create", lambda api: api.create_container_from_config(body, None))["Id"])


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
