"""What the classic builder cannot do, and what must not get into an image, found before a build starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORBIDDEN = (
    (r"^RUN\s+--(mount|network|security)", "RUN --{0} needs BuildKit", "Use COPY --from a stage"),
    (r"^(?:COPY|ADD)\s.*--(chmod|link|parents|exclude)", "--{0} needs BuildKit", "Set modes in a stage"),
    (r"^(?:RUN|COPY|ADD)\s.*<<-?\s*[\"']?\w+", "a heredoc needs BuildKit", "Put the text into a file and COPY it"),
    (r"^ADD\s+(?:--\S+\s+)*(?:https?|git)[:@]", "ADD of an address is not checked by any hash", "Use a lock"),
)
_IN_RUNTIME = (
    (r"^ARG\b", "ARG of the final stage stays in the image's history", "Move it into a stage"),
    (
        r"^(?:COPY|ADD)\s+settings/",
        "the build's mirrors and certificates would stay in the image",
        "Copy them in a stage",
    ),
    (r"^COPY\s+(?:--chown=\S+\s+)?\.\s", "COPY . takes the Dockerfile along and defeats the cache", "Name the files"),
)


@dataclass(frozen=True)
class Finding:
    """One thing wrong in a Dockerfile: 1-based line, what, and what to do instead."""

    line: int
    text: str
    hint: str


def instructions(dockerfile: str) -> list[tuple[int, str]]:
    """(first line, instruction with its continued lines joined), comments left out."""
    found: list[tuple[int, str]] = []
    pending = ""
    start = 0
    for number, line in enumerate(dockerfile.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start if pending else number
        pending += line.rstrip().removesuffix("\\")
        if not line.rstrip().endswith("\\"):
            found.append((start, pending.strip()))
            pending = ""
    return [*found, (start, pending.strip())] if pending else found


def lint(dockerfile: str, *, build_only: bool = False) -> list[Finding]:
    """All findings in a rendered Dockerfile.

    dockerfile
        Its text.
    build_only
        The image is never shipped: settings may stay in it.
    """
    lines = instructions(dockerfile)
    final = max((index for index, (_, text) in enumerate(lines) if text.upper().startswith("FROM ")), default=0)
    found = []
    for index, (number, text) in enumerate(lines):
        rules = _FORBIDDEN if build_only or index < final else (*_FORBIDDEN, *_IN_RUNTIME)
        for pattern, what, hint in rules:
            if match := re.search(pattern, text, re.I):
                found.append(Finding(number, what.format(*match.groups()), hint))
    return found
