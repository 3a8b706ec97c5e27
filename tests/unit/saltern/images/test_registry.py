"""Several builders that share a tree by a registry, and pushing what was built."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.images import front
from saltern.images.builders import BuilderAway, NoAnswer
from saltern.images.options import Options
from saltern.images.record import read_record
from saltern.images.run import build_all

from . import trees
from .test_run import CLOCK, Fake, results

OPTIONS = Options(release="1.0", registry="r:5000", parallel=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return trees.write(tmp_path / "images")


def two(folder: Path, first: Fake, second: Fake, **kwargs: Any) -> dict[str, Any]:
    builders = {"b1": first, "b2": second}
    return build_all(
        builders, folder, kwargs.pop("options", OPTIONS), state=folder.parent / "state", clock=CLOCK, **kwargs
    )


def test_a_shipped_image_is_made_by_one_and_pulled_by_the_other(folder: Path) -> None:
    store: dict[str, str] = {}
    first, second = Fake(store), Fake(store)
    gate = threading.Barrier(2, timeout=10)
    for fake in (first, second):
        fake.gates = {"other": gate, "app": gate}  # neither is made before the other has begun
    data = two(folder, first, second)
    assert set(results(data).values()) == {"built"}
    shipped = {"base", "app", "other"}
    made = [name for fake in (first, second) for kind, name in fake.calls if kind == "build" and name in shipped]
    assert sorted(made) == sorted(shipped)
    (base,) = [entry for entry in data["images"] if entry["image"] == "base"]
    maker, other = (first, second) if base["builder"] == "b1" else (second, first)
    assert ("push", OPTIONS.reference("base")) in maker.calls
    assert ("pull", OPTIONS.reference("base")) in other.calls
    moved = {name for fake in (first, second) for kind, name in fake.calls if kind in ("push", "pull")}
    assert moved == {OPTIONS.reference("base")}, "only what is needed as a parent"
    builder_of_app = next(entry["builder"] for entry in data["images"] if entry["image"] == "app")
    fake = first if builder_of_app == "b1" else second
    assert {"tool", "app"} <= fake.built()


def test_an_image_that_only_serves_builds_is_made_where_it_is_needed(folder: Path) -> None:
    store: dict[str, str] = {}
    first, second = Fake(store), Fake(store)
    two(folder, first, second, names=["app"])
    assert len([name for fake in (first, second) for name in fake.built() if name == "tool"]) == 1
    again = two(folder, first, second, names=["app"])
    assert set(results(again).values()) == {"unchanged"}
    assert first.calls[-1] == second.calls[-1] == ("list", "")


def test_what_one_has_from_earlier_is_handed_over(folder: Path) -> None:
    store: dict[str, str] = {}
    first, second = Fake(store), Fake(store)
    build_all(first, folder, OPTIONS, state=folder.parent / "state", clock=CLOCK)
    assert store == {}, "one builder alone needs no registry"
    (folder / "_build/note").write_text("new\n")
    (folder / "locks/1.0/app.txt").write_text("app==2\n")
    gate = threading.Barrier(2, timeout=10)
    for fake in (first, second):
        fake.gates = {"other": gate, "app": gate}
    first.calls.clear()
    data = two(folder, first, second)
    assert {name for name, result in results(data).items() if result == "built"} >= {"app", "other"}
    assert ("push", OPTIONS.reference("base")) in first.calls
    assert ("pull", OPTIONS.reference("base")) in second.calls


def test_a_lost_builder_fails_what_it_made_and_the_other_goes_on(folder: Path) -> None:
    store: dict[str, str] = {}
    first, second = Fake(store), Fake(store)
    two(folder, first, second, names=["base"])
    gate = threading.Barrier(2, timeout=10)  # one makes app's tool, the other other
    first.gates = second.gates = {"tool": gate, "other": gate}
    second.away = True
    data = two(folder, first, second)
    found = results(data)
    lost = [entry for entry in data["images"] if entry["result"] == "failed"]
    assert found["app"] == "built", "its tool is made by whom is left"
    assert [entry["error"] for entry in lost] in ([], ["b2 does not answer"])
    assert "blocked" not in found.values()


def test_a_silent_builder_takes_no_part(folder: Path) -> None:
    class Silent(Fake):
        def listing(self) -> list[dict[str, Any]]:
            raise NoAnswer("b2 does not answer", hint="Look")

    first = Fake({})
    data = two(folder, first, Silent())
    assert set(results(data).values()) == {"built"}
    assert (data["retcode"], data["builders"]) == (0, ["b1"])
    assert data["away"] == [{"builder": "b2", "error": "b2 does not answer", "hint": "Look"}]
    with pytest.raises(NoAnswer, match="none of the builders"):
        two(folder, Silent(), Silent())


def test_a_parent_that_only_a_lost_builder_has_does_not_end_the_one_that_asks_for_it(folder: Path) -> None:
    first, second = Fake(), Fake()
    build_all(second, folder, OPTIONS, state=folder.parent / "state", clock=CLOCK, names=["base"])
    second.refusing = BuilderAway("b2 does not answer")
    data = two(folder, first, second)  # tool goes to who has its parent, other to who is idle
    (failed,) = [entry for entry in data["images"] if entry["result"] == "failed"]
    assert (failed["image"], failed["error"]) == ("other", "base is not to be had: b2 does not answer")
    assert results(data)["app"] == "built"
    second.refusing = None
    assert set(results(two(folder, first, second)).values()) <= {"built", "unchanged"}


def test_what_a_lost_builder_has_is_not_pushed_and_all_else_is(folder: Path) -> None:
    store: dict[str, str] = {}
    first, second = Fake(store), Fake(store)
    gate = threading.Barrier(2, timeout=10)
    first.gates = second.gates = {"other": gate, "app": gate}
    made = two(folder, first, second)
    builders = {entry["image"]: entry["builder"] for entry in made["images"] if entry["shipped"]}
    (there,) = [name for name in ("app", "other") if builders[name] == "b2"]
    second.refusing = BuilderAway("b2 does not answer")
    data = two(folder, first, second, push=True)
    pushed = {entry["image"]: entry["push"] for entry in data["images"] if "push" in entry}
    assert {name for name, push in pushed.items() if "error" in push} >= {there}
    assert "digest" in pushed[({"app", "other"} - {there}).pop()]
    assert data["retcode"] == 1


def test_several_builders_without_a_registry_are_refused(folder: Path) -> None:
    fake = Fake()
    with pytest.raises(SalternError, match=r"several builders \(b1, b2\).*openstack:images:builder"):
        two(folder, fake, fake, options=Options(release="1.0"))
    assert fake.calls == []


def test_pushed_parents_first_and_the_manifest_is_remembered(folder: Path) -> None:
    fake = Fake()
    data = build_all(fake, folder, OPTIONS, state=folder.parent / "state", clock=CLOCK, push=True)
    pushed = [reference for kind, reference in fake.calls if kind == "push"]
    assert pushed[0] == OPTIONS.reference("base")
    assert set(pushed) == {OPTIONS.reference(name) for name in ("base", "app", "other")}
    for entry in data["images"]:
        if entry["shipped"]:
            assert entry["digest"] == entry["push"]["digest"] == f"sha256:manifest of {entry['id']}"
    record = read_record(folder.parent / "state")
    assert record.builds[OPTIONS.reference("app")]["digest"].startswith("sha256:manifest")
    (folder / "locks/1.0/app.txt").write_text("app==2\n")
    build_all(fake, folder, OPTIONS, state=folder.parent / "state", clock=CLOCK)
    assert "digest" not in read_record(folder.parent / "state").builds[OPTIONS.reference("app")], "another image's"


def test_a_registry_that_refuses_is_asked_once_and_fails_the_verb(folder: Path) -> None:
    fake = Fake()
    fake.refusing = SalternError("the registry refuses the user name or password", where="b1", hint="Check the secret")
    data = build_all(fake, folder, OPTIONS, state=folder.parent / "state", clock=CLOCK, push=True)
    assert set(results(data).values()) == {"built"}
    assert len([1 for kind, _ in fake.calls if kind == "push"]) == 1
    errors = {entry["push"]["error"] for entry in data["images"] if entry["shipped"]}
    assert len(errors) == 1
    assert "password" in errors.pop()
    assert data["retcode"] == 1


def test_without_a_registry_there_is_nothing_to_push_to(folder: Path) -> None:
    fake = Fake()
    with pytest.raises(SalternError, match="no registry to push to"):
        build_all(fake, folder, Options(release="1.0"), state=folder.parent / "state", push=True)
    assert fake.calls == []


def test_a_minion_pushes_with_the_models_credentials_and_says_errors_once() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def ask(function: str, kwargs: dict[str, Any]) -> Any:
        asked.append((function, kwargs))
        raise SalternError("r:5000/a:1: the registry refuses", where="b1")

    builder = front.MinionBuilder(ask, suite="trixie", model="0123")
    with pytest.raises(SalternError) as caught:
        builder.push(["r:5000/a:1"])
    assert caught.value.message == "the registry refuses"
    assert asked == [("openstack_image.push", {"references": ["r:5000/a:1"], "model": "0123"})]


def test_a_minion_that_does_not_answer_a_pull_is_lost() -> None:
    def ask(function: str, kwargs: dict[str, Any]) -> Any:
        raise NoAnswer("b1 does not answer", where=function)

    with pytest.raises(BuilderAway):
        front.MinionBuilder(ask, suite="trixie").pull(["r:5000/a:1"])


def test_a_report_of_each_build_that_did_something_and_the_last_twenty_stay(folder: Path) -> None:
    fake = Fake()
    state = folder.parent / "state"
    for number in range(22):
        (folder / "_build/note").write_text(f"{number}\n")
        data = build_all(fake, folder, OPTIONS, state=state)
    assert len(list((state / "builds").glob("*.json"))) == 20
    report = json.loads(Path(data["report"]).read_text())
    (entry,) = [entry for entry in report["images"] if entry["result"] == "built"]
    assert entry["cause"] == [{"image": "other", "changes": ["shared/note changed"]}]
    assert {"seconds", "size", "inputs", "id"} <= set(entry)
    assert "report" not in build_all(fake, folder, OPTIONS, state=state)
