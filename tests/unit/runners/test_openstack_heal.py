"""The verbs of healing, with the hosts and the bus pretended."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import salt.exceptions

from saltern.plan.ask import Answers
from saltern.recovery import files
from saltern.terminal import render
from saltern_front import front
from unit.saltern.recovery.scene import Master

FILE = Path(__file__).resolve().parents[3] / "salt" / "_runners" / "openstack_healing.py"


class Front:
    """The runner over a master's state root of our own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = importlib.util.spec_from_file_location("openstack_healing", FILE)
        self.verbs: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.verbs)
        self.verbs.__opts__ = {"saltern_state_dir": str(root), "sock_dir": str(root)}
        self.verbs.__salt__ = {}
        self.asked: list[tuple[list[str], str, list[Any], dict[str, Any]]] = []
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.answers = Answers()
        monkeypatch.setattr(front.Front, "ask", lambda _, *args, **options: self._ask(*args, **options))
        monkeypatch.setattr(self.verbs, "_say", lambda verb, **data: self.said.append((verb, data)))

    def _ask(self, hosts: list[str], function: str, args: Any = (), kwargs: Any = None, **_: Any) -> Answers:
        self.asked.append((hosts, function, list(args), kwargs or {}))
        return self.answers


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


@pytest.fixture
def healing(master: Master, monkeypatch: pytest.MonkeyPatch) -> Front:
    return Front(master.root, monkeypatch)


def test_enqueue_raises_as_a_step_must(healing: Front, master: Master) -> None:
    event = master.failure("ctl1", "keystone")
    assert healing.verbs.heal_enqueue(event, "ctl1") is True
    assert healing.verbs.heal_enqueue(event, "ctl1") is False
    with pytest.raises(salt.exceptions.CommandExecutionError, match=r"docs/healing\.md"):
        healing.verbs.heal_enqueue(event, "ctl2")


def test_pause_tells_hosts_and_engine(healing: Front, master: Master) -> None:
    answer = healing.verbs.heal_pause(why="a network change")
    assert answer["data"]["retcode"] == 0 and answer["outputter"] == "openstack"
    ((hosts, function, _, kwargs),) = healing.asked
    assert (hosts, function, kwargs["name"]) == (["ctl1", "ctl2"], "openstack_container.hold", "_all")
    assert kwargs["until"] > 1e9 and "a network change" in kwargs["why"]
    assert files.read(master.root / "heal" / "settings.json")["paused"] is True
    assert render(answer["data"]) == "● Healing is paused\nNext: salt-run openstack.heal_resume"


def test_resume_lifts_it(healing: Front, master: Master) -> None:
    healing.verbs.heal_resume()
    assert healing.asked[0][3]["until"] == 0 and healing.said == [("resume", {})]
    assert files.read(master.root / "heal" / "settings.json")["paused"] is False


def test_a_host_that_was_not_told_is_named(healing: Front) -> None:
    healing.answers = Answers(silent=["ctl2"])
    answer = healing.verbs.heal_pause()
    assert answer["data"]["retcode"] == 5
    assert "ctl2: no answer; it was not told" in render(answer["data"])


def test_reset_of_one_and_of_all(healing: Front) -> None:
    assert healing.verbs.heal_reset("keystone", host="ctl2")["data"]["retcode"] == 0
    healing.verbs.heal_reset()
    assert healing.asked[0][:3] == (["ctl2"], "openstack_container.heal_reset", ["keystone"])
    assert healing.asked[1][:3] == (["ctl1", "ctl2"], "openstack_container.heal_reset", ["_every"])
    assert healing.said[0] == ("reset", {"host": "ctl2", "container": "keystone"})


@pytest.mark.parametrize(
    ("container", "host", "text"),
    [
        ("keyston", None, "no container keyston"),
        ("mariadb", "ctl2", "mariadb runs on ctl1"),
        ("keystone", "elsewhere", "keystone runs on ctl1, ctl2"),
    ],
)
@pytest.mark.parametrize("verb", ["why", "heal_reset"])
def test_a_wrong_name_says_what_there_is(
    healing: Front, verb: str, container: str, host: str | None, text: str
) -> None:
    answer = getattr(healing.verbs, verb)(container, host=host)
    assert answer["data"]["retcode"] == 2
    assert text in f"{answer['data']['message']} {answer['data']['hint']}"


def test_why_of_all_its_hosts(healing: Front, master: Master) -> None:
    master.fail("ctl2", "keystone")
    answer = healing.verbs.why("keystone")
    assert answer["data"]["retcode"] == 1
    assert [(story["host"], story["state"]) for story in answer["data"]["stories"]] == [
        ("ctl1", "nothing known"),
        ("ctl2", "failed"),
    ]


def test_before_the_first_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healing = Front(tmp_path / "empty", monkeypatch)
    assert healing.verbs.heal_reset()["data"]["retcode"] == 1
    assert healing.verbs.heal_pause()["data"]["retcode"] == 0
    assert healing.verbs.why("keystone")["data"]["retcode"] == 2
    assert healing.asked == []
