"""Models whose images stay on hosts."""

import json
from pathlib import Path
from typing import Any

from saltern.plan import compiled, kept
from saltern.plan.runs import Run


def model(root: Path, digit: str, **images: list[str]) -> str:
    digest = digit * 16
    (root / "compiled" / digest / "hosts").mkdir(parents=True)
    (root / "compiled" / digest / "plan.json").write_text("{}")
    for host, names in images.items():
        (root / "compiled" / digest / "hosts" / f"{host}.json").write_text(json.dumps({"images": names}))
    return digest


def ran(root: Path, number: int, digest: str, result: str = "ok", verb: str = "deploy") -> None:
    run = Run(root, f"20260101-00000{number}-abcd")
    run.create({"verb": verb, "model": digest, "started": 1.0})
    line: dict[str, Any] = {"at": 2.0, "event": "end", "result": result}
    run.journal.path.write_text(json.dumps(line) + "\n")


def test_the_one_before_is_the_last_that_went_well(tmp_path: Path) -> None:
    old, former, broken, current, planned = (model(tmp_path, digit) for digit in "abcde")
    ran(tmp_path, 1, old)
    ran(tmp_path, 2, former)
    ran(tmp_path, 3, broken, result="failed")
    ran(tmp_path, 4, current)
    ran(tmp_path, 5, old, verb="stop")
    compiled.switch(tmp_path, current)
    assert kept.models_kept(tmp_path, planned) == [planned, current, former]


def test_nothing_deployed_yet(tmp_path: Path) -> None:
    assert kept.models_kept(tmp_path, "a" * 16) == ["a" * 16]


def test_references_of_a_host(tmp_path: Path) -> None:
    one, two = model(tmp_path, "a", ctl1=["x:1", "y:1"]), model(tmp_path, "b", ctl1=["x:2"], ctl2=["z:1"])
    assert kept.needed(tmp_path, [one, two, "f" * 16], "ctl1", ["tree:1"]) == ["tree:1", "x:1", "x:2", "y:1"]
