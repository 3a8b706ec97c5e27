"""The execution module: who may act, what is handed on, errors as Salt's."""

from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.host import converge as converging
from saltern.host.context import Host
from saltern.host.heal import heal
from saltern.host.store import Store
from unit.adapters import load
from unit.saltern.host import fake_engine
from unit.saltern.host.fake_engine import FakeEngine, web


class Opened(FakeEngine):
    """A fake engine that can be opened like the real one."""

    address = ""

    def __call__(self, url: str, version: str = "") -> "Opened":
        self.address = f"{url} {version}"
        return self

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def engine() -> Opened:
    return Opened()


@pytest.fixture
def module(engine: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    part = {
        "model": "m1", "cloud": "test", "host": "ctl1", "errors": [], "secrets": ["hunter22"], "heal": {"patience": 2},
        "containers": [web()],
    }  # fmt: skip
    pillar = {"saltern": part, "saltern_run": "r1", "saltern_step": {"run": "r1"}}
    opts = {"saltern_root": str(tmp_path), "id": "minion", "test": False}
    module = load("modules", "openstack_container", opts=opts, pillar=pillar, context={})
    monkeypatch.setattr(module, "Engine", engine)

    def host(**values: Any) -> Host:
        # The module's own host, but with the fake's idea of time and health.
        made = fake_engine.make_host(tmp_path, engine)
        return Host(**values, probe=made.probe, clock=made.clock, sleep=made.sleep, now=made.now)

    monkeypatch.setattr(module, "Host", host)
    return module


def test_converge_and_compare(module: Any, engine: Opened, tmp_path: Path) -> None:
    assert module.compare()["containers"]["web"]["action"] == "create"
    assert engine.names() == {}
    assert module.__context__["saltern_images"]["images"] == engine.images()
    assert module.converge()["web"]["action"] == "create"
    assert module.converge() == {}
    assert Store(tmp_path).health.get("settings") == {"patience": 2}
    assert Store(tmp_path).desired.get("web")["model"] == "m1"  # type: ignore[index]
    assert engine.address == "unix:///var/run/docker.sock 1.41"


@pytest.mark.parametrize(
    ("pillar", "message"),
    [
        ({"saltern": None}, "no model of the cloud"),
        ({"saltern_run": None}, "run r1 is closed"),
        ({"saltern_run": "r2"}, "run r1 is closed, run r2 is open"),
        ({"saltern_step": {}}, "run r1 is open"),
    ],
)
def test_refused_before_anything_is_asked(module: Any, engine: Opened, pillar: dict[str, Any], message: str) -> None:
    module.__pillar__ = {**module.__pillar__, **pillar}
    with pytest.raises(CommandExecutionError, match=message):
        module.converge()
    assert engine.calls == []
    assert engine.names() == {}


def test_a_model_with_errors_is_refused(module: Any, engine: Opened) -> None:
    problem = {
        "file": "init.sls",
        "line": 3,
        "key": "openstack:vip",
        "expected": "an address",
        "found": "x",
        "hint": "",
    }
    module.__pillar__["saltern"]["errors"] = [problem]
    with pytest.raises(CommandExecutionError, match=r"init\.sls:3.*openstack:vip"):
        module.converge()
    assert engine.calls == []


def test_own_containers_need_no_model_and_no_run(module: Any, engine: Opened) -> None:
    module.__pillar__ = {}
    arguments = {"liveness": {"http": "http://x/"}}
    assert module.ensure("cache", "saltern/web:1", arguments, test=True)["cache"]["action"] == "create"
    assert engine.names() == {}
    assert module.ensure("cache", "saltern/web:1", arguments)["cache"]["action"] == "create"
    assert module.ensure("cache", "saltern/web:1", arguments) == {}
    with pytest.raises(CommandExecutionError, match='Did you mean "command"'):
        module.ensure("cache", "saltern/web:1", {"comand": []})
    assert module.remove("cache", test=True)["cache"]["action"] == "remove"
    assert module.remove("cache")["cache"]["action"] == "remove"
    assert module.remove("cache") == {}
    assert engine.names() == {}


def test_heal_hold_and_reset(module: Any, engine: Opened, tmp_path: Path) -> None:
    module.converge()
    engine.stop("web")
    assert module.hold("web", 1_900_000_000, "the database is down")["held"] is True
    assert module.heal("web", order="o1", event="e1") | {"seconds": 0} == {
        "result": "held", "why": "the database is down", "seconds": 0, "order": "o1", "event": "e1",
    }  # fmt: skip
    assert module.heal_reset("web") is True
    assert (tmp_path / "health" / "resets" / "web.json").exists()
    assert module.heal("web", dry_run=True)["why"].startswith("would be started")
    assert module.heal("web")["result"] == "healed"
    assert module.heal("web")["result"] == "nothing"


def test_looking(module: Any, engine: Opened) -> None:
    module.converge()
    assert module.list_()["web"]["service"] == "web"
    assert module.__func_alias__ == {"list_": "list"}
    assert module.status()["host"] == "ctl1"
    assert module.snapshot()["containers"]["web"]["healthy"] is True
    engine.logs = lambda name, lines=20: [f"p=hunter22 {lines}"]  # type: ignore[method-assign]
    assert module.logs("web", "5") == ["p=******** 5"]


def test_errors_are_salt_s(module: Any, engine: Opened) -> None:
    module.__pillar__["saltern"]["containers"] = [web(image="saltern/web:9")]
    with pytest.raises(CommandExecutionError, match=r"salt-run openstack\.build names=web"):
        module.compare()
    with pytest.raises(CommandExecutionError, match="No such container: nobody"):
        module.logs("nobody")


def test_the_library_is_what_acts() -> None:
    """The module has the same functions that the health engine uses."""
    module = load("modules", "openstack_container")
    assert module.healing.heal is heal
    assert module.converging is converging
