"""The tests' own WebSocket client, against a small server."""

import base64
import hashlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rig import console


class Proxy(socketserver.ThreadingTCPServer):
    """Upgrades what asks for ``/?token=good``, then says what it is told to."""

    allow_reuse_address = True
    says = b"\x82\x0cRFB 003.008\n"

    class Handler(socketserver.StreamRequestHandler):
        server: Any

        def handle(self) -> None:
            target = self.rfile.readline().split()[1]
            headers = {}
            while line := self.rfile.readline().strip():
                name, _, value = line.decode().partition(": ")
                headers[name] = value
            if target != b"/?token=good":
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            digest = hashlib.sha1((headers["Sec-WebSocket-Key"] + console.MAGIC).encode()).digest()
            accept = base64.b64encode(digest).decode()
            self.wfile.write(f"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            self.wfile.write(self.server.says)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", 0), Proxy.Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def address(proxy: Proxy, token: str = "good") -> str:
    return f"http://127.0.0.1:{proxy.server_address[1]}/vnc_lite.html?path=%3Ftoken%3D{token}"


def test_the_greeting_of_vnc(proxy: Proxy) -> None:
    assert console.greeting(address(proxy)) == "RFB 003.008"
    proxy.says = b"\x82\x7e\x00\x0cRFB 003.008\n"
    assert console.greeting(address(proxy)) == "RFB 003.008"


@pytest.mark.parametrize(
    ("says", "expected"),
    [(b"\x88\x06\x03\xe8gone", "no VNC server: gone"), (b"\x82\x0cRFB", "hangs up"), (b"", "hangs up")],
)
def test_a_console_without_vnc(proxy: Proxy, says: bytes, expected: str) -> None:
    proxy.says = says
    with pytest.raises(ConnectionError, match=expected):
        console.greeting(address(proxy))


def test_a_token_that_is_refused(proxy: Proxy) -> None:
    with pytest.raises(ConnectionError, match=r"no WebSocket: HTTP/1\.1 403 Forbidden"):
        console.greeting(address(proxy, "bad"))
