"""Dockerfiles that the classic builder could not build, or that would carry settings into an image."""

from __future__ import annotations

import pytest

from saltern.images.lint import lint


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("RUN --mount=type=cache,target=/c true", "--mount"),
        ("run --network=none true", "--network"),
        ("COPY --chmod=0755 a /a", "--chmod"),
        ("COPY --from=stage --link /a /a", "--link"),
        ("RUN <<EOF", "heredoc"),
        ("COPY <<-'EOT' /a", "heredoc"),
        ("ADD https://example.org/x.tar /", "hash"),
        ("ARG MIRROR", "history"),
        ("COPY settings/ /", "mirrors"),
        ("COPY . /", "Dockerfile"),
    ],
)
def test_refused_in_the_final_stage(line: str, about: str) -> None:
    (finding,) = lint(f"FROM a\nUSER x\n{line}\n")
    assert finding.line == 3
    assert about in finding.text
    assert finding.hint


@pytest.mark.parametrize("line", ["COPY settings/ /", "ARG MIRROR", "COPY . /src"])
def test_fine_in_a_stage_and_in_what_is_never_shipped(line: str) -> None:
    assert lint(f"FROM a AS b\n{line}\nFROM a\nCOPY --from=b /x /x\n") == []
    assert lint(f"FROM a\n{line}\n", build_only=True) == []


def test_continued_lines_are_one_instruction() -> None:
    assert [finding.line for finding in lint("FROM a\n# note\nRUN \\\n  --mount=type=bind true\n")] == [3]


@pytest.mark.parametrize("line", ["RUN cat < /a << /b", "RUN echo 1 << 2 || true", "RUN python3 -c 'print(1 << 2)'"])
def test_shifts_and_redirections(line: str) -> None:
    # a number or a path after "<<" is no heredoc that BuildKit would read; words are
    findings = lint(f"FROM a\n{line}\n")
    assert findings == [] or "heredoc" in findings[0].text
