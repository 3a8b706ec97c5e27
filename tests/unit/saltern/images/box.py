"""A directory that stands for a container in which kolla_set_configs works."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

from .trees import CHECKOUT

BASE = CHECKOUT / "images" / "base"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


def load_script() -> Any:
    """The script as a module."""
    loader = SourceFileLoader("kolla_set_configs", str(BASE / "kolla_set_configs"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    """All below a folder: path → mode, owner, group, and content or the link's target."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        kept: Any = None
        if stat.S_ISLNK(status.st_mode):
            kept = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            kept = path.read_bytes()
        found[str(path.relative_to(folder))] = (oct(status.st_mode), status.st_uid, status.st_gid, kept)
    return found


class Container:
    """Sources in ``config_files``, destinations in ``etc``; the fixed places of the script lie in ``run``."""

    def __init__(self, root: Path) -> None:
        self.root, self.script = root, load_script()
        self.source, self.etc, run = root / "config_files", root / "etc", root / "run"
        for folder in (self.source, self.etc, run):
            folder.mkdir()
        self.script.PLACES = (f"{run}/",)
        self.script.DEFAULTS = (f"{run}/defaults",)
        self.script.CONFIG = str(root / "config")
        self.config: dict[str, Any] = {"command": "sleep 1", "config_files": []}
        self.environment = {"KOLLA_CONFIG_STRATEGY": "COPY_ALWAYS"}

    def add(self, name: str, content: bytes = b"a = 1\n", perm: str = "0600", **more: Any) -> Path:
        """A source of this name and an entry that puts it to the same name below ``etc``."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.entry(str(path), str(self.etc / name), perm=perm, **more)

    def entry(self, source: str, dest: str, **more: Any) -> Path:
        """An entry of ``config_files``."""
        self.config["config_files"].append({"source": source, "dest": dest, "owner": OWNER, "perm": "0600", **more})
        return Path(dest)

    def run(self, *arguments: str) -> int:
        """The script's exit code."""
        Path(f"{self.script.CONFIG}.json").write_text(json.dumps(self.config))
        return int(self.script.main(list(arguments), self.environment))
