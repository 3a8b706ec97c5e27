"""Digests of JSON-able values: the same value has the same digest on every host and Python."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

LENGTH = 16


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. Raises TypeError for what JSON cannot say."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """First 16 hex digits of the sha256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical(value)).hexdigest()[:LENGTH]


def keyed(key: bytes, value: Any) -> str:
    """As :func:`digest`, keyed: it does not let a reader test guesses of secrets that went into ``value``."""
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()[:LENGTH]
