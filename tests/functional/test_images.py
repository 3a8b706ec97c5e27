"""Images on the real engine: a tiny tree built, built again, broken, repaired; and the contract in the real images."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import EngineUnavailable
from saltern.contract.names import LABEL_IMAGE, LABEL_INPUTS
from saltern.host import build as host_build
from saltern.host.build_settings import Settings
from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.options import Options
from saltern.images.run import build_all

from . import bench, tiny

pytestmark = pytest.mark.engine

FILES = {
    "_build/tool": "#!/bin/sh\necho tool\n",
    "base/Dockerfile.j2": "FROM {{ image('distro') }}\nCOPY hello /hello\n",
    "base/hello": "hello\n",
    "app/Dockerfile.j2": (
        "FROM {{ image('base') }} AS stage\nLABEL saltern.stage={{ reference }}\nCOPY settings/ /\n"
        "COPY {{ shared('tool') }} /tool\nRUN mkdir /delta && sh /tool > /delta/out\n"
        "FROM {{ image('base') }}\nCOPY --from=stage /delta/ /\nUSER 42400\n"
    ),
}
SECRET = "s3cret-of-the-mirror"


class Counting(LocalBuilder):
    """The local builder, its distribution a busybox, its calls noted."""

    calls: list[str]

    def listing(self) -> list[dict[str, Any]]:
        self.calls.append("list")
        return super().listing()

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(f"build {request['image']}")
        return super().build(request)

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append("import")
        changes = [f"LABEL {name}={value}" for name, value in request["labels"].items()]
        image_id = tiny.load(self.engine.api, request["reference"], changes=changes)
        return {"id": image_id, "seconds": 0.1, "size": 1}


def _options() -> Options:
    # a suite of its own, as an image with equal inputs would only get a further name
    own = uuid.uuid4().hex[:8]
    return Options(release="1", namespace=f"d-test-{own}", suite=f"none-{own}", network="none")


class Place:
    """A folder of images, a namespace of its own in the engine, and a builder."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root, self.engine, self.folder = root, engine, root / "images"
        self.options = _options()
        for path, text in FILES.items():
            self.write(path, text)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.builder = Counting(
            engine, suite="trixie", root=root, report=lambda kind, data: self.told.append((kind, data))
        )
        self.builder.calls = []
        files = {"etc/mirror": f"https://user:{SECRET}@mirror.example\n".encode()}
        self.builder._settings = Settings(files, [], {}, [SECRET])

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self) -> dict[str, Any]:
        self.builder.calls.clear()
        return build_all(self.builder, self.folder, self.options, state=self.root / "state")

    def inspect(self, name: str) -> dict[str, Any]:
        found = self.engine.inspect_image(self.options.reference(name))
        assert found is not None
        return found

    def dangling(self) -> list[str]:
        reference = self.options.reference("app")
        filters = {"dangling": True, "label": f"{host_build.LABEL_STAGE}={reference}"}
        return [image["Id"] for image in self.engine.api.images(filters=filters)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Engine() as engine:
        place = Place(tmp_path, engine)
        yield place
        ours = {
            tag for image in engine.images() for tag in image.get("RepoTags") or () if place.options.namespace in tag
        }
        for tag in sorted(ours, reverse=True):
            engine.api.remove_image(tag, force=True)
        for image_id in place.dangling():
            engine.api.remove_image(image_id, force=True)


def results(data: dict[str, Any]) -> dict[str, str]:
    return {entry["image"]: entry["result"] for entry in data["images"]}


def test_built_once_then_left_alone_with_one_list(place: Place) -> None:
    assert results(place.run()) == {"distro": "built", "base": "built", "app": "built"}
    labels = place.inspect("app")["Config"]["Labels"]
    assert labels[LABEL_IMAGE] == "app"
    assert len(labels[LABEL_INPUTS]) == 16
    assert [data["text"] for kind, data in place.told if kind == "step" and data["image"] == "app"]
    assert results(place.run()) == {"distro": "unchanged", "base": "unchanged", "app": "unchanged"}
    assert place.builder.calls == ["list"]


def test_nothing_of_how_it_was_made_stays(place: Place) -> None:
    place.run()
    history = json.dumps(place.engine.api.history(place.options.reference("app")))
    assert "mirror" not in history
    assert place.dangling() == []
    container = place.engine.create("", {"Image": place.options.reference("app"), "Cmd": ["true"]})
    try:
        content = b"".join(place.engine.api.export(container))
    finally:
        place.engine.remove(container, force=True)
    assert b"tool\n" in content
    assert SECRET.encode() not in content
    assert b"etc/mirror" not in content


def test_an_edit_rebuilds_its_subtree_only_and_the_same_content_keeps_its_id(place: Place) -> None:
    place.run()
    before = {name: place.inspect(name)["Id"] for name in ("base", "app")}
    place.write("_build/tool", "#!/bin/sh\necho other\n")
    assert results(place.run()) == {"distro": "unchanged", "base": "unchanged", "app": "built"}
    assert place.inspect("base")["Id"] == before["base"]
    assert place.inspect("app")["Id"] != before["app"]
    place.write("_build/tool", FILES["_build/tool"])
    assert results(place.run())["app"] == "tagged", "the former one is still there"
    assert place.inspect("app")["Id"] == before["app"]


def test_a_failing_build_names_its_cause_and_leaves_the_former_image(place: Place) -> None:
    place.run()
    before = place.inspect("app")["Id"]
    place.write("_build/tool", f"#!/bin/sh\necho working >&2\necho 'tool: cannot open {SECRET}' >&2\nexit 3\n")
    data = place.run()
    assert results(data) == {"distro": "unchanged", "base": "unchanged", "app": "failed"}
    (failed,) = [entry for entry in data["images"] if entry["result"] == "failed"]
    assert failed["error"] == "tool: cannot open ********"
    assert failed["log"][0] == "working"
    assert "step 5 of" in failed["where"]
    assert SECRET not in json.dumps(data) + json.dumps(place.told)
    assert data["retcode"] == 1
    assert place.inspect("app")["Id"] == before
    place.write("_build/tool", FILES["_build/tool"] + "echo more\n")
    assert results(place.run())["app"] == "built"
    assert place.dangling() == [], "stages of the failed build are gone too"


def test_what_a_build_left_behind_is_not_taken_for_its_parent(place: Place) -> None:
    place.run()
    place.write("app/Dockerfile.j2", FILES["app/Dockerfile.j2"] + "COPY absent /absent\n")
    assert results(place.run())["app"] == "failed"
    inputs = place.inspect("base")["Config"]["Labels"][LABEL_INPUTS]
    left = [each for each in host_build.listing(place.engine) if each["inputs"] == inputs and not each["tags"]]
    assert left, "the failed build's stage is there, and has its parent's labels"
    place.engine.api.remove_image(place.options.reference("app"))
    place.engine.api.remove_image(place.options.reference("base"), noprune=True)
    place.write("app/Dockerfile.j2", FILES["app/Dockerfile.j2"])
    assert results(place.run()) == {"distro": "unchanged", "base": "built", "app": "built"}
    assert place.inspect("base")["RootFS"]["Layers"][-1] != place.inspect("app")["RootFS"]["Layers"][-1]


def test_a_parent_that_fails_blocks_its_children(place: Place) -> None:
    place.write("base/Dockerfile.j2", FILES["base/Dockerfile.j2"] + "RUN exit 4\n")
    data = place.run()
    assert results(data) == {"distro": "built", "base": "failed", "app": "blocked"}
    assert [entry["blocks"] for entry in data["images"] if entry["result"] == "failed"] == [["app"]]


def test_a_removed_image_comes_back(place: Place) -> None:
    place.run()
    place.engine.api.remove_image(place.options.reference("app"))
    data = place.run()
    assert results(data)["app"] == "built"
    assert [entry["reason"] for entry in data["images"] if entry["image"] == "app"] == ["it was removed"]


def test_an_engine_that_is_away_is_named(place: Place, tmp_path: Path) -> None:
    request = host_build.BuildRequest("app", "d-test/never:1", {}, _context(tmp_path))
    with Engine("unix:///nonexistent.sock") as engine, pytest.raises(EngineUnavailable, match="no Docker Engine"):
        host_build.build(engine, request, Settings({}, [], {}), locks=tmp_path)


def test_two_builds_of_one_image_wait_for_each_other(place: Place, tmp_path: Path) -> None:
    import threading

    inside, entered = threading.Event(), []

    def second() -> None:
        with host_build.lock(tmp_path, "a/b:1"):
            entered.append(inside.is_set())

    with host_build.lock(tmp_path, "a/b:1"):
        thread = threading.Thread(target=second)
        thread.start()
        inside.set()
    thread.join(10)
    assert entered == [True]


def _context(folder: Path) -> Path:
    import tarfile

    path = folder / "context.tar"
    with tarfile.open(path, "w"):
        pass
    return path


# -- the real images, where they are -----------------------------------------------------------------------------------

CHECKS = {
    "memcached": ("memcached", ["memcached", "--version"]),
    "haproxy": ("haproxy", ["haproxy", "-v"]),
    "mariadb": ("mysql", ["mariadbd", "--version"]),
    "keystone": ("keystone", ["python3", "-c", "import keystone.server.wsgi, ldap, pymysql, memcache"]),
    "placement-api": ("placement", ["placement-manage", "--version"]),
    "rabbitmq": ("rabbitmq", ["env", "HOME=/tmp", "rabbitmqctl", "version"]),
    "keepalived": ("root", ["keepalived", "--version"]),
    "cron": ("root", ["logrotate", "--version"]),
    "kolla-toolbox": ("kolla", ["python3", "-c", "import openstack, pymysql, openstackclient.shell"]),
}


def _run(engine: Engine, body: dict[str, Any]) -> tuple[int | None, str]:
    container = engine.create("", body)
    try:
        engine.start(container)
        code = engine.wait(container, 60)
        return code, "\n".join(engine.logs(container, 200))
    finally:
        engine.remove(container, force=True)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def _reference(engine: Engine, name: str) -> str:
    reference = bench.IMAGES.reference(name)
    if engine.inspect_image(reference) is None:
        bench.cannot(f"{reference} is not built here")
    return reference


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_shipped_image_starts_as_its_user_on_a_read_only_root(engine: Engine, name: str) -> None:
    user, command = CHECKS[name]
    config = {"command": " ".join(f"'{word}'" for word in command)}
    body = {
        "Image": _reference(engine, name),
        "Env": [f"KOLLA_CONFIG={json.dumps(config)}", "KOLLA_CONFIG_STRATEGY=COPY_ALWAYS", "KOLLA_SKIP_EXTEND_START="],
        "HostConfig": {
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "mode=1777"},
            "CapDrop": ["ALL"],
            "NetworkMode": "none",
            "Init": True,
        },
    }
    code, text = _run(engine, body)
    assert code == 0, text
    assert engine.inspect_image(body["Image"])["Config"]["User"] == user  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_shipped_image_holds_no_builder_and_no_setuid_program(engine: Engine, name: str) -> None:
    script = (
        "find / -xdev -perm /6000 -type f; for p in gcc cc make git uv; do command -v $p; done; "
        "find / -xdev \\( -name '*.whl' -o -name pip.conf -o -name saltern-build -o -path '/var/lib/apt/lists/*_*' "
        "-o -path /delta -o -path /wheels -o -path '/usr/local/share/ca-certificates/*' \\); cat /etc/apt/sources.list"
    )
    body = {
        "Image": _reference(engine, name),
        "Entrypoint": ["sh", "-c"],
        "Cmd": [f"({script}) 2>/dev/null; true"],
        "User": "0",
        "HostConfig": {"NetworkMode": "none"},
    }
    code, text = _run(engine, body)
    assert code == 0
    assert text == ""


