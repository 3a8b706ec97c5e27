"""Which version of the library this is: a digest over its source files, the same on master and minion."""

from __future__ import annotations

import hashlib
from pathlib import Path

from saltern.contract.digests import digest


def library_digest(package: Path | None = None) -> str:
    """Digest of all ``*.py`` below the package ``saltern``, wherever it was synced to.

    package
        The package's directory; by default the one that this code was loaded from.
    """
    root = package or Path(__file__).resolve().parent.parent
    files = sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
    return digest({path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
