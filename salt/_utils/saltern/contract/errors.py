"""One exception root. A message says what, where, and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class SalternError(Exception):
    """Root of all errors of the library.

    message
        What is wrong, a sentence without a full stop.
    where
        File, host, container or key it is about.
    hint
        What to do next.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        self.message, self.where, self.hint = message, where, hint
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}. {self.hint}" if self.hint else text


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a pillar or a service.yaml. ``key`` is colon separated, ``line`` 1-based where known."""

    file: str
    key: str
    expected: str
    found: str
    line: int | None = None
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class InvalidModel(SalternError):
    """The pillar or a service.yaml is wrong; ``problems`` has every fault found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        first = problems[0]
        super().__init__(
            f"{len(problems)} error{'s' if len(problems) != 1 else ''} in the model; first: {first.key}: "
            f"expected {first.expected}, found {first.found}",
            where=f"{first.file}:{first.line}" if first.line else first.file,
            hint="See salt-run openstack.validate",
        )


class EngineUnavailable(SalternError):
    """No Docker Engine answers at the address."""


class EngineRefused(SalternError):
    """The engine answered with an error."""


class ImageMissing(SalternError):
    """An image that a container needs is not on this host."""


class NotHealthy(SalternError):
    """A container did not become healthy in time; ``failure`` is the record of docs/interfaces.md section 5."""

    def __init__(self, message: str, failure: dict[str, Any], *, where: str = "", hint: str = "") -> None:
        self.failure = failure
        super().__init__(message, where=where, hint=hint)


class LockHeld(SalternError):
    """Somebody else holds the lock."""


class RunClosed(SalternError):
    """A job of a run that has ended, or of another run than the open one."""


class BuildFailed(SalternError):
    """An image could not be built."""


class JobFailed(SalternError):
    """A one-shot container ended with an error."""


class ToolboxFailed(SalternError):
    """The toolbox could not do its batch."""
