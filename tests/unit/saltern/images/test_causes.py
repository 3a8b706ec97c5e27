"""What is told of a rebuild: the image of the chain that changed, and what in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saltern.images.causes import HISTORY, details, own_changes, told
from saltern.images.options import Options
from saltern.images.record import read_record, write_record
from saltern.images.run import build_all
from saltern.images.tree import load

from . import trees
from .test_run import CLOCK, OPTIONS, Fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    more = {
        "base/Dockerfile.j2": trees.TINY["base/Dockerfile.j2"]
        + "COPY {{ lock('common') }} /common\nRUN one\nRUN two\n",
        "locks/1.0/common.txt": "keystone==28.0.0 \\\n    --hash=sha256:00\nwebob==1.8\n",
    }
    return trees.write(tmp_path / "images", {**trees.TINY, **more})


def build(fake: Fake, folder: Path, **kwargs: Any) -> dict[str, str]:
    data = build_all(fake, folder, kwargs.pop("options", OPTIONS), state=folder.parent / "state", clock=CLOCK, **kwargs)
    return {entry["image"]: entry["reason"] for entry in data["images"] if entry["result"] in ("built", "tagged")}


def edit(folder: Path, path: str, before: str, after: str) -> None:
    text = (folder / path).read_text()
    assert before in text
    (folder / path).write_text(text.replace(before, after))


def test_an_ancestors_lock_line_is_the_cause_of_all_below_it(folder: Path) -> None:
    fake = Fake()
    assert set(build(fake, folder).values()) == {"never built"}
    edit(folder, "locks/1.0/common.txt", "28.0.0", "28.0.1")
    reasons = build(fake, folder)
    assert reasons["base"] == "lock line keystone 28.0.0 → 28.0.1"
    assert {reasons[name] for name in ("tool", "app", "other")} == {"base changed: lock line keystone 28.0.0 → 28.0.1"}


def test_what_changed_in_an_earlier_call_is_still_told(folder: Path) -> None:
    fake = Fake()
    build(fake, folder)
    edit(folder, "locks/1.0/common.txt", "28.0.0", "28.0.1")
    assert set(build(fake, folder, names=["base"])) == {"base"}
    edit(folder, "locks/1.0/common.txt", "webob==1.8", "webob==1.9")
    edit(folder, "_build/note", "shared", "new")
    reasons = build(fake, folder, names=["other"])
    assert reasons["base"] == "lock line webob 1.8 → 1.9"
    assert reasons["other"] == (
        "shared/note changed; base changed: lock line keystone 28.0.0 → 28.0.1, lock line webob 1.8 → 1.9"
    )


def test_old_records_tell_what_they_know(folder: Path) -> None:
    fake = Fake()
    build(fake, folder)
    state = folder.parent / "state"
    record = read_record(state)
    for each in record.builds.values():
        del each["details"], each["history"]
    write_record(state, record)
    edit(folder, "locks/1.0/common.txt", "28.0.0", "28.0.1")
    reasons = build(fake, folder)
    assert reasons["base"] == "locks/common.txt changed"
    assert reasons["app"] == "base changed: locks/common.txt changed"


def test_removed_and_a_new_parent(folder: Path) -> None:
    fake = Fake()
    build(fake, folder)
    for key in [key for key, image in fake.images.items() if image["image"] == "app"]:
        del fake.images[key]
    assert build(fake, folder) == {"app": "it was removed"}
    edit(folder, "other/Dockerfile.j2", "image('base')", "image('app')")
    assert build(fake, folder)["other"].endswith("app is a new parent, base is no parent any more")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("RUN two\n", "RUN two\nRUN three\n", "Dockerfile: + three"),
        ("RUN two\n", "", "Dockerfile: − two"),
        ("RUN one\n", f"RUN {'o' * 80}\n", f"Dockerfile: − one, + {'o' * 60}"),
        ("RUN one\nRUN two\n", "RUN 1\nRUN 2\nRUN 3\n", "Dockerfile: 3 steps added, 2 removed"),
    ],
)
def test_steps(folder: Path, before: str, after: str, text: str) -> None:
    fake = Fake()
    build(fake, folder)
    edit(folder, "base/Dockerfile.j2", before, after)
    assert build(fake, folder, names=["base"]) == {"base": text}


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("keystone==28.0.0\nwebob==1.8\nnew==1\n", "lock line new 1 added"),
        ("keystone==28.0.0\n", "lock line webob 1.8 removed"),
        ("keystone==28.0.0 \\\n    --hash=sha256:11\nwebob==1.8\n", "hashes in locks/common.txt changed"),
        ("keystone==29\nwebob==2\na==1\nb==1\n", "locks/common.txt: 2 changed, 2 added"),
    ],
)
def test_lines_of_a_lock(folder: Path, lock: str, text: str) -> None:
    fake = Fake()
    build(fake, folder)
    (folder / "locks/1.0/common.txt").write_text(lock)
    assert build(fake, folder, names=["base"]) == {"base": text}


def test_files_of_an_image(folder: Path) -> None:
    fake = Fake()
    build(fake, folder)
    (folder / "base/hello").write_text("other\n")
    (folder / "base/more").write_text("more\n")
    assert build(fake, folder, names=["base"]) == {"base": "hello changed, more is new"}
    (folder / "base/more").unlink()
    assert build(fake, folder, names=["base"]) == {"base": "more is gone"}


def test_newer_packages_and_another_distribution(folder: Path) -> None:
    edit(
        folder,
        "base/Dockerfile.j2",
        "RUN one",
        "ENV SALTERN_REFRESH={{ refresh_token }}\nRUN {{ packages(['x'])[0] }}",
    )
    fake = Fake()
    build(fake, folder)
    fake.newer = {"base": {"openssl": "3.5.1"}}
    assert build(fake, folder, refresh=True)["base"] == "package openssl → 3.5.1"
    fake.newer = {"base": {"openssl": "3.5.4"}}
    assert build(fake, folder, refresh=True)["app"] == "base changed: package openssl 3.5.1 → 3.5.4"
    fake.newer = {}
    reasons = build(fake, folder, options=Options(release="1.0", suite="forky"), names=["distro"])
    assert reasons == {"distro": "suite trixie → forky"}


def test_what_is_remembered_is_bounded(folder: Path) -> None:
    fake = Fake()
    for number in range(HISTORY + 3):
        (folder / "base/hello").write_text(f"{number}\n")
        build(fake, folder, names=["base"])
    last = read_record(folder.parent / "state").builds[OPTIONS.reference("base")]
    assert len(last["history"]) == HISTORY
    edit(folder, "base/Dockerfile.j2", "RUN two\n", "RUN x\n" * 500)
    tree = load(folder, OPTIONS)
    assert len(details(tree.images["base"], OPTIONS, {}, {})["steps"]) <= 200


def test_many_changes_are_counted() -> None:
    origins = {f"i{number}": [f"c{number}{each}" for each in range(6)] for number in range(6)}
    text = told("i0", origins)
    assert text.startswith("c00, c01, c02, c03 and 2 more; i1 changed: c10")
    assert text.endswith("and 2 more")
    assert own_changes({"parts": {"a": "1"}}, {"a": "1"}, {}) == []
