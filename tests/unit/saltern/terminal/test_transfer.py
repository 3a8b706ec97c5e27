"""What bringing images to hosts looks like, and what pruning them does."""

from typing import Any

from saltern import terminal
from saltern.images import distribute
from saltern.terminal.transfer import Progress

APP, WEB = "reg.local:5000/saltern/app:1", "reg.local:5000/saltern/web:1"
GOOD = {"result": "pulled", "id": "sha256:1", "digest": "", "seconds": 1.5}


def shown(answers: dict[str, Any], verb: str = "pull") -> list[str]:
    found = distribute.report(verb, answers, release="2025.2", seconds=3.0)
    return terminal.render({"kind": "transfer", **found}).splitlines()


def test_all_there_is_one_line() -> None:
    there = GOOD | {"result": "there"}
    assert shown({"a": {APP: there}, "b": {APP: there}}) == ["2 hosts: all images of 2025.2 are there (3.0 s)."]


def test_a_cause_is_told_once_for_all_its_hosts_and_images() -> None:
    def refused(reference: str) -> dict[str, Any]:
        return {"result": "failed", "error": f"refused ({reference})", "hint": "Log in", "seconds": 0.1}

    each = {APP: refused(APP), WEB: refused(WEB)}
    lines = shown({"ctl1": each, "ctl2": each, "ctl3": {APP: GOOD}, "ctl4": None, "ctl5": "ERROR: no engine answers"})
    assert lines[1].split() == ["✗", "ctl1", "0", "0", "2", "0.1"]
    assert lines[3].split() == ["●", "ctl3", "1", "0", "0", "1.5"]
    assert lines[4].startswith("– ctl4")
    text = "\n".join(lines)
    assert text.count("Log in") == 1
    assert f"✗ ctl1, ctl2: refused (<image>)\n  images    {APP}, {WEB}\n  Log in" in text
    assert "✗ ctl5: no engine answers" in text
    assert "✗ ctl4: it does not answer\n  Look: salt ctl4 test.ping" in text
    assert lines[-1].endswith("Mend the cause, then again: salt-run openstack.pull")


def test_an_import_says_loaded() -> None:
    lines = shown({"a": {APP: GOOD | {"result": "loaded"}}}, verb="images_import")
    assert lines[0].split() == ["host", "loaded", "there", "failed", "seconds"]
    assert lines[-1] == "1 loaded on 1 host in 3.0 s."


def test_live_lines() -> None:
    progress = Progress(width=120)
    assert progress.feed("begin", {"hosts": ["a", "b"], "parallel": 2}, 0.0) == ["Images for 2 hosts, 2 at once"]
    layers = {"layers": 9, "done": 5, "bytes": 120_000_000, "of": 180_000_000}
    report = {"host": "a", "of": 7, "finished": 3, "images": {APP: layers}}
    assert progress.feed("progress", report, 1.0) == []
    assert progress.live(1.0) == ["◐ a                3 of 7 images · app 5/9 layers 120 MB of 180 MB", "○ b"]
    assert progress.feed("progress", {**report, "host": "another pull's"}, 1.0) == []
    counts = {"pulled": 4, "loaded": 0, "there": 3, "failed": 0}
    assert progress.feed("end", {"host": "a", "counts": counts}, 2.0) == ["● a                4 pulled, 3 there"]
    assert progress.feed("end", {"host": "b", "text": "no engine"}, 2.0) == ["✗ b                no engine"]
    assert progress.live(2.0) == []


def prune(*images: dict[str, Any], applied: bool = False, freed: int | None = None) -> str:
    host = {"images": list(images), "kept": 12, "unique": 40_000_000, "freed": freed}
    return terminal.render({"kind": "prune", **distribute.pruned({"ctl1": host}, applied=applied)})


def test_prune_shows_first_and_says_what_it_freed() -> None:
    old = {"id": "sha256:1", "image": "app", "tags": [APP], "size": 250_000_000, "unique": 40_000_000, "left": ""}
    stage = old | {"id": "sha256:0123456789abcdef", "image": "", "tags": []}
    text = prune(old, stage)
    assert f"○ {APP}" in text
    assert "○ a stage without a name (0123456789ab)" in text
    assert text.endswith("2 images would go, 12 stay; at least 40 MB on 1 host. Nothing was removed: add yes=True")
    text = prune(old, stage | {"left": "a container uses it"}, applied=True, freed=41_000_000)
    assert "– a stage" in text and "stays: a container uses it" in text
    assert text.endswith("1 image removed, 12 kept, 41 MB freed on 1 host.")
    assert prune() == "Nothing to remove: 12 images on 1 host, all needed."
    busy = terminal.render({"kind": "prune", **distribute.pruned({"ctl1": "ERROR: busy"}, applied=True)})
    assert busy.startswith("✗ ctl1: busy")
