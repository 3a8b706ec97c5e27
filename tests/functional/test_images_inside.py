"""What is inside images, on the real engine: looked at and tried before they get a name, equal when built again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from saltern.host import build as host_build
from saltern.host import faults, inside, smoke
from saltern.host.build_settings import gather
from saltern.host.engine import Engine
from saltern.images.options import Options
from saltern.images.tree import Image, load

from . import bench
from .test_images import FILES, Place, place, results  # noqa: F401  # the fixture

pytestmark = pytest.mark.engine

APP = FILES["app/Dockerfile.j2"]
IMAGES = Path(__file__).resolve().parents[2] / "images"


def failed(data: dict[str, Any]) -> dict[str, Any]:
    (found,) = [entry for entry in data["images"] if entry["result"] == "failed"]
    return found


def untagged(place: Place, image: str) -> list[str]:  # noqa: F811
    inputs = load(place.folder, place.options).images[image].inputs
    return [e["id"] for e in host_build.listing(place.engine) if e["inputs"] == inputs and not e["tags"]]


def test_a_smoke_test_runs_as_the_user_on_a_read_only_root(place: Place) -> None:  # noqa: F811
    commands = (
        "test \"$(id -u)\" = 42400",
        "! touch /hello",
        'test -z "$KOLLA_CONFIG"',
    )  # fmt: skip
    place.write("app/smoke.sh", "\n\n".join(commands))
    data = place.run()
    assert results(data)["app"] == "built", data
    place.write("app/smoke.sh", "false\n")
    assert results(place.run())["app"] == "unchanged", "a smoke test is no input"


def test_an_image_that_fails_its_smoke_test_gets_no_name(place: Place) -> None:  # noqa: F811
    place.run()
    before = place.inspect("app")["Id"]
    place.write("app/smoke.sh", "true\n\necho libfoo.so.1: cannot open shared object file\nfalse\necho on\n\ntrue\n")
    place.write("app/Dockerfile.j2", APP + "ENV NEW=1\n")
    data = place.run()
    entry = failed(data)
    assert entry["error"] == "libfoo.so.1: cannot open shared object file"
    assert entry["where"].startswith("app, smoke test: echo libfoo.so.1")
    assert place.inspect("app")["Id"] == before
    assert untagged(place, "app") == [], "what failed is gone"
    assert place.builder.calls.count("build app") == 1, "no second try"
    place.write("app/smoke.sh", "true\n")
    assert results(place.run())["app"] == "built"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("cp /bin/busybox /delta/su && chmod 4755 /delta/su", "/su: a setuid file"),
        ("mkdir -p /delta/usr/bin && touch /delta/usr/bin/gcc", "/usr/bin/gcc: a compiler or build tool"),
        ("mkdir -p /delta/etc && cp /etc/mirror /delta/etc/environment", "/etc/environment: credentials"),
    ],
)
def test_a_shipped_image_that_holds_what_it_must_not_gets_no_name(
    place: Place,  # noqa: F811
    command: str,
    says: str,
) -> None:
    text = APP.replace("FROM {{ image('base') }} AS stage", "FROM {{ image('distro') }} AS stage")
    place.write("app/Dockerfile.j2", text.replace("RUN mkdir /delta", f"RUN mkdir /delta && {command}"))
    entry = failed(place.run())
    assert says in entry["error"]
    assert entry["where"] == "app, content"
    assert place.engine.inspect_image(place.options.reference("app")) is None
    assert untagged(place, "app") == []
    place.write("app/Dockerfile.j2", "{{ build_only() }}\n" + (place.folder / "app/Dockerfile.j2").read_text())
    assert results(place.run())["app"] == "built", "what is never shipped may hold it"


def test_two_builds_of_the_same_inputs_differ_in_their_times_alone(place: Place) -> None:  # noqa: F811
    place.run()
    names = ("base", "app")
    before = {name: inside.contents(place.engine, place.options.reference(name)) for name in names}
    for name in reversed(names):
        place.engine.api.remove_image(place.options.reference(name), force=True)
    with nocache():
        data = place.run()
    assert [(e["result"], e["reason"]) for e in data["images"][1:]] == [("built", "it was removed")] * 2
    for name in names:
        after = inside.contents(place.engine, place.options.reference(name))
        assert after.pop("id") != before[name].pop("id"), "an id holds the time of its making"
        assert after["files"]
        assert after.pop("created") != before[name].pop("created")
        assert after == before[name]


class nocache:
    """All builds of docker-py run without the engine's cache."""

    def __enter__(self) -> None:
        import docker

        self.patch = pytest.MonkeyPatch()
        build = docker.APIClient.build
        self.patch.setattr(docker.APIClient, "build", lambda self, **options: build(self, nocache=True, **options))

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


# -- the real images, where they are -----------------------------------------------------------------------------------

SHIPPED = {name: image for name, image in load(IMAGES, Options()).images.items() if not image.build_only}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture(params=sorted(SHIPPED))
def shipped(request: pytest.FixtureRequest, engine: Engine) -> Image:
    image = SHIPPED[request.param]
    if engine.inspect_image(image.reference) is None:
        bench.cannot(f"{image.reference} is not built here")
    return image


# What a build holds against an image before it gets its name.
HELD_AGAINST_IT = [*map(Path, (inside.__file__, faults.__file__, smoke.__file__)), *IMAGES.glob("*/smoke.sh")]


@pytest.fixture
def not_just_tried(engine: Engine, shipped: Image) -> Image:
    """An image older than what its build would hold against it today: a younger one has just passed all that."""
    created = engine.inspect_image(shipped.reference)["Created"]  # type: ignore[index]
    if datetime.fromisoformat(created[:19] + "Z").timestamp() > max(path.stat().st_mtime for path in HELD_AGAINST_IT):
        pytest.skip("its build has done just that")
    return shipped


def test_a_real_image_holds_nothing_of_how_it_was_built(engine: Engine, not_just_tried: Image) -> None:
    found = inside.read(engine, not_just_tried.reference, hashes=False)
    inspected = engine.inspect_image(not_just_tried.reference) or {}
    history = [layer["CreatedBy"] for layer in engine.api.history(not_just_tried.reference)]
    assert len(found.files) > 3000, "it was read"
    env = inspected["Config"]["Env"]
    assert faults.faults(found, gather("trixie"), env=env, history=history, setuid=not_just_tried.setuid) == []


def test_a_real_image_passes_its_smoke_test(engine: Engine, not_just_tried: Image) -> None:
    contract = () if not_just_tried.name == "base" else smoke.CONTRACT[1:] if not_just_tried.root else smoke.CONTRACT
    assert smoke.run(engine, not_just_tried.reference, [*contract, *not_just_tried.smoke]) is None


def test_a_real_image_tells_its_packages_and_their_licences(engine: Engine, shipped: Image) -> None:
    found = inside.contents(engine, shipped.reference, files=False)
    assert found["distribution"]["libc6"]["license"].startswith("LGPL")
    for name, package in (found["distribution"] | found["python"]).items():
        assert package["version"], name
    unknown = [n for n, p in (found["distribution"] | found["python"]).items() if p["license"] == "unknown"]
    assert unknown == []
