"""What to do about a failed build, by what its tools said."""

from __future__ import annotations

import re

from saltern.contract.errors import BuildFailed
from saltern.images.options import Options
from saltern.images.schedule import PlaceLost

_FULL = re.compile(r"(?i)no space left on device|disk quota exceeded|not enough free space|errno 28")
# what a tool says → what to do; the first that fits counts
_HINTS = (
    (
        r"hash mismatch|do not match the hashes|hashes are required",
        "The index has another file than the lock says. Resolve again: images/locks/compile {release}",
    ),
    (
        r"no solution found|no matching distribution|was not found in the package registry|not found in the registry",
        "The index lacks what the lock names. Is it complete? Resolve again: images/locks/compile {release}",
    ),
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
_AWAY = (
    r"(?i)resolv|name or service not known|unable to connect|could not connect|connection (timed|refused|failed|reset)"
    r"|timed? ?out|no route to host|network is unreachable|dns error|error sending request|failed to fetch"
)
_PYTHON = r"(?i)/simple/|pip\b|\buv\b|error sending request|client error"


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
    text = "\n".join([error.message, *getattr(error, "log", [])])
    if _FULL.search(text):
        error.message = f"the disk of {builder} is full"
        error.hint = f"Free space on {builder}, then run the build again: what is finished stays"
    elif not error.hint:
        error.hint = _hint(text, builder, options)
    return error


def _hint(text: str, builder: str, options: Options) -> str:
    for pattern, hint in _HINTS:
        if re.search(pattern, text, re.IGNORECASE):
            values = {"release": options.release, "distro": options.distro, "suite": options.suite, "builder": builder}
            return hint.format(**values).replace("  ", " ")
    if re.search(_AWAY, text):
        kind = "pypi" if re.search(_PYTHON, text) else "apt"
        tool = "pip" if kind == "pypi" else "apt"
        return f"Does the mirror answer on {builder}? It is the one of {tool} there, or openstack:images:mirrors:{kind}"
    return ""
