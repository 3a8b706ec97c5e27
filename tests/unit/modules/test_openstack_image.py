"""The execution module: what reaches the library, what comes back, events, errors as Salt's."""

from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.contract.errors import EngineUnavailable
from saltern.host.build import Built, StepFailed
from saltern.host.build_settings import Settings
from saltern.host.places import Place
from unit.adapters import load

BUILT = Built("app", "x/app:1", "sha256:1", 2.0, 100)


class Nothing:
    """An engine that is only opened and closed."""

    def __call__(self, url: str, timeout: float) -> "Nothing":
        return self

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": "sha256:1", "RepoTags": ["x/app:1"]}]


class Bus:
    """``__salt__`` with an event bus that remembers, and a file server."""

    def __init__(self, cached: str) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.salt = {
            "event.send": lambda tag, data: self.events.append((tag, data)),
            "cp.cache_file": lambda path, saltenv: cached,
        }


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    (tmp_path / "fetched.tar").write_text("")
    return Bus(str(tmp_path / "fetched.tar"))


@pytest.fixture
def module(bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load(
        "modules", "openstack_image", salt=bus.salt, opts={"saltern_root": str(tmp_path)}, pillar={}, context={}
    )
    monkeypatch.setattr(module, "Engine", Nothing())
    monkeypatch.setattr(module, "gather", lambda suite, mirrors, distro: Settings({}, [f"{suite} {mirrors}"], {}))
    return module


def test_build_hands_all_on_and_fires_events(
    module: Any, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def work(engine: Any, request: Any, settings: Settings, *, locks: Path, report: Any) -> Built:
        seen.update(request=request, settings=settings, locks=locks)
        report("step", {"image": "app", "step": 1, "of": 2, "text": "RUN x"})
        return BUILT

    monkeypatch.setattr(module.building, "build", work)
    context = tmp_path / "here.tar"
    context.write_text("")
    answer = module.build("app", "x/app:1", {"a": "b"}, str(context), network="none", mirrors={"apt": "http://m"})
    assert answer == {**BUILT.as_dict(), "result": "built"}
    assert (seen["request"].context, seen["request"].network) == (context, "none")
    assert seen["settings"].sources == ["trixie {'apt': 'http://m'}"]
    assert seen["locks"] == tmp_path / "locks"
    ((tag, data),) = bus.events
    assert tag == "openstack/build/app/step"
    assert {"at", "cloud", "image", "step", "of", "text"} == set(data)
    module.build("app", "x/app:1", {}, "/elsewhere/app.tar")
    assert seen["request"].context == tmp_path / "fetched.tar"


def test_a_failed_build_is_data_with_a_bad_exit_code(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*args: Any, **kwargs: Any) -> Built:
        raise StepFailed("no rule", where="app, step 2", step="step 2", log=["make: no rule"])

    monkeypatch.setattr(module.build_base, "import_base", work)
    answer = module.import_base("distro", "x/distro:1", {})
    assert answer["result"] == "failed"
    assert (answer["error"], answer["where"], answer["log"]) == ("no rule", "app, step 2", ["make: no rule"])
    assert module.__context__["retcode"] == 1


def test_errors_are_salts(module: Any, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    bus.salt["cp.cache_file"] = lambda path, saltenv: ""
    with pytest.raises(CommandExecutionError, match=r"app\.tar is neither here nor in the saltenv saltern_build"):
        module.build("app", "x/app:1", {}, "/elsewhere/app.tar")

    def away(engine: Any) -> None:
        raise EngineUnavailable("no engine answers")

    monkeypatch.setattr(module.building, "listing", away)
    with pytest.raises(CommandExecutionError, match="no engine answers"):
        module.list_()


def test_present(module: Any) -> None:
    assert module.present(["x/app:1", "x/none:1"]) == {"x/app:1": "sha256:1", "x/none:1": None}


def test_places_of_a_request_reach_the_build(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(module.building, "build", lambda engine, request, settings, **_: seen.append(request) or BUILT)
    (tmp_path / "c.tar").write_text("")
    place = {"path": "/srv/git/app", "into": "custom/source", "digest": "1" * 16}
    module.build("app", "x/app:1", {}, str(tmp_path / "c.tar"), places=[place])
    assert seen[0].places == (Place(**place),)


def test_fingerprints_and_what_is_no_source(module: Any, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("")
    found = module.fingerprints([str(tmp_path), "/nothing/here"])
    assert len(found[str(tmp_path)]) == 16
    assert found["/nothing/here"] is None
    (tmp_path / "setup.cfg").unlink()
    with pytest.raises(CommandExecutionError, match="no Python project"):
        module.fingerprints([str(tmp_path)])


def test_what_is_inside_comes_without_its_files(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def contents(engine: Any, reference: str, *, files: bool) -> dict[str, Any]:
        assert not files
        return {"id": reference, "files": {}}

    monkeypatch.setattr(module.inside, "contents", contents)
    monkeypatch.setattr(module.inside, "compared", lambda engine, a, b: {"a": a, "b": b})
    assert module.contents("x/app:1") == {"id": "x/app:1"}
    assert module.compared("x/app:1", "x/app:2") == {"a": "x/app:1", "b": "x/app:2"}
