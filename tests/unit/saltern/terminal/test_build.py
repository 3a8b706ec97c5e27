"""What a build looks like, while it runs and afterwards."""

from __future__ import annotations

import io
from typing import Any

from saltern import terminal
from saltern.terminal.build import Progress, render
from saltern.terminal.build_live import Painter


def entry(image: str, result: str, **more: Any) -> dict[str, Any]:
    return {
        "image": image, "reference": f"saltern/{image}:1", "result": result, "reason": more.pop("reason", ""),
        "shipped": True, "size": 97_800_000, "own": 1_200_000, "seconds": None, **more,
    }  # fmt: skip


def answer(*images: dict[str, Any], seconds: float = 12.0) -> dict[str, Any]:
    kinds = [image["result"] for image in images]
    counts = {kind: kinds.count(kind) for kind in ("built", "tagged", "unchanged", "failed", "blocked")}
    return {"kind": "build", "images": list(images), "counts": counts, "unique": 573_000_000, "seconds": seconds}


def test_nothing_to_build() -> None:
    text = render(answer(entry("base", "unchanged"), entry("keystone", "unchanged"), seconds=0.8))
    assert text == (
        "Nothing to build: 2 images, inputs unchanged (0.8 s). "
        "Shipped images take 573 MB on a host, shared layers counted once."
    )


def test_a_builder_that_took_no_part_is_named() -> None:
    silent = {"builder": "b2", "error": "b2 does not answer", "hint": "Look: salt b2 test.ping"}
    broken = {"builder": "b3", "error": "no engine", "hint": ""}
    said = "– b2 does not answer; it took no part\n  Look: salt b2 test.ping\n\n– b3: no engine; it took no part\n\n"
    for result, end in (("unchanged", "Nothing to build"), ("built", "1 built")):
        assert f"{said}{end}" in render({**answer(entry("base", result)), "away": [silent, broken]})


def test_a_table_with_sizes_seconds_and_reasons() -> None:
    text = render(
        answer(
            entry("base", "unchanged"),
            entry("builder", "unchanged", shipped=False),
            entry("keystone", "built", seconds=18.4, reason="locks/keystone.txt changed"),
        )
    )
    lines = text.splitlines()
    assert lines[3].split() == ["●", "keystone", "98", "MB", "1.2", "MB", "18.4", "locks/keystone.txt", "changed"]
    assert "builder *" in lines[2]
    assert "1 built, 2 unchanged in 12.0 s." in lines[-1]


def test_a_failure_with_cause_log_blocked_images_and_the_next_command() -> None:
    failed = entry(
        "builder-os", "failed", reason="never built", error="E: Unable to locate package gccc", hint="",
        where="builder-os, step 4 of 9: RUN apt-get", log=["Reading…", "E: Unable to locate package gccc"],
        blocks=["glance-api", "keystone"], size=None, own=None,
    )  # fmt: skip
    blocked = entry("keystone", "blocked", by="builder-os", size=None, own=None)
    text = render(answer(failed, blocked))
    assert "✗ builder-os: E: Unable to locate package gccc" in text
    assert "  last log  Reading…\n            E: Unable" in text
    assert "blocks    glance-api, keystone" in text
    assert "waits for builder-os" in text
    assert text.endswith("Mend the cause, then: salt-run openstack.build names=builder-os")


def test_what_is_to_be_known_of_a_built_image_is_a_line() -> None:
    text = render(answer(entry("keystone", "built", seconds=1.0, notes=["/s/sbom: cannot be written"])))
    assert "– keystone: /s/sbom: cannot be written" in text.splitlines()
    assert "1 built in 12.0 s." in text


def test_no_line_is_wider_than_the_terminal() -> None:
    long = entry("keystone", "built", seconds=1.0, reason="a very long reason " * 10)
    assert all(len(line) <= 60 for line in render(answer(long), width=60).splitlines()[:3])


def test_progress_from_begin_to_end() -> None:
    progress = Progress(parallel=2)
    begin = {"images": {"base": "unchanged", "keystone": "build", "haproxy": "build"}, "seconds": 90.0}
    assert progress.feed("begin", begin, 0.0) == ["2 images to build, 2 at once · about 1 m 30 s by earlier runs"]
    progress.feed("start", {"image": "keystone"}, 1.0)
    progress.feed("step", {"image": "keystone", "step": 3, "of": 5, "text": "install keystone packages"}, 2.0)
    running, waiting, total = progress.live(11.0)
    assert total == "0 of 2 done"
    assert running.startswith("◐ keystone")
    assert "10.0 s" in running
    assert "step 3 of 5: install keystone packages" in running
    assert waiting == "○ haproxy"
    (done,) = progress.feed("end", {"image": "keystone", "result": "built", "seconds": 12.0, "size": 257_000_000}, 13.0)
    assert done.split() == ["●", "keystone", "12.0", "s", "257", "MB"]
    assert progress.live(14.0) == ["○ haproxy", "1 of 2 done"]


