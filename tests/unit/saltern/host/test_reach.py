"""Whether an address answers: echoes and greetings, on this machine and with a clock of the test's."""

import socket
import threading
from collections.abc import Iterator

import pytest

from saltern.host import reach


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def greet(server: socket.socket, *parts: bytes) -> None:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            for part in parts:
                connection.sendall(part)

    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((b"SSH-2.0-", b"guest\r\nmore\r\n"), "SSH-2.0-guest"),
        ((b"\x1b[2JSSH-2.0\n",), "[2JSSH-2.0"),
        ((b"no end of line",), "no end of line"),
        ((), None),
    ],
)
def test_the_first_line_of_a_greeting(listener: socket.socket, parts: tuple[bytes, ...], expected: str | None) -> None:
    greet(listener, *parts)
    assert reach.banner("127.0.0.1", listener.getsockname()[1]) == expected


def test_a_closed_port_says_nothing(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert reach.banner("127.0.0.1", port) is None


def test_an_echo_packet_is_valid_and_its_reply_is_known() -> None:
    packet = reach.packet(0x1234, 1)
    assert reach.checksum(packet) == 0 and packet[0] == reach.ECHO
    head = bytes([0x45]) + bytes(19)
    reply = bytes([reach.REPLY]) + packet[1:]
    assert reach.is_reply(head + reply, 0x1234)
    assert not reach.is_reply(head + reply, 0x1235)
    assert not reach.is_reply(head + packet, 0x1234)
    assert not reach.is_reply(head, 0x1234) and not reach.is_reply(b"", 0x1234)


class World:
    """A clock that a sleep moves on, an address that answers from a time on."""

    def __init__(self, ping_from: float, greets_from: float) -> None:
        self.now, self.ping_from, self.greets_from = 0.0, ping_from, greets_from

    def wait(self, seconds: float) -> reach.Reached:
        return reach.wait(
            "172.29.0.100", 22, seconds, clock=lambda: self.now, sleep=self.sleep, echo=self.echo, greeting=self.greet
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def echo(self, _address: str) -> float | None:
        return 0.001 if self.now >= self.ping_from else None

    def greet(self, _address: str, _port: int) -> str | None:
        return "SSH-2.0-guest" if self.now >= self.greets_from else None


def test_it_waits_for_the_echo_and_then_for_the_greeting() -> None:
    found = World(ping_from=3, greets_from=5).wait(60)
    assert (found.ping, found.banner) == (0.001, "SSH-2.0-guest")
    assert found.ping_after == pytest.approx(3, abs=0.3) and found.banner_after == pytest.approx(5, abs=0.3)


def test_the_wait_ends() -> None:
    assert World(ping_from=99, greets_from=99).wait(10) == reach.Reached()
    found = World(ping_from=1, greets_from=99).wait(10)
    assert found.ping is not None and found.banner is None


def test_a_greeting_that_is_not_enough_is_waited_past_but_told() -> None:
    world = World(ping_from=0, greets_from=0)

    def wait(seconds: float, *greetings: str) -> reach.Reached:
        said = list(greetings)
        return reach.wait(
            "172.29.0.100", 22, seconds, clock=lambda: world.now, sleep=world.sleep, echo=world.echo,
            greeting=lambda *_: said.pop(0) if len(said) > 1 else said[0], enough=lambda text: "first" in text,
        )  # fmt: skip

    assert wait(9, "guest", "guest", "first").banner == "first"
    assert wait(9, "guest").banner == "guest"
