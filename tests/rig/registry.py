"""A registry with TLS and a password on the machine, where all hosts of a rig reach it."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PROGRAM = "docker-registry"
USER, PASSWORD = "pusher", "registry-pass/word"
HASH = "$2b$04$ApXFlvmhjostwkupfqdAO.AWJeSLWSpeP99Ru0GhbK9cRyNnyn2Aa"  # bcrypt of PASSWORD


class Registry:
    """Debian's docker-registry.

    folder
        For its data, configuration and certificates.
    address
        Where it listens, ``address:port``.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        make_certificate(folder, "server", address.partition(":")[0])
        (folder / "htpasswd").write_text(f"{USER}:{HASH}\n", encoding="ascii")
        (folder / "config.yml").write_text(
            f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http:
  addr: {address}
  tls: {{certificate: {folder}/server.crt, key: {folder}/server.key}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
""",
            encoding="utf-8",
        )

    @property
    def ca(self) -> str:
        """The certificate that hosts have to trust, as PEM text."""
        return (self.folder / "server.crt").read_text(encoding="ascii")

    def start(self) -> None:
        """Start it and wait until it answers."""
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", self.folder / "config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the registry does not start: {(self.folder / 'log').read_text()[-1000:]}")
            time.sleep(0.05)  # nothing tells when it listens

    def stop(self) -> None:
        """Stop it; its data stay."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It hangs: connections are taken, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        trusting = ssl.create_default_context(cafile=str(self.folder / "server.crt"))
        try:
            urllib.request.urlopen(f"https://{self.address}/v2/", context=trusting, timeout=5)
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True


def available() -> bool:
    """Whether the program is there."""
    return shutil.which(PROGRAM) is not None


def make_certificate(folder: Path, name: str, address: str) -> str:
    """A certificate that signs itself, ``<name>.crt`` and ``<name>.key``; its PEM text."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=IP:{address}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return (folder / f"{name}.crt").read_text(encoding="ascii")
