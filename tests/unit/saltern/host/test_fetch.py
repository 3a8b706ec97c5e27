"""A host gets what it lacks: one list, what is there left alone, progress at most twice a second."""

from pathlib import Path
from typing import Any

import pytest

from saltern.host import fetch, registry
from saltern.host.fetch import Reporter
from saltern.host.registry import Access, TransferFailed

APP, WEB = "reg.local:5000/saltern/app:1", "reg.local:5000/saltern/web:1"


class FakeEngine:
    """An engine with some images; ``tagged`` has the names it was asked to give."""

    def __init__(self, images: list[dict[str, Any]]) -> None:
        self.listed, self.tagged, self._images = 0, [], images

    def __enter__(self) -> "FakeEngine":
        return self

    def __exit__(self, *_: object) -> None: ...

    def images(self) -> list[dict[str, Any]]:
        self.listed += 1
        return self._images

    def call(self, what: str, do: Any) -> None:
        self.tagged.append(what)


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was pulled: reference → keyword arguments; ``bad`` is refused."""
    seen: dict[str, Any] = {}

    def pull(engine: Any, reference: str, access: Access, **how: Any) -> dict[str, Any]:
        seen[reference] = how
        how["report"]({"layers": 1, "done": 0, "bytes": 0, "of": 0})
        if "bad" in reference:
            raise TransferFailed("refused", hint="Log in")
        return {"id": "sha256:new", "digest": "sha256:d"}

    monkeypatch.setattr(registry, "pull", pull)
    return seen


def run(engine: FakeEngine, wanted: dict[str, dict[str, str]], told: list[Any]) -> dict[str, Any]:
    access = Access("reg.local:5000")
    return fetch.fetch(lambda: engine, wanted, access, locks=Path("/nowhere"), send=told.append, clock=lambda: 0.0)


def test_only_what_is_missing_is_pulled(pulled: dict[str, Any]) -> None:
    here = [
        {"Id": "sha256:a", "RepoTags": [APP], "RepoDigests": ["reg.local:5000/saltern/app@sha256:da"]},
        {"Id": "sha256:w", "RepoTags": ["other:1"]},
    ]
    engine, told = FakeEngine(here), []
    wanted = {
        APP: {"digest": "sha256:da"},
        WEB: {"id": "sha256:w"},
        "reg.local:5000/saltern/new:1": {"digest": "sha256:d", "id": "sha256:new"},
        "reg.local:5000/saltern/bad:1": {},
    }
    found = run(engine, wanted, told)
    assert {name: each["result"] for name, each in found.items()} == {
        APP: "there", WEB: "there", "reg.local:5000/saltern/new:1": "pulled", "reg.local:5000/saltern/bad:1": "failed",
    }  # fmt: skip
    assert found["reg.local:5000/saltern/bad:1"] | {"seconds": 0} == {
        "result": "failed", "error": "refused", "hint": "Log in", "seconds": 0,
    }  # fmt: skip
    assert engine.listed == 1
    assert engine.tagged == [f"tag {WEB}"], "it was there under another name"
    assert pulled["reg.local:5000/saltern/new:1"]["digest"] == "sha256:d"
    assert pulled["reg.local:5000/saltern/new:1"]["expected"] == "sha256:new"
    assert told[-1] == {"of": 4, "finished": 4, "images": {}}


def test_another_image_under_the_name_is_replaced(pulled: dict[str, Any]) -> None:
    engine = FakeEngine([{"Id": "sha256:old", "RepoTags": [APP]}])
    assert run(engine, {APP: {"id": "sha256:new"}}, [])[APP]["result"] == "pulled"


def test_a_tag_that_means_the_same_image_is_there(pulled: dict[str, Any]) -> None:
    engine = FakeEngine([{"Id": "sha256:new", "RepoTags": [APP]}])
    assert run(engine, {APP: {}}, [])[APP]["result"] == "there"
    assert list(pulled) == [APP], "only the registry knows what the tag means"


def test_reports_are_at_least_half_a_second_apart() -> None:
    told: list[Any] = []
    times = iter([0.0, 0.0, 0.2, 0.49, 0.5, 0.5, 0.6, 0.7])
    reporter = Reporter(told.append, 2, lambda: next(times))
    reporter.feed("a", {"done": 1})
    reporter.feed("a", {"done": 2})
    reporter.feed("a", {"done": 3})
    assert [each["images"]["a"]["done"] for each in told] == [1]
    reporter.feed("a", {"done": 4})
    assert [each["images"]["a"]["done"] for each in told] == [1, 4]
    reporter.end("a")
    assert told[-1] == {"of": 2, "finished": 1, "images": {}}
