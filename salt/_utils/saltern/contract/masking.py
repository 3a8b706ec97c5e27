"""Take secrets out of text before it leaves the place that knows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MASK = "********"
SHORTEST = 4  # shorter values would blot out ordinary text


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every occurrence of a secret replaced; longer secrets first, so that none is left in half."""
    for secret in sorted({s for s in secrets if len(s) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_tree(value: Any, secrets: Iterable[str]) -> Any:
    """As :func:`mask` for every string in a tree of dicts and lists (keys too)."""
    secrets = list(secrets)
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, dict):
        return {mask_tree(k, secrets): mask_tree(v, secrets) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_tree(v, secrets) for v in value]
    return value
