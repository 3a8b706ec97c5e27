"""Keep Salt's own chatter out of what a person reads."""

from __future__ import annotations

import logging

# Salt 3008 warns about clients of its own that nobody closed, in every salt-run; nothing an operator could mend.
_LOGGERS = ("salt.utils.event", "salt.runner", "salt.minion", "salt.client", "salt.client.mixins")


class _Unclosed(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("unclosed ")


_FILTER = _Unclosed()


def quiet() -> None:
    """Drop these warnings in this process and its children."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # adding it twice adds it once
