#!/usr/bin/env python3
"""Look for secrets where none may be: processes, files, Docker objects, recorded events.

    tools/secret_scan.py --secrets pillar/openstack/secrets.sls --processes --engine unix:///var/run/docker.sock \\
        --directory /var/cache/salt --directory /var/log --allow '*/pillar/*.p'

Secrets are read from a file (YAML or JSON: a tree whose leaves are the values) or from stdin, never from arguments.
A finding names the secret and the place, never the value. An allowed file must still be unreadable for others. Exit
code 1 for any finding.
"""

from __future__ import annotations

import argparse
import base64
import fnmatch
import json
import os
import re
import stat
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHORTEST = 8  # a shorter value would be found in ordinary text
CHUNK = 4 << 20

# Where a secret may be, as DESIGN section 4 lists them: the operator's file, compiled slices, the minion's own pillar
# cache, configuration files with their modelled mode, data volumes, clouds.yaml. All of them closed to others.
ALLOWED = (
    "*/openstack/secrets.sls",
    "*/compiled/*/hosts/*.json",
    "*/pillar_cache/*",
    "*/cache/pillar/*.p",
    "*/saltern/config/*",
    "*/docker/volumes/*",
    "*/clouds.yaml",
)


@dataclass(frozen=True)
class Finding:
    """A secret (by name) in a place."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Scanner:
    """Looks for values, and for their percent-encoded, base64 and JSON-escaped forms.

    secrets
        Name to value; values shorter than eight characters are left out (see ``skipped``).
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.skipped = [name for name, value in secrets.items() if len(value) < SHORTEST]
        self._names: dict[bytes, str] = {}
        for name, value in secrets.items():
            if len(value) >= SHORTEST:
                for form in _forms(value):
                    self._names.setdefault(form, name)
        forms = sorted(self._names, key=len, reverse=True)
        self._longest = max(map(len, forms), default=1)
        self._pattern = re.compile(b"|".join(map(re.escape, forms))) if forms else re.compile(b"(?!)")

    def data(self, where: str, data: bytes) -> list[Finding]:
        """Secrets in some bytes, each once."""
        names = sorted({self._names[match] for match in self._pattern.findall(data)})
        return [Finding(where, f"has the value of {name}") for name in names]

    def processes(self, proc: Path = Path("/proc")) -> list[Finding]:
        """Arguments and environment of every process that can be seen, those in containers too."""
        found = []
        for process in proc.iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                for name in ("cmdline", "environ"):
                    content = _content(process / name)
                    command = _content(process / "comm").decode(errors="replace").strip()
                    found += self.data(f"process {process.name} ({command}): {name}", content)
        return found

    def directory(self, top: Path, allowed: Iterable[str] = ALLOWED) -> list[Finding]:
        """Every regular file below a directory, on its own file system or not; links are not followed."""
        patterns = list(allowed)
        found = []
        for path in _files(top):
            inside = self._file(path)
            if any(fnmatch.fnmatchcase(str(path), pattern) for pattern in patterns):
                if inside and not _closed(path):
                    found.append(Finding(str(path), f"may hold secrets, but not readable for others ({_mode(path)})"))
            else:
                found += inside
        return found

    def engine(self, url: str) -> list[Finding]:
        """What an engine tells about its containers (``docker inspect``) and its images (labels and history)."""
        import docker  # the other scans do without

        api = docker.APIClient(base_url=url, version="1.41", timeout=60)
        found = []
        for container in api.containers(all=True):
            text = json.dumps(api.inspect_container(container["Id"])).encode()
            found += self.data(f"docker inspect {container['Names'][0].lstrip('/')}", text)
        for image in api.images():
            name = (image.get("RepoTags") or [image["Id"]])[0]
            text = json.dumps([api.inspect_image(image["Id"]), api.history(image["Id"])]).encode()
            found += self.data(f"docker history {name}", text)
        api.close()
        return found

    def _file(self, path: Path) -> list[Finding]:
        names: dict[str, Finding] = {}
        rest = b""
        try:
            with open(path, "rb") as stream:
                while chunk := stream.read(CHUNK):
                    for finding in self.data(str(path), rest + chunk):
                        names[finding.what] = finding
                    rest = chunk[-self._longest :]  # a value may lie across two chunks
        except OSError:  # removed since
            pass
        return list(names.values())


def leaves(tree: Any, name: str = "") -> dict[str, str]:
    """Name (path with colons) to value, for every text in a tree."""
    if isinstance(tree, Mapping):
        pairs: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, (list, tuple)):
        pairs = enumerate(tree)
    else:
        return {name: str(tree)} if isinstance(tree, (str, int)) and not isinstance(tree, bool) else {}
    found: dict[str, str] = {}
    for key, value in pairs:
        found |= leaves(value, f"{name}:{key}" if name else str(key))
    return found


def _forms(value: str) -> set[bytes]:
    raw = value.encode()
    escaped = json.dumps(value)[1:-1]
    return {
        raw,
        urllib.parse.quote(value, safe="").encode(),
        urllib.parse.quote_plus(value).encode(),
        escaped.encode(),
        base64.b64encode(raw),
    }


def _files(top: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(top):
        for name in names:
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _closed(path: Path) -> bool:
    """Others can read neither the file nor some directory above it."""
    if not stat.S_IMODE(path.stat().st_mode) & 0o007:
        return True
    return any(not stat.S_IMODE(parent.stat().st_mode) & 0o001 for parent in path.parents)


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended since, or another user's
        return b""


def _load(path: str) -> dict[str, str]:
    import yaml  # JSON is YAML too

    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    return leaves(yaml.safe_load(text))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--secrets", required=True, help="file whose leaves are the secrets, - for stdin")
    parser.add_argument("--processes", action="store_true", help="arguments and environment of all processes")
    parser.add_argument("--directory", action="append", default=[], type=Path, help="files below it (repeatable)")
    parser.add_argument("--allow", action="append", default=list(ALLOWED), help="files that may hold secrets (glob)")
    parser.add_argument("--engine", action="append", default=[], help="address of a Docker Engine (repeatable)")
    given = parser.parse_args(arguments)
    scanner = Scanner(_load(given.secrets))
    found = scanner.processes() if given.processes else []
    for directory in given.directory:
        found += scanner.directory(directory, given.allow)
    for url in given.engine:
        found += scanner.engine(url)
    for finding in found:
        print(finding)
    if scanner.skipped:
        print(f"not looked for, too short: {', '.join(scanner.skipped)}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
