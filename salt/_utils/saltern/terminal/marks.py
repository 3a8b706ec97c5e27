"""The five marks and their colours, and the few words of layout that every renderer shares."""

from __future__ import annotations

from collections.abc import Sequence

OK, CHANGING, WAITING, FAILED, SKIPPED = "●", "◐", "○", "✗", "–"

_CODES = {OK: "32", CHANGING: "36", WAITING: "2", FAILED: "31;1", SKIPPED: "2"}
_RESULTS = {"ok": OK, "changed": OK, "failed": FAILED, "skipped": SKIPPED, "running": CHANGING, "waiting": WAITING}


def mark(result: str, *, colour: bool = False) -> str:
    """The mark of a result (ok, changed, failed, skipped, running, waiting)."""
    return tint(_RESULTS.get(result, WAITING), colour=colour)


def tint(text: str, code: str | None = None, *, colour: bool = False) -> str:
    """``text`` in an ANSI colour; a mark knows its own."""
    code = code or _CODES.get(text[:1], "")
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text else text


def bold(text: str, *, colour: bool = False) -> str:
    """``text`` made bold, where colours may be used."""
    return tint(text, "1", colour=colour)


def duration(seconds: float) -> str:
    """
    >>> duration(0.25), duration(4.2), duration(72), duration(3700)
    ('0.2 s', '4.2 s', '1 m 12 s', '1 h 1 m')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    return f"{minutes // 60} h {minutes % 60} m"


def ago(seconds: float) -> str:
    """
    >>> ago(3), ago(250), ago(7300), ago(200000)
    ('3 s ago', '4 min ago', '2 h ago', '2 days ago')
    """
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {'day' if unit == 'days' and count == 1 else unit} ago"
    return f"{max(0, int(seconds))} s ago"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """
    >>> count(1, "host"), count(2, "host"), count(2, "match", "matches")
    ('1 host', '2 hosts', '2 matches')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def names(values: Sequence[str], limit: int = 5) -> str:
    """
    >>> names(["a", "b"]), names(list("abcdefg"), 3)
    ('a, b', 'a, b, c and 4 more')
    """
    if len(values) <= limit:
        return ", ".join(values)
    return f"{', '.join(values[:limit])} and {len(values) - limit} more"


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns, an ellipsis where something was cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def table(rows: Sequence[Sequence[str]], *, gap: int = 2, indent: int = 0, width: int = 0) -> list[str]:
    """Rows in columns as wide as their widest cell; the last column is cut at ``width`` (0: never)."""
    if not rows:
        return []
    columns = max(len(row) for row in rows)
    wide = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    lines = []
    for row in rows:
        cells = [cell.ljust(wide[i]) for i, cell in enumerate(row[:-1])] + [row[-1]] if row else []
        line = " " * indent + (" " * gap).join(cells).rstrip()
        lines.append(cut(line, width) if width else line)
    return lines