def test_the_contract_in_a_real_image(engine: Engine, tmp_path: Path) -> None:
    """Files arrive with owner and mode, check passes, and nothing of it takes long."""
    script = (
        "kolla_set_configs && kolla_set_configs --check && stat -c '%U:%G %a' /tmp/c/a.conf && "
        "echo more >> /tmp/c/a.conf && ! kolla_set_configs --check"
    )
    config = {
        "command": "sleep 'a b'",
        "config_files": [{"source": "/etc/hostname", "dest": "/tmp/c/a.conf", "owner": "haproxy", "perm": "0600"}],
    }
    body = {
        "Image": _reference(engine, "haproxy"),
        "Cmd": ["sh", "-c", script],
        "Env": [f"KOLLA_CONFIG={json.dumps(config)}"],
        "HostConfig": {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": "mode=1777"}, "NetworkMode": "none"},
    }
    code, text = _run(engine, body)
    assert code == 0, text
    assert "haproxy:haproxy 600" in text
    assert "/tmp/c/a.conf: its content differs" in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed")
def test_the_distribution_is_made_from_packages(engine: Engine, tmp_path: Path) -> None:
    reference = f"d-test-{uuid.uuid4().hex[:8]}/distro:1"
    builder = LocalBuilder(engine, suite="trixie", root=tmp_path)
    labels = host_build.labels("distro", "0" * 16, None)
    request = {
        "image": "distro",
        "reference": reference,
        "labels": labels,
        "suite": "trixie",
        "packages": ["ca-certificates"],
    }
    made = builder.import_base(request)
    try:
        assert made["size"] < 82_000_000
        held = host_build_packages(engine, reference)
        assert held["libc6"]
        found = builder.outdated({"distro": reference}, reference, "host")
        assert found == {}, "just made from the same mirror"
    finally:
        engine.api.remove_image(reference, force=True)


def host_build_packages(engine: Engine, reference: str) -> dict[str, str]:
    from saltern.host.build_refresh import packages_of

    return packages_of(engine, "distro", reference)
