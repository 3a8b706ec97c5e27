"""What a classic build says while it runs, read line by line: steps, images, output, failure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TAIL = 20
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)", re.S)
_IMAGE = re.compile(r"^ ---> ([0-9a-f]{12,64})$")
_OWN = ("Step ", " ---> ", "Removing intermediate", "Successfully ")
_TELLING = ("FROM ", "RUN ", "COPY ", "ADD ")  # the others take no time
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_CODE = re.compile(r"returned a non-zero code: \d+")


@dataclass
class BuildStream:
    """Collects the messages of one build.

    on_step
        Called with (number, of, text) at each new step.

    ``last`` is the image of the last step that was finished.
    """

    on_step: Callable[[int, int, str], None] = lambda number, of, text: None
    step: str = ""
    image_id: str = ""
    error: str = ""
    last: str = ""
    _rest: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))

    def feed(self, message: dict[str, Any]) -> None:
        """Take one decoded message of the engine."""
        if "error" in message:
            self._flush()
            detail = message.get("errorDetail") or {}
            self.error = str(detail.get("message") or message["error"]).strip()
        elif "aux" in message:
            self.image_id = str(message["aux"].get("ID", self.image_id))
        else:
            self._text(_ESCAPE.sub("", str(message.get("stream") or "")))

    def _text(self, text: str) -> None:
        # a program's output comes in pieces that know no lines; the builder's own words always begin one
        if text.startswith(_OWN):
            self._flush()
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line.rstrip())

    def _flush(self) -> None:
        rest, self._rest = self._rest, ""
        self._line(rest.rstrip())

    def _line(self, line: str) -> None:
        if match := _STEP.match(line):
            self.step = f"step {match[1]} of {match[2]}: {describe(match[3].strip())}"
            self.tail.clear()
            if match[3].startswith(_TELLING):
                self.on_step(int(match[1]), int(match[2]), describe(match[3].strip()))
        elif match := _IMAGE.match(line):
            self.last = match[1]
        elif line and not line.startswith(" --->") and not line.startswith("Removing intermediate"):
            self.tail.append(line)

    @property
    def cause(self) -> str:
        """The failure in one line: the last words of the step's own output, else the engine's."""
        if not _CODE.search(self.error):
            return self.error
        # apt tells the cause first, others last
        if apt := next((line for line in self.tail if line.startswith("E: ")), ""):
            return apt.strip()
        telling = [line for line in self.tail if re.search(r"(?i)\berror\b|\be: |failed|cannot|no such|denied", line)]
        return (telling or list(self.tail) or [self.error])[-1].strip()


def describe(instruction: str) -> str:
    """A step in few words, for a live line.

    >>> describe("RUN apt-get -qq update && apt-get -qq -y install --no-install-recommends haproxy socat")
    'apt-get install haproxy socat'
    """
    word, _, rest = instruction.partition(" ")
    if word == "RUN" and "install-lock" in rest:
        return (
            f"install {rest.rpartition('install-lock')[2].split()[1].rpartition('/')[2].removesuffix('.txt')} packages"
        )
    if word == "RUN" and "--no-install-recommends" in rest:
        return f"apt-get install {rest.rpartition('--no-install-recommends')[2].strip()}"[:60]
    return (rest if word == "RUN" else instruction)[:60]
