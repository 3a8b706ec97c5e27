"""Decisions as a table: wanted, committed, there → action."""

from __future__ import annotations

from typing import Any

import pytest

from saltern.host import decide
from saltern.host.decide import Current

WANTED = "1:new"


def document(**more: Any) -> dict[str, Any]:
    return {"digest": WANTED, "label": WANTED, "state": "running", "proven": True, **more}


def current(label: str = WANTED, status: str = "running") -> Current:
    return Current("id", "web", status == "running", status, "sha256:1", label)


DIFFERS = [decide.reason("image", "a", "b")]


@pytest.mark.parametrize(
    ("action", "there", "committed", "differences", "more"),
    [
        ("create", None, None, None, {}),
        ("create", None, document(), None, {}),
        ("none", current(), document(), None, {}),
        ("replace", current("1:old"), document(digest="1:old", label="1:old"), DIFFERS, {}),
        ("replace", current("1:old", "exited"), None, DIFFERS, {}),
        ("equivalent", current("0:old"), document(digest="0:old", label="0:old"), [], {}),
        ("none", current("0:old"), document(label="0:old"), None, {}),  # recorded as equivalent before
        ("start", current(status="exited"), document(), None, {}),
        ("start", current(status="paused"), document(), None, {}),
        ("start", current(), None, None, {}),  # killed before it was committed
        ("start", current(), document(state="stopped"), None, {}),
        ("start", current(), document(proven=False), None, {}),
        ("reload", current(), document(), None, {"loaded": False}),
        ("equivalent", current(), document(), None, {"intact": False}),
        ("equivalent", current(), document(), None, {"changes": DIFFERS}),
        ("equivalent", current(), document(digest="1:other"), None, {}),
    ],
)
def test_present(
    action: str, there: Current | None, committed: dict[str, Any] | None, differences: Any, more: dict[str, Any]
) -> None:
    options = {"loaded": True, "intact": True, "changes": [], **more}
    decision = decide.present(WANTED, committed, there, differences, **options)
    assert decision.action == action
    assert bool(decision.reasons) == (action != "none")


@pytest.mark.parametrize(
    ("action", "there", "committed"),
    [
        ("stop", current(), document()),
        ("stop", current(), None),
        ("stop", current(status="paused"), document(state="stopped")),
        ("stop", None, document()),  # else healing would bring it back
        ("stop", current(status="exited"), document()),
        ("none", current(status="exited"), document(state="stopped")),
        ("none", None, None),
    ],
)
def test_stopped(action: str, there: Current | None, committed: dict[str, Any] | None) -> None:
    assert decide.stopped(committed, there).action == action


def test_absent() -> None:
    assert decide.absent(None, None).action == "none"
    assert decide.absent(None, current()).action == "remove"
    assert decide.absent(document(), None).action == "remove"
    assert decide.absent(None, None, traces=True).action == "remove"


def test_a_listed_and_an_inspected_container_are_the_same() -> None:
    labels = {"saltern.spec": "1:a", "saltern.container": "web"}
    listed = Current.listed(
        {"Id": "i", "Names": ["/other/alias", "/web"], "State": "running", "ImageID": "sha256:1", "Labels": labels}
    )
    inspected = Current.inspected(
        {
            "Id": "i",
            "Name": "/web",
            "Image": "sha256:1",
            "State": {"Running": True, "Status": "running"},
            "Config": {"Labels": labels},
        }
    )
    assert listed == inspected
