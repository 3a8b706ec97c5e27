"""The verbs about hosts that leave and come: answers, exit codes, what is left to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from saltern.plan import lock
from saltern.plan.lock import RunLock
from saltern.recovery import joining
from saltern.recovery.history import History
from saltern.terminal import render
from saltern_front import front
from unit.adapters import load
from unit.saltern.plan.test_departure import WEB, Cloud, plan


class Scene:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.cloud, self.plan = root, Cloud(), {**plan(), "auto_join": True}
        self.pull = mock.Mock(return_value={"data": {"retcode": 0}})
        self.verbs = load(
            "runners", "openstack_hosts", opts={"saltern_state_dir": str(root)}, salt={"openstack.pull": self.pull}
        )
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.run: Any = mock.Mock(id="20260101-000000-abcd")
        self.setup, self.registry = "", ""
        self.patch(monkeypatch)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def use(name: str, work: Any) -> None:
            monkeypatch.setattr(front.Front, name, lambda _, *args, **kwargs: work(*args, **kwargs))

        use("deployed", lambda: (self.plan, None))
        use("compiled", lambda: ({"plan": self.plan, "digest": self.plan["digest"]}, None))
        use("ask", self.cloud.ask)
        use("start", lambda sls, pillar: self.started.append((sls, pillar)) or f"jid-{sls}")
        use("ended", lambda jid, seconds: self.setup)
        use("begun", lambda jid: (self.run, ["Refused: a run is open"]))
        use("images", lambda: (mock.Mock(registry=self.registry), {}))

    def joined(self) -> list[tuple[str, str]]:
        return [(line["host"], line["what"]) for line in History(self.root / "heal" / "history.jsonl").read()]

    def arrive(self, host: str) -> None:
        joining.Joiner(self.root, lambda *_: False, lambda hosts: None).event(f"salt/minion/{host}/start", host, 1.0)

    def waiting(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "heal" / "joining").glob("*.json"))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield Scene(tmp_path, monkeypatch)
    lock.release()


def read(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["data"]["retcode"], render(answer["data"])


def test_without_its_name_once_more_it_only_says_what_it_would_do(scene: Scene) -> None:
    scene.cloud.instances = [WEB]
    code, text = read(scene.verbs.host_remove("cmp3", move=True))
    assert (code, text) == (
        4,
        "○ cmp3 would leave the cloud; nothing was changed\n"
        "  compute service cmp3: disabled\n"
        "  instance web (ACTIVE): moved\n"
        "  2 containers: removed; data in their volumes stays\n"
        "  compute service nova-compute: removed\n"
        "Next: salt-run openstack.host_remove cmp3 move=True confirm=cmp3",
    )


def test_instances_are_named_with_what_to_do(scene: Scene) -> None:
    scene.cloud.instances = [WEB]
    code, text = read(scene.verbs.host_remove("cmp3", confirm="cmp3"))
    assert code == 4 and "web (ACTIVE)" in text and "move=True" in text


def test_done_it_says_what_is_left_to_the_operator(scene: Scene) -> None:
    code, text = read(scene.verbs.host_remove("cmp3", confirm="cmp3"))
    assert code == 0
    assert text.splitlines()[-3:] == [
        "● cmp3 has left the cloud",
        "Next: take cmp3 out of openstack:hosts, then salt-run openstack.deploy",
        "      salt-key -d cmp3",
    ]
    assert "2 containers removed; data in their volumes stays" in text


def test_failed_it_says_how_to_go_on_or_back(scene: Scene) -> None:
    scene.cloud.answers = {"host_forget": {"changes": [], "errors": ["placement: conflict (409)"]}}
    code, text = read(scene.verbs.host_remove("cmp3", confirm="cmp3"))
    assert code == 1 and "placement: conflict (409)" in text and "reopen=True" in text


def test_taking_back(scene: Scene) -> None:
    code, text = read(scene.verbs.host_remove("cmp3", reopen=True))
    assert code == 0 and "cmp3 takes instances, routers and networks again" in text


def test_no_answer_is_5(scene: Scene) -> None:
    scene.cloud.silent = {"ctl1"}
    assert read(scene.verbs.host_remove("cmp3"))[0] == 5


def test_a_new_host_is_set_up_and_deployed(scene: Scene) -> None:
    scene.cloud.answers = {"list": {"mine": {}}}
    scene.arrive("cmp4")
    code, text = read(scene.verbs.host_join("cmp4"))
    assert (code, text) == (0, "● cmp4: run 20260101-000000-abcd")
    assert scene.started == [
        ("openstack.setup", {"minions": ["cmp4"], "master": False}),
        ("openstack.deploy", {"saltern_live": False, "saltern_by": "auto_join of cmp4"}),
    ]
    assert scene.joined() == [("cmp4", "started")] and scene.waiting() == []
    scene.pull.assert_not_called()


def test_its_images_come_from_the_registry_first(scene: Scene) -> None:
    scene.cloud.answers, scene.registry = {"list": {"mine": {}}}, "registry.example:5000"
    assert read(scene.verbs.host_join("cmp4"))[0] == 0
    scene.pull.assert_called_once_with(hosts="cmp4")
    scene.pull.return_value = {"data": {"retcode": 1}}
    assert read(scene.verbs.host_join("cmp4"))[0] == 1
    assert scene.joined()[-1] == ("cmp4", "failed") and len(scene.started) == 3


@pytest.mark.parametrize("reason", ["off", "running", "stranger"])
def test_others_are_left_alone_and_leave_the_queue(scene: Scene, reason: str) -> None:
    scene.plan["auto_join"] = reason != "off"
    scene.cloud.answers = {"list": {"nova_compute": {"state": "running"}}}
    host = "stranger" if reason == "stranger" else "cmp4"
    scene.arrive(host)
    assert read(scene.verbs.host_join(host))[0] == 0
    assert scene.started == [] and scene.joined() == [(host, "nothing")] and scene.waiting() == []


def test_a_failed_setup_is_written_down_and_nothing_deployed(scene: Scene) -> None:
    scene.cloud.answers, scene.setup = {"list": {"mine": {}}}, "docker-py is missing"
    code, text = read(scene.verbs.host_join("cmp4"))
    assert code == 1 and "docker-py is missing" in text
    assert [sls for sls, _ in scene.started] == ["openstack.setup"] and scene.joined() == [("cmp4", "failed")]


def test_while_a_run_is_open_they_stay_in_the_queue(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.arrive("cmp4")
    monkeypatch.setattr(RunLock, "read", lambda self: mock.Mock(run="x"))
    assert read(scene.verbs.host_join("cmp4"))[0] == 4
    assert scene.waiting() == ["cmp4"] and scene.joined() == []


def test_a_run_that_was_faster_leaves_them_in_the_queue(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.cloud.answers, scene.run = {"list": {"mine": {}}}, None
    scene.arrive("cmp4")
    holders = iter([None, mock.Mock(run="x")])
    monkeypatch.setattr(RunLock, "read", lambda self: next(holders))
    assert read(scene.verbs.host_join("cmp4"))[0] == 4
    assert scene.waiting() == ["cmp4"] and scene.joined() == []
