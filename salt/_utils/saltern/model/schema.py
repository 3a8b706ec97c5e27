"""Check a tree against a JSON schema and say what is wrong in an operator's words.

jsonschema finds the faults; its own messages quote whole instances (and with them secrets), so each kind of fault gets
a sentence of ours. A schema's ``description`` is what was expected there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema

from saltern.model import units
from saltern.model.problems import Problems, did_you_mean, listed, shown
from saltern.model.sources import Path

Schema = dict[str, Any]
FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("address", raises=ValueError)
def _is_address(value: object) -> bool:
    if isinstance(value, str):
        parsed = ipaddress.ip_address(value)
        if parsed.is_unspecified or parsed.is_multicast:
            raise ValueError(value)
    return True


@FORMATS.checks("address4", raises=ValueError)
def _is_address4(value: object) -> bool:
    return not isinstance(value, str) or (ipaddress.ip_address(value).version == 4 and _is_address(value))


@FORMATS.checks("network4", raises=ValueError)
def _is_network4(value: object) -> bool:
    return not isinstance(value, str) or ("/" in value and bool(ipaddress.IPv4Network(value)))


@FORMATS.checks("interface4", raises=ValueError)
def _is_interface4(value: object) -> bool:
    return not isinstance(value, str) or ("/" in value and bool(ipaddress.IPv4Interface(value)))


@FORMATS.checks("duration", raises=ValueError)
def _is_duration(value: object) -> bool:
    return units.seconds(value) >= 0


@FORMATS.checks("size", raises=ValueError)
def _is_size(value: object) -> bool:
    return units.size(value) > 0


TYPES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
         "object": "a mapping", "array": "a list", "null": "nothing"}  # fmt: skip


def check(instance: Any, schema: Schema, problems: Problems, path: Path = ()) -> None:
    """Add every fault of ``instance`` to ``problems``.

    instance
        A tree of dicts, lists and scalars.
    schema
        JSON schema, draft 2020-12.
    path
        Where ``instance`` hangs in its file.
    """
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    for error in validator.iter_errors(instance):
        _report(error, problems, path)


def _report(error: Any, problems: Problems, base: Path) -> None:
    path = (*base, *(str(part) for part in error.absolute_path))
    schema: Schema = dict(error.schema) if isinstance(error.schema, Mapping) else {}
    kind = error.validator
    if kind == "additionalProperties":
        _unknown_keys(error.instance, schema, problems, path)
    elif kind == "required":
        for name in error.validator_value:
            if name not in error.instance:
                described = schema.get("properties", {}).get(name, {}).get("description", "a value")
                problems.add((*path, name), described, "nothing")
    elif kind in ("anyOf", "oneOf") and not schema.get("description"):
        _nearest_branch(error, problems, base)
    else:
        hint = did_you_mean(error.instance, map(str, schema["enum"])) if "enum" in schema else _quoting_hint(error)
        problems.add(path, expectation(schema), shown(error.instance, path=path), hint)


def _nearest_branch(error: Any, problems: Problems, base: Path) -> None:
    """Of several forms report the faults of the one that was most likely meant: the one with the fewest."""
    branches: dict[Any, list[Any]] = {}
    for sub in error.context or ():
        branches.setdefault(sub.schema_path[0], []).append(sub)
    best = min(branches.values(), key=lambda subs: (any(s.validator == "type" and not s.path for s in subs), len(subs)))
    for sub in best:
        _report(sub, problems, base)


def _unknown_keys(instance: Mapping[Any, Any], schema: Schema, problems: Problems, path: Path) -> None:
    known = list(schema.get("properties", {}))
    patterns: Iterable[str] = schema.get("patternProperties", {})
    validators = [jsonschema.Draft202012Validator({"pattern": p}) for p in patterns]
    for key in instance:
        if key in known or any(v.is_valid(key) for v in validators):
            continue
        if patterns:
            problems.add((*path, str(key)), schema.get("x-key", "a name"), f'"{key}"')
        else:
            expected = f"one of {listed(sorted(known))}" if known else "no keys here"
            problems.add((*path, str(key)), expected, "unknown key", did_you_mean(key, known))


def _quoting_hint(error: Any) -> str:
    if error.validator == "type" and isinstance(error.instance, (int, float)) and _wants(error.schema, "string"):
        return f'quote it: "{error.instance}"' if not isinstance(error.instance, bool) else "quote it"
    return ""


def _wants(schema: Schema, kind: str) -> bool:
    types = schema.get("type", [])
    return kind in ([types] if isinstance(types, str) else types)


def expectation(schema: Schema) -> str:
    """What a schema asks for, in words."""
    if description := schema.get("description"):
        return str(description)
    if "enum" in schema:
        return f"one of {listed(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"])
    types = schema.get("type", [])
    words = [TYPES[t] for t in ([types] if isinstance(types, str) else types)]
    text = " or ".join(words) or "another value"
    if "minimum" in schema or "maximum" in schema:
        text += f" from {schema.get('minimum', '…')} to {schema.get('maximum', '…')}"
    return text
