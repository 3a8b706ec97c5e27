"""docs/add-a-service.md as data: its files and its commands, in order."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from unit.services import cloud

PAGE = cloud.CHECKOUT / "docs/add-a-service.md"
_BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class File:
    """A file to write; ``path`` may begin with ``$PILLAR``."""

    path: str
    text: str

    def write(self, checkout: Path, pillar: Path) -> Path:
        target = checkout / self.path.replace("$PILLAR", str(pillar))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text, encoding="utf-8")
        return target


@dataclass(frozen=True)
class Command:
    """A command to run, and texts its output has to hold."""

    line: str
    shown: list[str] = field(default_factory=list)


def steps() -> list[File | Command]:
    """All that the page asks for."""
    found: list[File | Command] = []
    for path, kind, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if path:
            found.append(File(path, text))
        elif kind == "console":
            found += _commands(text)
    return found


def _commands(text: str) -> list[Command]:
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        else:
            found[-1].shown.append(line)
    return found
