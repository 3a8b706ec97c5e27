"""What a host keeps of its images."""

from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host import prune
from saltern.host.store import Store

OURS = {"saltern.image": "app"}


def image(number: str, *tags: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"Id": f"sha256:{number}", "RepoTags": list(tags), "Labels": OURS if labels is None else labels, "Size": 10}


def test_what_holds_an_image(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.desired.put("app", {"image_id": "sha256:committed", "spec": {"image": "saltern/app:1"}})
    swap = {"image": "saltern/web:2", "document": {"image_id": "sha256:next", "spec": {"image": "saltern/web:2"}}}
    store.journal.put("web", swap)
    held = prune.held(store, [{"ImageID": "sha256:former"}], ["saltern/db:1"], ["2026.1"])
    for each in (
        image("former"), image("committed"), image("next"), image("x", "saltern/app:1"), image("x", "saltern/web:2"),
        image("x", "saltern/db:1"), image("x", "saltern/any:2026.1"), image("x", "saltern/any:9", "saltern/db:1"),
    ):  # fmt: skip
        assert held.holds(each), each
    assert not held.holds(image("x", "saltern/app:0"))
    assert not held.holds(image("x"))


def test_an_unreadable_document_keeps_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.desired.put("app", {})
    store.desired.path("app").write_text("{")
    with pytest.raises(SalternError, match="cannot be read"):
        prune.held(store, [], [], [])


@pytest.mark.parametrize(
    ("found", "goes"),
    [
        (image("1", "saltern/os-app:0"), True),
        (image("2"), True),
        (image("2", "<none>:<none>"), True),
        (image("3", labels={"saltern.stage": "saltern/os-app:1"}), True),
        (image("4", "saltern/os-app:0", labels={}), False),
        (image("5", "saltern/app:0"), False),
        (image("6", "saltern/os-app:0", "mine/app:0"), False),
        (image("7", "saltern/os-more/app:0"), False),
        (image("8", "saltern/os-app:1"), False),
    ],
)
def test_only_ours_by_label_and_name(found: dict[str, Any], goes: bool) -> None:
    holds = prune.Held(references={"saltern/os-app:1"})
    assert bool(prune.candidates([found], holds, "saltern/os-")) is goes
