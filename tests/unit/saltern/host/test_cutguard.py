"""The guard: looks before, watches after, takes back; with a clock of the test's own."""

from collections.abc import Callable

import pytest

from saltern.contract.errors import SalternError
from saltern.host import cutguard
from saltern.host.cutguard import CutOff, Witness
from saltern.host.links import Links


class World:
    """A network whose witnesses answer or not depending on what was done, and when."""

    def __init__(self, answers: Callable[["World"], bool]) -> None:
        self.now, self.answers = 0.0, answers
        self.done_at: float | None = None
        self.log: list[str] = []

    def do(self) -> None:
        self.log.append("do")
        self.done_at = self.now

    def undo(self) -> None:
        self.log.append("undo")
        self.done_at = None

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def change(self, *more: Witness) -> None:
        witnesses = [Witness("the master", lambda: self.answers(self)), *more]
        cutguard.change(self.do, self.undo, witnesses, what="attaching x", clock=lambda: self.now, sleep=self.sleep)


def test_what_cuts_nobody_off_stays() -> None:
    world = World(lambda w: True)
    world.change()
    assert world.log == ["do"] and world.now <= 3


def test_a_pause_is_forgiven() -> None:
    """Spanning tree, a switch that learns: some seconds without an answer."""
    world = World(lambda w: w.done_at is None or w.now - w.done_at > 6)
    world.change()
    assert world.log == ["do"]


def test_one_answer_is_no_proof() -> None:
    """Tables that are still good hide a cut at first."""
    world = World(lambda w: w.done_at is None or w.now - w.done_at < 2)
    with pytest.raises(CutOff, match=r"attaching x cut this host off from the master; it was taken back after 10 s\."):
        world.change()
    assert world.log == ["do", "undo"]


def test_what_does_not_come_back_is_said() -> None:
    world = World(lambda w: "do" not in w.log)
    with pytest.raises(CutOff, match="but the master does not answer again yet"):
        world.change()


def test_without_a_sight_of_the_master_nothing_is_done() -> None:
    world = World(lambda w: False)
    with pytest.raises(SalternError, match="the master cannot be reached from here before"):
        world.change()
    assert world.log == []


def test_a_gateway_that_never_answered_does_not_count_and_one_that_did_does() -> None:
    world = World(lambda w: True)
    world.change(Witness("the gateway", lambda: False, needed=False))
    assert world.log == ["do"]
    world = World(lambda w: True)
    with pytest.raises(CutOff, match="from the gateway"):
        world.change(Witness("the gateway", lambda: world.done_at is None, needed=False))
    assert world.log == ["do", "undo"]


@pytest.mark.parametrize("error", [SalternError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_whatever_goes_wrong_meanwhile_it_is_taken_back(error: BaseException) -> None:
    world = World(lambda w: True)

    def do() -> None:
        world.do()
        raise error

    with pytest.raises(type(error)):
        cutguard.change(do, world.undo, [], what="x", clock=lambda: 0.0, sleep=world.sleep)
    assert world.log == ["do", "undo"]


def test_witnesses_are_the_masters_ports_and_the_gateway() -> None:
    routes = '[{"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}, {"dst": "default", "dev": "tun0"}]'
    links = Links(lambda arguments: routes if "-4" in arguments else "")
    options = {"master_ip": "10.0.0.9", "publish_port": 14505, "master_port": 14506}
    found = [(witness.name, witness.needed) for witness in cutguard.witnesses(options, links)]
    assert found == [
        ("the master's port 10.0.0.9:14505", True),
        ("the master's port 10.0.0.9:14506", True),
        ("the default gateway 192.0.2.1", False),
    ]
    alone = cutguard.witnesses({"file_client": "local", "master_ip": "127.0.0.1"}, links)
    assert [witness.name for witness in alone] == ["the default gateway 192.0.2.1"]
