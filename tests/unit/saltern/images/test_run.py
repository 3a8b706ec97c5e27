"""Which images are built, tagged or left alone, and what is told about it; with a builder that only remembers."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import BuildFailed
from saltern.host.build import StepFailed
from saltern.images.builders import BuilderAway
from saltern.images.options import Options
from saltern.images.record import read_record
from saltern.images.run import CONTEXTS, Clock, build_all, render_all

from . import trees

OPTIONS = Options(release="1.0")
CLOCK = Clock(now=lambda: 100.0, sleep=lambda seconds: None)


class Fake:
    """A builder with images in a dict; ``store`` is the registry."""

    def __init__(self, store: dict[str, str] | None = None) -> None:
        self.store = {} if store is None else store
        self.refusing: Exception | None = None
        self.away = False
        self.gates: dict[str, threading.Barrier] = {}  # image → what its build waits at
        self.images: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.failing: dict[str, list[Exception]] = {}
        self.newer: dict[str, dict[str, str]] = {}
        self.lock = threading.Lock()

    def listing(self) -> list[dict[str, Any]]:
        self.calls.append(("list", ""))
        return [dict(image) for image in self.images.values()]

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        assert Path(request["context"]).is_file()
        return self._make(request)

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._make(request)

    def tag(self, image_id: str, reference: str) -> None:
        self.calls.append(("tag", reference))
        self.images[image_id]["tags"].append(reference)

    def push(self, references: list[str]) -> dict[str, dict[str, Any]]:
        self.calls += [("push", each) for each in references]
        if self.refusing:
            raise self.refusing
        found = {tag: image["id"] for image in self.images.values() for tag in image["tags"]}
        self.store.update({each: found[each] for each in references})
        return {each: {"digest": f"sha256:manifest of {found[each]}", "layers_pushed": 1} for each in references}

    def pull(self, references: list[str]) -> dict[str, dict[str, Any]]:
        self.calls += [("pull", each) for each in references]
        return {each: {"id": self.store[each], "digest": "sha256:manifest"} for each in references}

    def outdated(self, images: dict[str, str], asker: str, network: str) -> dict[str, dict[str, str]]:
        self.calls.append(("outdated", asker))
        return {name: dict(packages) for name, packages in self.newer.items() if name in images}

    def built(self) -> set[str]:
        return {name for kind, name in self.calls if kind == "build"}

    def _make(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["image"]
        if name in self.gates:
            self.gates[name].wait()
        if self.away:
            raise BuilderAway("b2 does not answer", where=name)
        with self.lock:
            self.calls.append(("build", name))
            if self.failing.get(name):
                raise self.failing[name].pop(0)
            image_id = f"sha256:{name}-{len(self.calls)}-{id(self)}"
            for image in self.images.values():
                image["tags"] = [tag for tag in image["tags"] if tag != request["reference"]]
            labels = request["labels"]
            self.images[image_id] = {
                "id": image_id, "tags": [request["reference"]], "image": name, "inputs": labels["saltern.inputs"],
                "release": labels.get("saltern.release", ""), "size": 10_000_000 * (1 + len(request["image"])),
            }  # fmt: skip
        return {"id": image_id, "seconds": 3.0, "size": self.images[image_id]["size"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return trees.write(tmp_path / "images")


def results(data: dict[str, Any]) -> dict[str, str]:
    return {entry["image"]: entry["result"] for entry in data["images"]}


def run(fake: Fake, folder: Path, **kwargs: Any) -> dict[str, Any]:
    return build_all(fake, folder, kwargs.pop("options", OPTIONS), state=folder.parent / "state", clock=CLOCK, **kwargs)


def test_all_at_first_then_one_list_and_nothing_else(folder: Path) -> None:
    fake = Fake()
    assert set(results(run(fake, folder)).values()) == {"built"}
    fake.calls.clear()
    again = run(fake, folder)
    assert set(results(again).values()) == {"unchanged"}
    assert fake.calls == [("list", "")]
    assert again["retcode"] == 0


def test_an_edit_builds_its_subtree_and_says_why(folder: Path) -> None:
    fake = Fake()
    run(fake, folder)
    fake.calls.clear()
    (folder / "locks/1.0/app.txt").write_text("app==2\n")
    data = run(fake, folder)
    assert fake.built() == {"app"}
    (entry,) = [entry for entry in data["images"] if entry["result"] == "built"]
    assert entry["reason"] == "lock line app 1 → 2"
    assert entry["cause"] == [{"image": "app", "changes": ["lock line app 1 → 2"]}]


def test_only_what_is_named_and_what_it_needs(folder: Path) -> None:
    fake = Fake()
    run(fake, folder, names=["other"])
    assert fake.built() == {"distro", "base", "other"}


def test_the_same_content_gets_a_further_name_without_a_build(folder: Path) -> None:
    fake = Fake()
    run(fake, folder)
    fake.calls.clear()
    data = run(fake, folder, options=Options(release="1.0", namespace="mine"))
    assert fake.built() == set()
    assert set(results(data).values()) == {"tagged"}


def test_a_failure_names_cause_and_blocked_images_and_keeps_the_former(folder: Path) -> None:
    fake = Fake()
    run(fake, folder)
    former = {image["image"]: image["id"] for image in fake.images.values()}
    (folder / "tool/Dockerfile.j2").write_text(trees.TINY["tool/Dockerfile.j2"] + "RUN make\n")
    (folder / "_build/note").write_text("new\n")
    fake.failing["tool"] = [
        StepFailed("make: no rule", where="tool, step 3 of 3: RUN make", step="RUN make", log=["make: no rule"])
    ]
    data = run(fake, folder)
    assert results(data) == {
        "distro": "unchanged",
        "base": "unchanged",
        "tool": "failed",
        "app": "blocked",
        "other": "built",
    }
    (failed,) = [entry for entry in data["images"] if entry["result"] == "failed"]
    assert failed["error"] == "make: no rule"
    assert failed["log"] == ["make: no rule"]
    assert failed["blocks"] == ["app"]
    assert data["retcode"] == 1
    assert f"{OPTIONS.reference('tool')}" in fake.images[former["tool"]]["tags"]
    assert not read_record(folder.parent / "state").builds[OPTIONS.reference("tool")]["id"].endswith("new")


def test_the_network_is_tried_again(folder: Path) -> None:
    fake = Fake()
    fake.failing["base"] = [BuildFailed("Connection reset by peer")]
    told: list[tuple[str, dict[str, Any]]] = []
    data = run(fake, folder, names=["base"], report=lambda kind, about: told.append((kind, about)))
    assert results(data) == {"distro": "built", "base": "built"}
    (retry,) = [about for kind, about in told if kind == "retry"]
    assert retry["image"] == "base"
    assert retry["try"] == 2


def test_refresh_rebuilds_what_holds_outdated_packages_once(folder: Path) -> None:
    for name in ("base", "other"):
        path = folder / name / "Dockerfile.j2"
        path.write_text(path.read_text() + "ENV T={{ refresh_token }} P={{ packages(['x']) | join }}\n")
    fake = Fake()
    run(fake, folder)
    fake.calls.clear()
    fake.newer = {"base": {"openssl": "2"}, "other": {"openssl": "2", "curl": "9"}}
    run(fake, folder, refresh=True)
    assert fake.built() == {"base", "tool", "app", "other"}
    record = read_record(folder.parent / "state")
    assert record.packages == {"base": {"openssl": "2"}, "other": {"curl": "9"}}, "a parent's packages are the parent's"
    fake.calls.clear()
    fake.newer = {}
    run(fake, folder, refresh=True)
    assert fake.built() == set()


def test_sizes_count_shared_layers_once_and_leave_helpers_out(folder: Path) -> None:
    data = run(Fake(), folder)
    sizes = {entry["image"]: entry["size"] for entry in data["images"]}
    own = (sizes["base"] - sizes["distro"]) + (sizes["app"] - sizes["base"]) + (sizes["other"] - sizes["base"])
    assert data["unique"] == sizes["distro"] + own
    assert {entry["image"] for entry in data["images"] if not entry["shipped"]} == {"distro", "tool"}


def test_contexts_are_the_same_bytes_for_the_same_inputs_and_former_ones_go(folder: Path) -> None:
    fake = Fake()
    run(fake, folder)
    contexts = folder.parent / "state" / CONTEXTS
    (first,) = contexts.glob("other-*.tar")
    content = first.read_bytes()
    first.unlink()
    fake.images.clear()
    run(fake, folder, names=["other"])
    assert first.read_bytes() == content
    (folder / "_build/note").write_text("new\n")
    run(fake, folder, names=["other"])
    assert [path != first for path in contexts.glob("other-*.tar")] == [True]


def test_rendering_builds_nothing(folder: Path) -> None:
    files = render_all(folder, OPTIONS, state=folder.parent / "state", names=["app"])
    assert set(files) == {"base", "tool", "app"}
    assert "FROM saltern/base:1.0" in Path(files["app"]).read_text()


def test_a_broken_record_costs_no_build(folder: Path) -> None:
    fake = Fake()
    run(fake, folder)
    (folder.parent / "state" / "images.json").write_text("{")
    fake.calls.clear()
    assert set(results(run(fake, folder)).values()) == {"unchanged"}


def test_a_full_disk_of_the_master_is_told_as_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    fake = Fake()
    run(fake, folder, names=["distro"])
    monkeypatch.setattr("saltern.images.run.write_context", full)
    data = run(fake, folder, names=["base"])
    (failed,) = [entry for entry in data["images"] if entry["result"] == "failed"]
    assert failed["error"] == "the master's disk is full"
    assert str(folder.parent / "state") in failed["where"]


def test_a_bill_of_material_that_cannot_be_written_is_a_note_and_no_failure(folder: Path) -> None:
    class Telling(Fake):
        def build(self, request: dict[str, Any]) -> dict[str, Any]:
            listed = {"distribution": {"libc6": {"version": "2", "license": "MIT"}}, "python": {}}
            return {**super().build(request), "packages": listed}

    (folder.parent / "state").mkdir()
    (folder.parent / "state/sbom").write_text("in the way")
    fake = Telling()
    data = run(fake, folder)
    assert data["retcode"] == 0
    assert data["counts"]["failed"] == data["counts"]["blocked"] == 0
    noted = {entry["image"]: entry["notes"] for entry in data["images"] if "notes" in entry}
    assert "other" in noted
    (note,) = noted["other"]
    assert "the bill of material cannot be written" in note
    assert "salt-run openstack.images_sbom other" in note
    assert all("notes" not in entry for entry in run(fake, folder)["images"])  # unchanged, nothing was to be written
