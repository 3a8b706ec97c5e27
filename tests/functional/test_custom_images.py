"""An operator's additions on the real engine: a tiny image with all kinds of lines, and keystone from a checkout."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.record import Record
from saltern.images.roll import Roll
from saltern.images.run import asked, build_all, decide
from saltern.images.tree import load

from . import bench, tiny
from .test_images import Counting, Place, results

pytestmark = pytest.mark.engine

SHIPPED = Path(__file__).resolve().parents[2] / "images"
# what the real ones need is not in a busybox
COLLECT = """#!/bin/sh
list="/etc/motd /etc/installed /usr/share/saltern/packages"
case $1 in
    snap) mkdir -p /usr/local/lib/saltern-build/state && touch /usr/local/lib/saltern-build/state/before ;;
    delta) mkdir -p /delta/etc /delta/usr/share/saltern && for path in $list; do cp -r $path /delta$path; done ;;
esac
"""
APT = "#!/bin/sh\nfor word in $@; do last=$word; done\necho $last > /etc/installed\n"
ADDED = {
    "packages": ["strace"],
    "steps": ["RUN cat /etc/mirror > /dev/null && id -u > /etc/motd"],
    "append": ["ENV FOO=bar"],
}


class Busybox(Counting):
    """Its distribution knows a package manager."""

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append("import")
        changes = [f"LABEL {name}={value}" for name, value in request["labels"].items()]
        extra = {"usr/bin/apt-get": APT, "usr/share/saltern/packages/other": ""}
        return {"id": tiny.load(self.engine.api, request["reference"], extra, changes), "seconds": 0.1, "size": 1}


def _clean(engine: Engine, namespace: str) -> None:
    tags = {tag for image in engine.images() for tag in image.get("RepoTags") or () if tag.startswith(f"{namespace}/")}
    former = [
        each["Id"] for each in engine.api.images(filters={"dangling": True, "label": f"saltern.test={namespace}"})
    ]
    for each in [*former, *sorted(tags, reverse=True)]:
        engine.api.remove_image(each, force=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Engine() as engine:
        place = Place(tmp_path, engine)
        place.builder.__class__ = Busybox
        # a label by which what is left without a name is found
        place.write(
            "base/Dockerfile.j2", f"FROM {{{{ image('distro') }}}}\nLABEL saltern.test={place.options.namespace}\n"
        )
        for name in ("macros.j2", "custom.j2"):
            shutil.copy(SHIPPED / "_build" / name, place.folder / "_build" / name)
        for name, text in (
            ("collect", COLLECT),
            ("packages", "#!/bin/sh\necho own 1 > $1/usr/share/saltern/packages/$2\n"),
        ):
            place.write(f"_build/{name}", text)
            (place.folder / "_build" / name).chmod(0o755)
        place.write("_build/adduser.conf", "")
        yield place
        _clean(engine, place.options.namespace)


def _content(engine: Engine, reference: str) -> dict[str, str]:
    """Path → text of an image's small files."""
    container = engine.create("", {"Image": reference, "Cmd": ["true"]})
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(engine.api.export(container)))) as tar:
            return {e.name: tar.extractfile(e).read().decode() for e in tar if e.isfile() and e.size < 100}  # type: ignore[union-attr]
    finally:
        engine.remove(container, force=True)


def test_packages_steps_and_lines_are_in_the_image_and_no_other_is_built(place: Place) -> None:
    place.run()
    former = place.inspect("app")["Id"]
    place.options = replace(place.options, custom={"app": ADDED})
    made = place.run()
    assert results(made) == {"distro": "unchanged", "base": "unchanged", "app": "built"}
    (reason,) = [entry["reason"] for entry in made["images"] if entry["image"] == "app"]
    assert "custom packages is new" in reason
    inspected = place.inspect("app")
    assert inspected["Config"]["User"] == "42400"
    assert "FOO=bar" in inspected["Config"]["Env"]
    assert "saltern.stage" not in inspected["Config"]["Labels"]
    files = _content(place.engine, place.options.reference("app"))
    assert (files["etc/motd"], files["etc/installed"], files["out"]) == ("0\n", "strace\n", "tool\n")
    assert files["usr/share/saltern/packages/app"] == "own 1\n"
    assert not any("mirror" in path or "saltern-build" in path for path in files)
    assert place.dangling() == []
    assert results(place.run())["app"] == "unchanged"
    assert place.builder.calls == ["list"]

    place.options = replace(place.options, custom={})
    assert results(place.run()) == {"distro": "unchanged", "base": "unchanged", "app": "tagged"}
    assert place.inspect("app")["Id"] == former


def test_a_failing_step_leaves_the_former_image(place: Place) -> None:
    place.run()
    former = place.inspect("app")["Id"]
    place.options = replace(place.options, custom={"app": {"steps": ["RUN echo no such thing >&2; false"]}})
    made = place.run()
    (failed,) = [entry for entry in made["images"] if entry["result"] == "failed"]
    assert "no such thing" in failed["error"]
    assert "echo no such thing" in failed["where"]
    assert place.inspect("app")["Id"] == former


