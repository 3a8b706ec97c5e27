"""Where things of the all-in-one cloud lie: below ``<checkout>/.saltern``, but for short socket paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

# A Unix socket's path has at most 107 bytes; Salt's own file names take up to 45 of them.
LONGEST_SOCKET_DIR = 60

STATE_ROOT = Path("/var/lib/saltern")


@dataclass(frozen=True)
class Layout:
    """Paths, all absolute."""

    checkout: Path

    @property
    def dot(self) -> Path:
        return self.checkout / ".saltern"

    @property
    def venv(self) -> Path:
        return self.dot / "venv"

    @property
    def client_venv(self) -> Path:
        return self.dot / "venv-openstack"

    @property
    def tempest_venv(self) -> Path:
        return self.dot / "venv-tempest"

    @property
    def test_venv(self) -> Path:
        return self.dot / "venv-test"

    @property
    def config(self) -> Path:
        """Salt's configuration directory (``salt -c``)."""
        return self.dot / "salt"

    @property
    def pki(self) -> Path:
        return self.config / "pki"

    @property
    def log(self) -> Path:
        return self.dot / "log"

    @property
    def bin(self) -> Path:
        return self.dot / "bin"

    @property
    def env(self) -> Path:
        return self.dot / "env"

    @property
    def clouds(self) -> Path:
        return self.dot / "clouds.yaml"

    @property
    def pillar(self) -> Path:
        return self.checkout / "pillar" / "openstack"

    @property
    def requirements(self) -> Path:
        return self.checkout / "requirements"

    @property
    def run(self) -> Path:
        """Sockets and pid files, by a path short enough for sockets."""
        return self.root / "run"

    @property
    def root(self) -> Path:
        """Salt's ``root_dir``: ``.saltern``, or a short alias of it below /run where its path is too long for sockets.

        Salt puts ``root_dir`` before every path that does not lie below it, so all paths in its configuration start
        with this.
        """
        if len(str(self.dot / "run")) <= LONGEST_SOCKET_DIR:
            return self.dot
        return Path("/run") / f"saltern-{hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]}"

    def make(self) -> None:
        """Make the directories, private where keys and caches lie, and the alias (a reboot takes it away)."""
        for directory in (self.dot, self.dot / "run", self.log, self.config, self.pki):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (self.config, self.pki, self.dot / "run"):
            directory.chmod(0o700)
        if self.root != self.dot and not self.root.is_symlink():
            self.root.symlink_to(self.dot)


def here() -> Layout:
    """The layout of the checkout this file lies in."""
    return Layout(Path(__file__).resolve().parents[2])
