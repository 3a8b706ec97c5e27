"""Who is connected to whom, from a /proc of our own and from the real one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from saltern.host import connections, sockets
from saltern.host.connections import Connections, Reach
from saltern.host.probes import connected

RABBIT = "10.0.0.11:5672"
MEMBERS = connections.servers("10.0.0.11:5672,10.0.0.12:5672")
ESTABLISHED, CLOSE_WAIT, SYN_SENT = "01", "08", "02"


class Proc:
    """A /proc with connections and processes."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.reads = root, 100.0, 0
        (root / "net").mkdir()
        self.connections({})

    def connections(self, rows: dict[int, tuple[str, str]], table: str = "tcp") -> None:
        """Rows of a table: inode → (peer in the kernel's words, state)."""
        lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"]
        for number, (inode, (peer, state)) in enumerate(rows.items()):
            tail = f"00000000:00000000 02:00000958 00000000 42435        0 {inode} 2 0 20 4 30 10 -1"
            lines.append(f"{number:4d}: 0B00000A:A2B4 {peer} {state} {tail}")
        (self.root / "net" / table).write_text("\n".join(lines) + "\n")

    def process(
        self, pid: int, container: str, *inodes: int, namespace: int = 0, directory: str = "0123456789abcdef"
    ) -> None:
        fds = self.root / str(pid) / "fd"
        fds.mkdir(parents=True)
        (fds / "0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (fds / str(number)).symlink_to(f"socket:[{inode}]")
        (self.root / str(pid) / "ns").mkdir()
        (self.root / str(pid) / "ns" / "mnt").symlink_to(f"mnt:[{namespace or pid}]")
        mount = f"/config/{container}/{directory} /var/lib/kolla/config_files ro - ext4 /dev/sda1 ro"
        text = f"500 400 8:1 {mount}\n" if container else "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        (self.root / str(pid) / "mountinfo").write_text(text)

    def end(self, pid: int) -> None:
        (self.root / str(pid)).rename(self.root / f"ended-{pid}")

    def links(self) -> Connections:
        return Connections(self.root, lambda: self.now)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def peer(address: str = "10.0.0.11", port: int = 5672, form: int = 0) -> str:
    return sockets.peers(address, port)[form]


def test_addresses_are_written_as_the_kernel_does() -> None:
    assert sockets.peers("10.0.0.11", 5672) == ["0B00000A:1628", "0000000000000000FFFF00000B00000A:1628"]
    assert sockets.peers("fd00::12", 5672) == ["000000FD000000000000000012000000:1628"]


@pytest.mark.parametrize(("state", "found"), [(ESTABLISHED, ("10.0.0.11", 5672)), (CLOSE_WAIT, None), (SYN_SENT, None)])
def test_only_an_established_connection_counts(proc: Proc, state: str, found: Any) -> None:
    proc.connections({77: (peer(), state)})
    proc.process(40, "nova_compute", 76, 77)
    assert proc.links().to("nova_compute", MEMBERS) == found


def test_a_connection_of_another_container_does_not_count(proc: Proc) -> None:
    proc.connections({77: (peer(), ESTABLISHED), 78: (peer(port=3306), ESTABLISHED)})
    proc.process(40, "neutron_l3_agent", 77)
    proc.process(41, "nova_compute", 78)
    proc.process(42, "", 77)
    links = proc.links()
    assert links.to("neutron_l3_agent", MEMBERS) and not links.to("nova_compute", MEMBERS)


def test_any_process_of_a_container_will_do_and_dual_stack_sockets_are_seen(proc: Proc) -> None:
    proc.connections({77: (peer("10.0.0.12", form=1), ESTABLISHED)}, table="tcp6")
    proc.process(40, "nova_compute", namespace=9)
    proc.process(41, "nova_compute", 77, namespace=9)
    assert proc.links().to("nova_compute", MEMBERS) == ("10.0.0.12", 5672)


def test_the_directory_of_a_container_that_took_over_from_its_like_is_known(proc: Proc) -> None:
    proc.connections({77: (peer(), ESTABLISHED)})
    proc.process(40, "nova_compute", 77, directory="0123456789abcdef-fedcba9876543210")
    assert proc.links().to("nova_compute", MEMBERS)


def test_a_process_that_ended_meanwhile_is_no_connection(proc: Proc) -> None:
    """A container was replaced within the second that the tables serve: the former one's socket is gone."""
    proc.connections({77: (peer(), ESTABLISHED)})
    proc.process(40, "nova_compute", 77)
    links = proc.links()
    assert links.to("nova_compute", MEMBERS)
    proc.end(40)
    assert links.to("nova_compute", MEMBERS) is None


def test_a_new_connection_is_seen_after_a_second(proc: Proc) -> None:
    proc.process(40, "nova_compute", 77)
    links = proc.links()
    assert links.to("nova_compute", MEMBERS) is None
    proc.connections({77: (peer(), ESTABLISHED)})
    proc.now += connections.FRESH
    assert links.to("nova_compute", MEMBERS)


def test_one_walk_serves_every_probe_of_a_second_and_none_is_made_for_what_was_found(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks, tables = [], []
    by_container, established = sockets.by_container, sockets.established
    monkeypatch.setattr(sockets, "by_container", lambda root: walks.append(1) or by_container(root))
    monkeypatch.setattr(sockets, "established", lambda root: tables.append(1) or established(root))
    proc.connections({70 + number: (peer(), ESTABLISHED) for number in range(15)})
    for number in range(15):
        proc.process(40 + number, f"agent_{number}", 70 + number)
    links = proc.links()
    for _ in range(3):
        assert all(links.to(f"agent_{number}", MEMBERS) for number in range(15))
        proc.now += 10
    assert (len(walks), len(tables)) == (1, 3)


def test_servers() -> None:
    assert connections.servers("10.0.0.11:5672,[fd00::12]:5672") == (("10.0.0.11", 5672), ("fd00::12", 5672))
    for bad in ("10.0.0.11", "", "10.0.0.11:x"):
        with pytest.raises(ValueError):
            connections.servers(bad)


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_first_that_answers_is_found_beside_one_that_refuses(listener: socket.socket, closed: int) -> None:
    port = listener.getsockname()[1]
    wanted = (("127.0.0.1", closed), ("127.0.0.1", port))
    assert connections.first_answering(wanted) == ("127.0.0.1", port)
    assert connections.first_answering(wanted[:1]) is None


def test_nobody_answering_is_remembered_longer_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    answers = [None, MEMBERS[0], None]
    monkeypatch.setattr(connections, "first_answering", lambda wanted: asked.append(wanted) or answers[len(asked) - 1])
    now = [100.0]
    reach = Reach(lambda: now[0])
    for at, answer, times in [
        (100, None, 1), (104, None, 1), (105, MEMBERS[0], 2), (105.5, MEMBERS[0], 2), (106, None, 3)
    ]:  # fmt: skip
        now[0] = at
        assert (reach.any_of(MEMBERS), len(asked)) == (answer, times)


def test_the_probe_blames_the_container_only_while_a_member_answers(
    proc: Proc, listener: socket.socket, closed: int
) -> None:
    there, gone = f"127.0.0.1:{listener.getsockname()[1]}", f"127.0.0.1:{closed}"
    answer = connected(f"{gone},{there}", "nova_compute", proc.links(), Reach())
    assert (answer.ok, answer.text) == (False, f"no connection to {there}")
    answer = connected(gone, "nova_compute", proc.links(), Reach())
    assert answer.ok and "no member of the message queue answers" in answer.text
    proc.connections({77: (peer(), ESTABLISHED)})
    proc.process(40, "nova_compute", 77)
    answer = connected(f"{gone},{RABBIT}", "nova_compute", proc.links(), Reach())
    assert (answer.ok, answer.text) == (True, f"connected to {RABBIT}")
    answer = connected("rabbit", "nova_compute", proc.links(), Reach())
    assert (answer.ok, answer.text) == (False, "connected to rabbit → 'rabbit' is not address:port")


def test_the_kernels_own_tables_are_read(listener: socket.socket) -> None:
    address, port = listener.getsockname()
    with socket.create_connection((address, port)) as near:
        held = f"socket:[{os.fstat(near.fileno()).st_ino}]"
        assert held in sockets.established()[sockets.peers(address, port)[0]]
        assert held in [link for _, link in sockets.open_links(f"/proc/{os.getpid()}")]
        far, _ = listener.accept()
        far.close()
        near.recv(1)  # the end has arrived: CLOSE_WAIT
        assert held not in sockets.established().get(sockets.peers(address, port)[0], [])
