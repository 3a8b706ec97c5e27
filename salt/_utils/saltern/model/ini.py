"""INI files as OpenStack, MariaDB and uwsgi read them: parse, merge by key, print.

Not configparser: it keeps one value per key, and joins repeated keys and continued lines into the same thing, while
oslo.config, uwsgi and my.cnf give repeated keys a meaning and my.cnf knows keys without a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# section -> key -> values; None is a key without a value, more than one value is a repeated key
Ini = dict[str, dict[str, list[str | None]]]


class IniError(ValueError):
    """A line that is no INI; ``line`` is 1-based."""

    def __init__(self, message: str, line: int) -> None:
        self.line = line
        super().__init__(message)


def parse(text: str) -> Ini:
    """Parse an INI file; comments and blank lines are dropped, order is kept.

    Raises IniError for a line that is neither section, key, comment nor continuation.
    """
    ini: Ini = {}
    section: dict[str, list[str | None]] | None = None
    last: list[str | None] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            last = None
        elif line[0] in "#;":
            continue
        elif raw[0] in " \t" and last is not None and last[-1] is not None:
            last[-1] = f"{last[-1]}\n{line}"
        elif line[0] == "[":
            if not line.endswith("]"):
                raise IniError("a section without its closing bracket", number)
            section = ini.setdefault(line[1:-1].strip(), {})
            last = None
        elif line[0] == "!":
            section = ini.setdefault("", {}) if section is None else section
            section.setdefault(line, []).append(None)
        elif section is None:
            raise IniError("a key before the first section", number)
        else:
            key, value = _split(line)
            last = section.setdefault(key, [])
            last.append(value)
    return ini


def _split(line: str) -> tuple[str, str | None]:
    key, found, value = line.partition("=")
    if not found:
        return line, None
    return key.strip(), value.strip()


def render(ini: Ini) -> str:
    """Print an INI file: one blank line between sections, ``key = value``, empty sections kept."""
    parts = []
    for section, keys in ini.items():
        lines = [f"[{section}]"] if section else []
        for key, values in keys.items():
            lines += [key if value is None else f"{key} = {_continued(value)}".rstrip() for value in values]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def lines(options: Mapping[str, Any]) -> str:
    """Options as lines of a file, without a line end after the last: a list repeats its key, None leaves it out."""
    values = {key: value if isinstance(value, list) else [value] for key, value in options.items()}
    return "\n".join(f"{key} = {_small(v)}" for key, found in values.items() for v in found if v is not None)


def section(name: str, options: Mapping[str, Any]) -> str:
    """A whole section, without a line end after its last line."""
    return f"[{name}]\n{lines(options)}"


def _small(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _continued(value: str) -> str:
    return value.replace("\n", "\n    ")


def values_of(value: Any) -> list[str | None]:
    """An override's value as INI values: a list repeats the key. None, which removes a key, has none."""
    if value is None:
        return []
    if isinstance(value, list):
        return [_text(item) for item in value]
    return [_text(value)]


def _text(value: Any) -> str:
    # a blank line would end the value, and what follows it could be a key or a section of its own
    return "\n".join(line.strip() for line in str(value).splitlines() if line.strip())


def merge(ini: Ini, override: Mapping[str, Mapping[str, Any]]) -> Ini:
    """A copy of ``ini`` with an override on top, per key."""
    merged = {section: dict(keys) for section, keys in ini.items()}
    for section, keys in override.items():
        into = merged.setdefault(section, {})
        for key, value in keys.items():
            values = values_of(value)
            if values:
                into[key] = values
            else:
                into.pop(key, None)
    return merged
