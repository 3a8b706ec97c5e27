"""Functions of openstack_image about registries: credentials come from the slice, errors leave as Salt's, masked."""

from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from saltern.host import registry
from unit.adapters import load

REFERENCE = "reg.local:5000/saltern/app:1"
SLICE = {
    "model": "a" * 16,
    "registry": {"address": "reg.local:5000", "username": "me", "password": "s3cret", "ca": None},
    "secrets": ["s3cret"],
}


class Nothing:
    """An engine that is only opened and closed."""

    def __init__(self, url: str, timeout: float) -> None: ...

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    opts = {"saltern_root": str(tmp_path), "id": "ctl1"}
    module = load(
        "modules", "openstack_image_registry", salt={}, opts=opts, grains={}, pillar={"saltern": SLICE}, context={}
    )
    monkeypatch.setattr(module, "Engine", Nothing)
    return module


def test_push_and_pull_use_the_slices_credentials(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(registry, "push", lambda engine, *args: seen.append(args) or {"digest": "d"})
    monkeypatch.setattr(registry, "pull", lambda engine, *args, locks: seen.append(args) or {"id": "i"})
    access = registry.Access("reg.local:5000", "me", "s3cret")
    assert module.push([REFERENCE]) == {REFERENCE: {"digest": "d"}}
    assert module.pull([REFERENCE], model="a" * 16) == {REFERENCE: {"id": "i"}}
    assert seen == [(REFERENCE, access), (REFERENCE, access)]


def test_another_models_slice_is_asked_of_the_master(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Pillar:
        def compile_pillar(self) -> dict[str, Any]:
            return {}

    def get_pillar(*args: Any, **kwargs: Any) -> Pillar:
        asked.append(kwargs["pillar_override"])
        return Pillar()

    monkeypatch.setattr(module.salt.pillar, "get_pillar", get_pillar)
    seen: list[Any] = []
    monkeypatch.setattr(registry, "push", lambda engine, *args: seen.append(args) or {})
    module.push([REFERENCE], model="b" * 16)
    assert asked == [{"saltern_step": {"model": "b" * 16}}]
    assert seen == [(REFERENCE, registry.Access())], "a builder outside of the model uses its docker login"


def test_an_error_leaves_as_salts_and_without_secrets(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise registry.TransferFailed("the registry said s3cret", where=REFERENCE)

    monkeypatch.setattr(registry, "push", refuse)
    with pytest.raises(CommandExecutionError, match=r"app:1: the registry said \*{8}"):
        module.push([REFERENCE])
