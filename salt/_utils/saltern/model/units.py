"""Durations and sizes as operators write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)i?b?", re.I)

DURATION_TEXT = "a duration: 500ms, 30s, 5m, 1h or a number of seconds"
SIZE_TEXT = "a size: 512M or 1G"


def seconds(value: Any) -> float | int:
    """Seconds of ``30s``, ``5m``, ``500ms``, ``1h`` or of a plain number; whole ones as int.

    Raises ValueError for anything else.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        result = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        result = float(match[1]) * _SECONDS[match[2] or "s"]
    else:
        raise ValueError(DURATION_TEXT)
    return int(result) if result == int(result) else round(result, 3)


def size(value: Any) -> int:
    """Bytes of ``512M``, ``1G``, ``2GiB`` or of a plain number. Raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _BYTES[match[2].lower()]
    raise ValueError(SIZE_TEXT)


def hostport(address: str, port: int) -> str:
    """``10.0.0.1:80`` or ``[fd00::1]:80``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_hostport(text: str) -> bool:
    """Whether it is an IP address and a port as :func:`hostport` writes them."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        return False
    try:
        return hostport(str(ipaddress.ip_address(address.strip("[]"))), int(port)) == text
    except ValueError:
        return False
