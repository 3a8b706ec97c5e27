"""What to do about a failed build, by what its tools said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saltern.contract.errors import BuildFailed
from saltern.images.options import Options
from saltern.images.schedule import PlaceLost

_FULL = re.compile(r"(?i)no space left on device|disk quota exceeded|not enough free space|errno 28")
_AWAY = re.compile(
    r"(?i)could not resolve|failure (in name resolution|resolving)|dns error|name or service not known"
    r"|unable to connect|could not connect|connection (timed out|refused|failed|reset|broken|aborted)|timed out"
    r"|no route to host|network is unreachable|error sending request"
    r"|\b(429|500|502|503|504)\b +[A-Z(]|\((500|502|503|504) [A-Z]"
)
_PYTHON = re.compile(r"(?i)/simple/|\bpip\b|\buv\b|error sending request|client error|pypi")
_CAUSE = re.compile(r"^\s*cause: ")
_LACKS = "The index lacks what the lock names. Is it complete? Resolve again: images/locks/compile {release}"
# what a tool says → what to do; the first that fits counts
_HINTS = (
    (
        r"hash mismatch|do not match the hashes|hashes are required",
        "The index has another file than the lock says. Resolve again: images/locks/compile {release}",
    ),
    (None, ""),  # the network, see _away
    (r"was not found in the package registry", _LACKS),
    (r"no solution found|no matching distribution", _LACKS),
    (
        r"unable to locate package|has no installation candidate|couldn't find any package|version '.*' for '.*' was",
        "Is that its name in {distro} {suite}? Packages are named in the image's Dockerfile.j2",
    ),
    (
        r"hash sum mismatch|404 +not found|does not have a release file|unexpected size|not signed|changed its '",
        "The mirror for packages is wrong or being updated: look at it, or set openstack:images:mirrors:apt",
    ),
    (
        r"\b(401|403)\b.*(unauthorized|forbidden)|unauthorized|forbidden",
        "The mirror asks for credentials: configure apt (auth.conf.d) or pip on {builder}",
    ),
)


def explained(error: Exception, builder: str, options: Options) -> Exception:
    """The error with what to do next, where its text tells; one that has a hint keeps it.

    error
        What a build raised. Errors that are no failed build are returned as they are.
    builder
        Who built, for the text.
    options
        The operator's choices.
    """
    if not isinstance(error, BuildFailed) or isinstance(error, PlaceLost):
        return error
    lines = [*getattr(error, "log", []), error.message]
    if any(_FULL.search(line) for line in lines):
        error.message = f"the disk of {builder} is full"
        error.hint = f"Free space on {builder}, then run the build again: what is finished stays"
    elif not error.hint:
        _hint(error, lines, builder, options)
    return error


def _hint(error: BuildFailed, lines: Sequence[str], builder: str, options: Options) -> None:
    """Give the error what to do, and the line of the log that tells most."""
    values = {"release": options.release, "distro": options.distro, "suite": options.suite, "builder": builder}
    for pattern, hint in _HINTS:
        telling = _away(lines) if pattern is None else _first(re.compile(pattern, re.IGNORECASE), lines)
        if telling:
            error.message = telling
            kind = "pypi" if any(_PYTHON.search(line) for line in lines) else "apt"
            away = f"Does the mirror answer on {builder}? It is the one of {'pip' if kind == 'pypi' else 'apt'} there, "
            error.hint = hint.format(**values) if hint else f"{away}or openstack:images:mirrors:{kind}"
            return


def _first(pattern: re.Pattern[str], lines: Sequence[str]) -> str:
    found = next((line for line in lines if pattern.search(line)), "")
    return _CAUSE.sub("", found).strip()


def _away(lines: Sequence[str]) -> str:
    """What did not answer and how that showed: apt says both in a line, uv in the first and last of its causes."""
    causes = [_CAUSE.sub("", line).strip() for line in lines if _CAUSE.search(line)]
    if causes and any(_AWAY.search(cause) for cause in causes):
        return causes[0] if len(causes) == 1 else f"{causes[0]}: {causes[-1]}"
    return _first(_AWAY, lines)