def test_an_own_folder_continues_a_shipped_image(place: Place, tmp_path: Path) -> None:
    place.run()
    template = place.folder / "app/Dockerfile.j2"
    template.write_text(template.read_text().replace("USER", "{% block final %}{% endblock %}\nUSER"))
    own = tmp_path / "own/app"
    own.mkdir(parents=True)
    (own / "Dockerfile.j2").write_text(
        '{% extends "saltern/app/Dockerfile.j2" %}\n{% block final %}\nCOPY motd /etc/motd\n{% endblock %}\n'
    )
    (own / "motd").write_text("ours\n")
    place.options = replace(place.options, folders=(str(own.parent),))
    assert results(place.run()) == {"distro": "unchanged", "base": "unchanged", "app": "built"}
    files = _content(place.engine, place.options.reference("app"))
    assert (files["etc/motd"], files["out"]) == ("ours\n", "tool\n")


# -- the real one ------------------------------------------------------------------------------------------------


def _checkout(engine: Engine, folder: Path) -> None:
    """A project of what keystone's image has, with one changed line."""
    reference = bench.IMAGES.reference("keystone")
    if engine.inspect_image(reference) is None:
        bench.cannot(f"{reference} is not built here")
    site = "/var/lib/openstack/lib/python3.13/site-packages"
    container = engine.create("", {"Image": reference, "Cmd": ["true"]})
    try:
        lock = (SHIPPED / "locks" / bench.IMAGES.release / "keystone.txt").read_text()
        version = lock.partition("\nkeystone==")[2].split()[0]
        for path in (f"{site}/keystone", f"{site}/keystone-{version}.dist-info/entry_points.txt"):
            stream = engine.api.get_archive(container, path)[0]
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                tar.extractall(folder)
    finally:
        engine.remove(container, force=True)
    points = re.sub(r"(?m)^(?=[^\[\s])", "    ", (folder / "entry_points.txt").read_text())
    points = re.sub(r"(?m)^\[(.*)\]$", r"\1 =", points)
    head = "[metadata]\nname = keystone\n[files]\npackages = keystone\n[entry_points]\n"
    (folder / "setup.cfg").write_text(head + points)
    (folder / "setup.py").write_text("import setuptools\nsetuptools.setup(setup_requires=['pbr'], pbr=True)\n")
    with open(folder / "keystone/version.py", "a") as file:
        file.write("\nCHANGED = 'here'\n")


def test_a_service_is_built_from_a_checkout_on_the_builder(tmp_path: Path) -> None:
    namespace = f"d-test-{uuid.uuid4().hex[:8]}"
    source, state = tmp_path / "keystone", tmp_path / "state"
    source.mkdir()
    raw = {"keystone": {"source": {"path": str(source)}, "append": [f"LABEL saltern.test={namespace}"]}}
    with Engine() as engine:
        _checkout(engine, source)
        builder = LocalBuilder(engine, suite="trixie", root=tmp_path)
        stock = replace(bench.IMAGES, namespace=namespace)
        chosen = replace(stock, custom=raw)
        tree = load(SHIPPED, chosen, {}, asked(Roll([""]), {"": builder}, chosen))
        needed = decide(tree, tree.select(["keystone"]), builder.listing(), Record())
        if missing := [each.image.name for each in needed if each.action == "build" and each.image.name != "keystone"]:
            bench.cannot(f"images of this checkout are not built here: {', '.join(missing)}")
        try:
            made = results(build_all(builder, SHIPPED, chosen, state=state, names=["keystone"]))
            assert made.pop("keystone") == "built"
            assert set(made.values()) == {"tagged"}
            script = (
                "import importlib.metadata as m, keystone.version as v, pathlib; "
                "templates = list(pathlib.Path(v.__file__).parent.rglob('*.mako')); "
                "print(v.CHANGED, m.version('keystone'), len(templates))"
            )
            config = {"Image": chosen.reference("keystone"), "Cmd": ["python3", "-c", script], "Entrypoint": []}
            config["HostConfig"] = {"NetworkMode": "none"}
            container = engine.create("", config)
            try:
                engine.start(container)
                assert engine.wait(container, 60) == 0
                (text,) = engine.logs(container, 100)
            finally:
                engine.remove(container, force=True)
            changed, version, templates = text.split()
            assert changed == "here"
            assert ".post" in version
            assert templates != "0"  # files that are no Python belong to the package, too

            shutil.rmtree(source)
            with pytest.raises(SalternError, match="on the builder"):
                build_all(builder, SHIPPED, chosen, state=state, names=["keystone"])
            assert results(build_all(builder, SHIPPED, stock, state=state, names=["keystone"]))["keystone"] == "tagged"
        finally:
            _clean(engine, namespace)
