"""Docker's three ways to speak of a container, as recorded from an engine 20.10."""

from __future__ import annotations

import pytest

from saltern.host import observe

DIE = {
    "status": "die", "id": "c9", "from": "sha256:1", "Type": "container", "Action": "die", "scope": "local",
    "Actor": {"ID": "c9", "Attributes": {
        "exitCode": "137", "image": "sha256:1", "name": "keystone", "saltern.cloud": "test", "saltern.spec": "1:aa",
    }},
    "time": 1795516941, "timeNano": 1795516941592822075,
}  # fmt: skip


def test_events() -> None:
    event = observe.from_event(DIE)
    assert event is not None
    assert (event.action, event.name, event.exit_code) == ("die", "keystone", 137)
    assert event.at == pytest.approx(1795516941.592822, abs=1e-5)
    kill = {**DIE, "Action": "kill", "Actor": {"Attributes": {"name": "keystone", "signal": "9"}}}
    assert observe.from_event(kill).signal == "9"
    health = observe.from_event({**DIE, "Action": "health_status: unhealthy"})
    assert (health.action, health.detail) == ("health_status", "unhealthy")


@pytest.mark.parametrize(
    "raw", [{}, {"Type": "network"}, {"Actor": None}, {"Type": "container", "Actor": {"Attributes": {}}}]
)
def test_what_is_no_event_of_a_container(raw: dict) -> None:
    assert observe.from_event(raw) is None


@pytest.mark.parametrize(
    ("state", "status", "health", "code"),
    [
        ("running", "Up 3 minutes", None, None),
        ("running", "Up 3 minutes (healthy)", "healthy", None),
        ("running", "Up 2 seconds (health: starting)", "starting", None),
        ("running", "Up 2 seconds (unhealthy)", "unhealthy", None),
        ("exited", "Exited (137) 2 seconds ago", None, 137),
        ("restarting", "Restarting (1) 3 seconds ago", None, 1),
        ("created", "Created", None, None),
    ],
)
def test_list(state: str, status: str, health: str | None, code: int | None) -> None:
    entry = {"Names": ["/keystone"], "State": state, "Status": status, "ImageID": "sha256:1", "Labels": None}
    seen = observe.from_list(entry)
    assert (seen.name, seen.state, seen.health, seen.exit_code) == ("keystone", state, health, code)


def test_inspect() -> None:
    seen = observe.from_inspect(
        {
            "Name": "/keystone",
            "Image": "sha256:1",
            "RestartCount": 2,
            "Config": {"Labels": {"saltern.spec": "1:aa"}},
            "State": {
                "Status": "exited", "ExitCode": 137, "StartedAt": "2026-11-24T10:42:00.1Z",
                "FinishedAt": "2026-11-24T10:42:21.592822075Z", "Health": {"Status": "unhealthy"},
            },
        }
    )  # fmt: skip
    assert (seen.state, seen.exit_code, seen.restarts, seen.spec) == ("exited", 137, 2, "1:aa")
    assert seen.finished == pytest.approx(1795516941.592822)
    running = observe.from_inspect({"State": {"Status": "running", "ExitCode": 0, "Health": {"Status": "none"}}})
    assert (running.exit_code, running.health, running.finished) == (None, None, None)


def test_filters_are_made_for_the_server() -> None:
    assert observe.filters("test") == {
        "type": ["container"],
        "event": ["die", "oom", "health_status", "start", "destroy", "kill"],
        "label": ["saltern.cloud=test"],
    }
