"""The block that a failing step shows: what, where, why, what was left alone, and the command to go on with."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from saltern.terminal.marks import FAILED, tint

LOG_LINES = 20


def step(line: Mapping[str, Any], verb: str, *, width: int = 100, colour: bool = False) -> list[str]:
    """Lines for a journal line ``step_end`` that failed.

    verb
        Verb of the run, for the command to go on with.
    """
    title, failures = line.get("title", "step"), line.get("failures") or []
    lines: list[str] = []
    for failure in failures:
        where = f" on {failure['host']}" if failure.get("host") else ""
        text = f"{title}{where}: {failure.get('message') or 'failed'}"
        lines += [f"{tint(FAILED, colour=colour)} {text}", "", *_container(failure, width), ""]
    comment = str(line.get("comment") or "").strip()
    if comment or not failures:
        first, *rest = (comment or "failed without a reason").splitlines()
        lines += [f"{tint(FAILED, colour=colour)} {title}: {first}"] + [f"  {text}" for text in rest] + [""]
    if line.get("untouched"):
        lines += [f"  {'untouched':<10} {', '.join(line['untouched'])}: not begun in this step", ""]
    lines.append(f"  Mend the cause, then: salt-run {_again(verb)}")
    return lines


def _again(verb: str) -> str:
    return "openstack.deploy" if verb in ("deploy", "apply") else f"state.orch openstack.{verb}"


def _container(failure: Mapping[str, Any], width: int) -> list[str]:
    image = failure.get("image")
    exit_code, restarts = failure.get("exit_code"), failure.get("restarts")
    facts = [f"image {image}" if image else ""]
    facts.append(f"exit code {exit_code}" if exit_code is not None else "")
    facts.append(f"restarted {restarts} times" if restarts else "")
    known = ", ".join(filter(None, facts))
    rows = [("container", f"{failure.get('container', '')}{f' ({known})' if known else ''}")]
    if failure.get("probe"):
        rows.append(("probe", str(failure["probe"])))
    if failure.get("former"):
        rows.append(("former", _former(str(failure["former"]))))
    log = [str(text) for text in failure.get("log") or []][-LOG_LINES:]
    rows += [("last log" if not number else "", text) for number, text in enumerate(log)]
    more = f"(more: salt-run openstack.logs {failure.get('container', '')} host={failure.get('host', '')})"
    rows.append(("", more) if log else ("log", more))
    return [line for key, text in rows for line in _wrapped(key, text, width)]


def _wrapped(key: str, text: str, width: int) -> list[str]:
    # Never cut: the cause tends to stand at the end of a line.
    head = f"  {key:<10} "
    return textwrap.wrap(text, max(width, 40), initial_indent=head, subsequent_indent=" " * len(head)) or [
        head.rstrip()
    ]


def _former(text: str) -> str:
    if text == "none":
        return "there was none"
    return f"the former container is {text}"
