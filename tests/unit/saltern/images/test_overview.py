"""The overview: one list says what is fresh, stale and missing, and the same reasons as the build that follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saltern import terminal
from saltern.images.options import Options
from saltern.images.overview import overview
from saltern.images.run import Clock, build_all
from saltern.images.tree import TreeBroken

from . import trees

OPTIONS = Options(release="1.0")


class FakeBuilder:
    """Has images by reference; builds in no time."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def listing(self) -> list[dict[str, Any]]:
        self.calls.append("list")
        return list(self.images.values())

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        number = len(self.calls)
        self.calls.append(request["image"])
        labels = request["labels"]
        size = 80_000_000 + 1_000_000 * number
        made = {"id": f"sha256:{number:064x}", "tags": [request["reference"]], "size": size, "release": ""}
        self.images[request["reference"]] = made | {"image": request["image"], "inputs": labels["saltern.inputs"]}
        return {"id": made["id"], "size": size, "seconds": 1.0}

    import_base = build


class Place:
    def __init__(self, root: Path) -> None:
        self.folder, self.state, self.builder = trees.write(root / "images"), root / "state", FakeBuilder()

    def build(self) -> None:
        build_all(self.builder, self.folder, OPTIONS, state=self.state, clock=Clock(now=lambda: 1000.0))  # type: ignore[arg-type]

    def look(self, *names: str) -> dict[str, Any]:
        self.builder.calls.clear()
        data = overview(
            lambda: {"ctl1": self.builder.listing()},
            self.folder,
            OPTIONS,
            state=self.state,
            names=names,
            now=lambda: 8300.0,
        )
        json.dumps(data)
        return data


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def states(data: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["image"]: (entry["state"], entry["reason"]) for entry in data["images"]}


def test_before_the_first_build_all_is_missing(place: Place) -> None:
    data = place.look()
    assert set(states(data).values()) == {("missing", "never built")}
    assert data["counts"] == {"fresh": 0, "stale": 0, "missing": 5}
    assert data["unique"] == 0
    assert place.builder.calls == ["list"]


def test_after_a_build_all_is_fresh_and_one_list_says_it(place: Place) -> None:
    place.build()
    data = place.look()
    assert set(states(data).values()) == {("fresh", "")}
    assert place.builder.calls == ["list"]
    app = next(entry for entry in data["images"] if entry["image"] == "app")
    assert app["at"] == 1000.0
    assert app["base"] == "base"
    assert app["id"] == place.builder.images[app["reference"]]["id"]
    assert app["own"] == app["size"] - next(entry["size"] for entry in data["images"] if entry["image"] == "base")


def test_an_edit_makes_the_subtree_stale_and_names_the_edited_one(place: Place) -> None:
    place.build()
    (place.folder / "tool/Dockerfile.j2").write_text(trees.TINY["tool/Dockerfile.j2"] + "RUN true\n")
    found = states(place.look())
    assert found["base"][0] == found["other"][0] == "fresh"
    assert found["tool"] == ("stale", "Dockerfile: + true")
    assert found["app"] == ("stale", "tool changed: Dockerfile: + true")


def test_a_removed_image_is_missing_and_one_of_others_making_has_no_date(place: Place) -> None:
    place.build()
    del place.builder.images[OPTIONS.reference("app")]
    place.builder.images[OPTIONS.reference("other")] |= {"id": "sha256:" + "f" * 64}
    data = place.look()
    assert states(data)["app"] == ("missing", "it was removed")
    other = next(entry for entry in data["images"] if entry["image"] == "other")
    assert (other["state"], other["at"], other["digest"]) == ("fresh", None, None)


def test_names_choose_and_bring_what_they_need(place: Place) -> None:
    assert set(states(place.look("other"))) == {"distro", "base", "other"}
    with pytest.raises(TreeBroken, match="nosuch"):
        place.look("nosuch")
    assert place.builder.calls == [], "nobody is asked before the names are known"


def test_it_looks_like_a_tree(place: Place) -> None:
    place.build()
    del place.builder.images[OPTIONS.reference("app")]
    (place.folder / "_build/note").write_text("another\n")
    lines = terminal.render(place.look()).splitlines()
    assert lines[0].split() == ["image", "size", "adds", "id", "built", "state"]
    assert [line.split("MB")[0].rstrip(" 0123456789") for line in lines[1:3]] == ["● distro *", "● └ base"]
    assert lines[3].startswith("○   ├ app ")
    assert lines[3].endswith("  missing")
    assert lines[4].startswith("◐   ├ other ")
    assert lines[4].endswith("2 h ago  stale")
    assert lines[5].startswith("●   └ tool * ")
    assert lines[8:10] == ["○ missing: it was removed (app)", "◐ stale: shared/note changed (other)"]
    assert lines[-2].startswith("5 images of 1.0 on ctl1: 3 fresh, 1 stale, 1 missing. Shipped images take ")
    assert lines[-1] == "Build them: salt-run openstack.build"


def test_a_pushed_one_shows_its_digest(place: Place) -> None:
    place.build()
    data = place.look()
    data["images"][0]["digest"] = "sha256:" + "ab" * 32
    lines = terminal.render(data).splitlines()
    assert "pushed" in lines[0]
    assert "abababababab" in lines[1]
    assert "Build them" not in lines[-1]
