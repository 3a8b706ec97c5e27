"""A build's messages: steps, the image, and a failure's cause."""

from __future__ import annotations

import pytest

from saltern.host.build_refresh import parse_policy
from saltern.host.build_stream import BuildStream, describe


def fed(*messages: dict[str, object]) -> tuple[BuildStream, list[tuple[int, int, str]]]:
    steps: list[tuple[int, int, str]] = []
    stream = BuildStream(lambda *step: steps.append(step))
    for message in messages:
        stream.feed(message)
    return stream, steps


def test_steps_and_the_image() -> None:
    stream, steps = fed(
        {"stream": "Step 1/3 : FROM saltern/base:1\n"},
        {"stream": " ---> 0123456789ab\n"},
        {"stream": "Step 2/3 : LABEL a=b\n"},
        {"stream": "Step 3/3 : RUN make\n"},
        {"aux": {"ID": "sha256:abc"}},
    )
    assert steps == [(1, 3, "FROM saltern/base:1"), (3, 3, "make")]
    assert stream.image_id == "sha256:abc"
    assert stream.error == ""


def test_the_cause_is_the_steps_own_word() -> None:
    stream, _ = fed(
        {"stream": "Step 1/2 : RUN first\n"},
        {"stream": "error: of an earlier step\n"},
        {"stream": "Step 2/2 : RUN apt-get install x\n"},
        {"stream": "Reading package lists...\n\x1b[91mE: Unable to locate package x\x1b[0m\n"},
        {
            "errorDetail": {"code": 100, "message": "The command '/bin/sh -c …' returned a non-zero code: 100"},
            "error": "…",
        },
    )
    assert stream.cause == "E: Unable to locate package x"
    assert list(stream.tail) == ["Reading package lists...", "E: Unable to locate package x"]
    assert stream.step == "step 2 of 2: apt-get install x"


def test_other_errors_are_the_engines() -> None:
    stream, _ = fed({"stream": "Step 1/1 : COPY a /\n"}, {"error": "COPY failed: file not found in build context"})
    assert stream.cause == "COPY failed: file not found in build context"


def test_output_in_pieces_is_lines_all_the_same() -> None:
    pieces = ["Reading…\nE: ", "\x1b[91mUnable to", " locate x\n\x1b[0m", "no newline at the end"]
    stream, _ = fed({"stream": "Step 1/1 : RUN x\n"}, *({"stream": piece} for piece in pieces), {"error": "returned 1"})
    assert list(stream.tail) == ["Reading…", "E: Unable to locate x", "no newline at the end"]


def test_only_the_last_lines_are_kept() -> None:
    stream, _ = fed({"stream": "Step 1/1 : RUN x\n"}, {"stream": "\n".join(f"line {n}" for n in range(101))})
    assert len(stream.tail) == 20
    assert stream.tail[-1] == "line 99"


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        ("RUN . /e/env && install-lock /venv /usr/lib/keystone.txt && collect delta /d", "install keystone packages"),
        ("COPY --from=stage /delta/ /", "COPY --from=stage /delta/ /"),
        ("RUN collect snap", "collect snap"),
    ],
)
def test_steps_in_few_words(instruction: str, text: str) -> None:
    assert describe(instruction) == text


def test_candidates_of_apt() -> None:
    lines = [
        "openssl:",
        "  Installed: (none)",
        "  Candidate: 3.5.1-1",
        "  Version table:",
        "gone:",
        "  Candidate: (none)",
    ]
    assert parse_policy(lines) == {"openssl": "3.5.1-1"}
