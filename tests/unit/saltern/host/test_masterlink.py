"""Whether a connection to the master is established, as the kernel prints it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from saltern.host.masterlink import connected

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def table(root: Path, *rows: str, name: str = "tcp") -> Path:
    (root / "net").mkdir(exist_ok=True)
    (root / "net" / name).write_text(HEAD + "".join(f"   0: 0100007F:9C40 {row} 00000000:00000000\n" for row in rows))
    return root


@pytest.mark.parametrize(
    ("row", "addresses", "expected"),
    [
        ("0B00000A:1199 01", (), True),
        ("0B00000A:1199 01", ("10.0.0.11",), True),
        ("0B00000A:1199 01", ("10.0.0.12",), False),
        ("0B00000A:1199 01", ("10.0.0.12", "10.0.0.11"), True),
        ("0B00000A:1199 08", (), False),  # CLOSE_WAIT: the master has gone
        ("0B00000A:1199 06", (), False),
        ("0B00000A:119A 01", (), False),
    ],
)
def test_ipv4(tmp_path: Path, row: str, addresses: tuple[str, ...], expected: bool) -> None:
    assert connected(4505, addresses, table(tmp_path, row)) is expected


def test_ipv6_and_mapped_ipv4(tmp_path: Path) -> None:
    table(tmp_path, "0000000000000000FFFF00000B00000A:1199 01", "B80D01200000000000000000 01", name="tcp6")
    assert connected(4505, ["10.0.0.11"], tmp_path)
    assert not connected(4505, ["2001:db8::1"], tmp_path)
    table(tmp_path, "B80D0120000000000000000001000000:1199 01", name="tcp6")
    assert connected(4505, ["2001:db8::1"], tmp_path)


def test_no_tables(tmp_path: Path) -> None:
    assert not connected(4505, (), tmp_path)


def test_this_machines_own_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not connected(port)
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0]:
            assert connected(port) and connected(port, ["127.0.0.1"]) and not connected(port, ["127.0.0.2"])
            client.shutdown(socket.SHUT_RDWR)