def test_another_builds_events_are_not_ours() -> None:
    progress = Progress()
    progress.feed("begin", {"images": {"keystone": "build"}}, 0.0)
    assert progress.feed("end", {"image": "nova", "result": "built"}, 1.0) == []
    assert progress.live(1.0) == ["○ keystone"]


def test_a_retry_and_a_failure_are_lines_of_their_own() -> None:
    progress = Progress()
    progress.feed("begin", {"images": {"keystone": "build"}}, 0.0)
    progress.feed("start", {"image": "keystone"}, 0.0)
    assert progress.feed("end", {"image": "keystone", "result": "failed", "seconds": 3.0, "text": "reset"}, 3.0)
    (line,) = progress.feed("retry", {"image": "keystone", "try": 2, "text": "reset"}, 3.0)
    assert "keystone: try 2 after reset" in line
    progress.feed("start", {"image": "keystone"}, 10.0)
    assert "1.0 s" in progress.live(11.0)[0]


def test_the_painter_shows_what_events_say_even_after_the_build_returned() -> None:
    stream = io.StringIO()
    events: list[tuple[str, dict[str, Any]]] = []
    with Painter(stream, next_event=lambda wait: events.pop(0) if events else None) as painter:
        painter.feed("begin", {"images": {"keystone": "build"}})
        events += [
            ("start", {"image": "keystone"}),
            ("end", {"image": "keystone", "result": "built", "seconds": 1.0, "size": 257_000_000}),
        ]
    assert "1 image to build" in stream.getvalue()
    assert "● keystone" in stream.getvalue()


def test_nothing_is_painted_when_nothing_is_built() -> None:
    stream = io.StringIO()
    with Painter(stream) as painter:
        painter.feed("begin", {"images": {"keystone": "unchanged"}})
    assert stream.getvalue() == ""


def test_dependencies_are_a_tree() -> None:
    def one(image: str, base: str | None, *others: str, shipped: bool = True, asked: bool = False) -> dict[str, Any]:
        needs = [*([base] if base else []), *others]
        return {"image": image, "base": base, "needs": needs, "shipped": shipped, "asked": asked}

    images = [
        one("distro", None, shipped=False),
        one("base", "distro"),
        one("builder", "base", shipped=False),
        one("keystone", "base", "builder", asked=True),
    ]
    text = terminal.render({"kind": "dependencies", "images": images})
    assert text.splitlines()[:4] == ["distro *", "└ base", "  ├ builder *", "  └ keystone  + builder"]
    assert "4 images, 1 asked for. Nothing was built." in text


def test_live_lines_stand_in_the_graphs_order_and_tell_what_is_blocked_and_what_is_left() -> None:
    progress = Progress()
    needs = {"base": [], "tool": ["base"], "app": ["tool"], "other": ["base"]}
    known = {"base": 10.0, "tool": 20.0, "app": 30.0, "other": 5.0}
    images = dict.fromkeys(needs, "build")
    progress.feed("begin", {"images": images, "needs": needs, "known": known, "parallel": 2, "seconds": 60.0}, 0.0)
    progress.feed("start", {"image": "base"}, 0.0)
    assert progress.live(4.0)[-1] == "0 of 4 done · about 56.0 s left"
    progress.feed("end", {"image": "base", "result": "built", "seconds": 8.0, "size": 1}, 8.0)
    progress.feed("start", {"image": "other"}, 8.0)
    progress.feed("start", {"image": "tool"}, 8.1)
    lines = progress.live(10.1)
    assert [line.split()[1] for line in lines[:2]] == ["tool", "other"]
    assert lines[-1] == "1 of 4 done · about 48.0 s left"
    progress.feed("end", {"image": "tool", "result": "failed", "seconds": 3.0, "text": "no rule"}, 11.0)
    progress.feed("failed", {"image": "tool", "blocks": ["app"]}, 11.0)
    assert progress.live(11.0)[1:] == [
        "– app: waits for tool, which failed",
        "1 of 4 done · 1 failed · 1 blocked · about 2.0 s left",
    ]
    progress.feed("end", {"image": "other", "result": "built", "seconds": 5.0, "size": 1}, 13.0)
    assert progress.settled == set(needs)


def test_pushes_are_told_and_a_refusal_once_for_all() -> None:
    progress = Progress()
    assert progress.feed("push", {"images": ["base", "app"]}, 0.0) == ["2 images to push"]
    (line,) = progress.feed("pushed", {"image": "app", "digest": "sha256:0", "layers_pushed": 1}, 0.0)
    assert line.split() == ["●", "app", "pushed", "1", "new", "layer"]
    refused = {
        "error": "the registry refuses the user name or password",
        "where": "b1",
        "hint": "Check the secret",
        "log": [],
    }
    text = render(
        {**answer(entry("base", "unchanged", push=refused), entry("app", "unchanged", push=refused)), "report": "/r"}
    )
    assert text.count("refuses the user name") == 1
    assert "✗ not pushed: base, app: the registry refuses" in text
    assert "Check the secret" in text
    assert text.endswith("Report: /r")
    pushed = render(answer(entry("base", "unchanged", push={"digest": "sha256:0", "layers_pushed": 0})))
    assert "1 unchanged, 1 pushed in" in pushed
