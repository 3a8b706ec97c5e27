"""The execution module and the states of the toolbox: parse, call the library, translate."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.contract.errors import JobFailed
from saltern.host import opened
from unit import adapters
from unit.toolbox import fakes

SALT = Path(__file__).resolve().parents[3] / "salt"


def load(kind: str, **dunders: Any) -> Any:
    made = importlib.util.spec_from_file_location(f"{kind}_toolbox", SALT / f"_{kind}/openstack_toolbox.py")
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    for name, value in dunders.items():
        setattr(module, f"__{name}__", value)
    return module


class Counting(fakes.Engine):
    """A fake engine that can be opened like the real one and counts the listings of images."""

    listings = 0

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def images(self) -> list[dict[str, Any]]:
        self.listings += 1
        return [{"Id": "sha256:a", "RepoTags": [fakes.IMAGE]}]


@pytest.fixture
def engine() -> Counting:
    return Counting(fakes.agreeable)


@pytest.fixture
def module(engine: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pillar = {"saltern": dict(fakes.PART), "saltern_run": "r1", "saltern_step": {"run": "r1"}}
    made = load("modules", pillar=pillar, opts={"saltern_root": str(tmp_path)}, context={})
    monkeypatch.setattr(opened, "Engine", lambda _url: engine)
    return made


def test_prepare_takes_the_lease_for_the_run(module: Any, engine: Counting) -> None:
    assert set(module.prepare("keystone")) == {"database", "jobs"}
    assert {r["lease"]["holder"] for r in engine.requests if "lease" in r} == {"ctl1/r1"}


def test_register_and_run_job(module: Any) -> None:
    assert set(module.register("keystone")) == {"identity", "jobs"}
    assert module.run_job("keystone", "db_sync")["result"] == "ran"


@pytest.mark.parametrize("call", ["prepare", "register"])
def test_a_closed_run_changes_nothing(module: Any, engine: Counting, call: str) -> None:
    module.__pillar__["saltern_run"] = "r2"
    with pytest.raises(CommandExecutionError, match="run r1 is closed"):
        getattr(module, call)("keystone")
    assert engine.calls == []


def test_compare_is_one_exec_and_no_listing_when_the_run_has_just_made_one(module: Any, engine: Counting) -> None:
    listed = {"at": module.time.monotonic(), "images": engine.images()}
    module.__context__["saltern_images"] = listed
    assert module.compare() == {"services": {}, "errors": []}
    assert engine.calls == ["compare"] and engine.listings == 1


def test_an_old_listing_does_not_count(module: Any, engine: Counting) -> None:
    module.__context__["saltern_images"] = {"at": module.time.monotonic() - 60, "images": []}
    module.compare()
    assert engine.listings == 1


def test_errors_of_the_library_become_salts(module: Any, engine: Counting) -> None:
    engine.ends = 1
    with pytest.raises(CommandExecutionError, match=r"db_sync: ended with exit code 1") as caught:
        module.prepare("keystone")
    assert fakes.SECRET not in str(caught.value)


def states(test: bool, **functions: Any) -> Any:
    salt = {f"openstack_toolbox.{name}": function for name, function in functions.items()}
    return load("states", salt=salt, opts={"test": test})


def found(services: dict[str, Any], *errors: str) -> Any:
    return lambda: {"services": services, "errors": list(errors)}


@pytest.mark.parametrize(("test", "result"), [(True, None), (False, True)])
def test_compared_tells_what_is_due(test: bool, result: bool | None) -> None:
    ret = states(test, compare=found({"glance": {"jobs_due": ["db_sync"]}}, "database unreachable: x")).compared("c")
    assert ret["result"] is result and ret["changes"] == {"glance": {"jobs_due": ["db_sync"]}}
    assert ret["comment"] == "Due for glance\ndatabase unreachable: x"


@pytest.mark.parametrize("test", [True, False])
def test_compared_without_differences_has_no_changes(test: bool) -> None:
    ret = states(test, compare=found({})).compared("c")
    assert (ret["result"], ret["changes"], ret["comment"]) == (True, {}, "As the model says")


@pytest.mark.parametrize(
    ("state", "verb", "part"), [("prepared", "prepare", "database"), ("registered", "register", "identity")]
)
def test_in_test_mode_a_step_only_compares(state: str, verb: str, part: str) -> None:
    calls = SimpleNamespace(wrote=False)

    def write(_service: str) -> None:
        calls.wrote = True

    due = {"glance": {"database": [1], "identity": [{"kind": "endpoint"}], "jobs_due": ["j"]}}
    ret = getattr(states(True, compare=found(due), **{verb: write}), state)("s", "glance")
    assert ret["result"] is None and ret["changes"] == {part: due["glance"][part], "jobs_due": ["j"]}
    assert not calls.wrote
    assert getattr(states(True, compare=found({})), state)("s", "glance")["result"] is True


@pytest.mark.parametrize(("state", "verb"), [("prepared", "prepare"), ("registered", "register")])
def test_a_step_returns_what_changed(state: str, verb: str) -> None:
    ret = getattr(states(False, **{verb: lambda _service: {"jobs": [1]}}), state)("s", "glance")
    assert (ret["result"], ret["changes"]) == (True, {"jobs": [1]})
    ret = getattr(states(False, **{verb: lambda _service: {}}), state)("s", "glance")
    assert (ret["result"], ret["changes"]) == (True, {})


@pytest.mark.parametrize("test", [True, False])
def test_a_failure_is_a_red_line(test: bool) -> None:
    def fail(*_: Any) -> Any:
        raise CommandExecutionError(str(JobFailed("ended with exit code 1", where="job keystone db_sync")))

    made = states(test, compare=fail, prepare=fail, register=fail)
    for ret in (made.compared("c"), made.prepared("p", "keystone"), made.registered("r", "keystone")):
        assert ret["result"] is False and ret["changes"] == {} and "exit code 1" in ret["comment"]


@pytest.fixture
def cloud_module(engine: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pillar = {"saltern": {**fakes.PART, "first_cloud": {"wait": 30}}}
    monkeypatch.setattr(opened, "Engine", lambda _url: engine)
    engine.answer = lambda request: {
        "asked": request["action"],
        "errors": [],
        "key_pair": {"private": "", "public": ""},
    }
    return adapters.load("modules", "openstack_cloud", pillar=pillar, opts={"saltern_root": str(tmp_path)})


def test_the_overview_and_the_first_cloud_are_asked_of_the_toolbox(cloud_module: Any, engine: Counting) -> None:
    assert cloud_module.overview()["asked"] == "overview"
    assert cloud_module.first(remove=True, dry_run=True)["asked"] == "first_cloud"
    assert (engine.requests[-1]["remove"], engine.requests[-1]["dry_run"]) == (True, True)


def test_the_first_cloud_waits_for_an_open_run_to_end(cloud_module: Any, engine: Counting) -> None:
    cloud_module.__pillar__["saltern_run"] = "r1"
    with pytest.raises(CommandExecutionError, match="run r1 is open"):
        cloud_module.first()
    cloud_module.first(dry_run=True)
    assert engine.calls == ["first_cloud"]


def test_a_minion_that_may_send_no_echo_says_so(cloud_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise PermissionError("not permitted")

    monkeypatch.setattr(cloud_module.first_cloud, "answers", refused)
    with pytest.raises(CommandExecutionError, match="no echo can be sent from here: not permitted"):
        cloud_module.answers("172.29.0.100")
