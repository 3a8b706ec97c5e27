"""What was made is remembered across runs, also when one is killed."""

from pathlib import Path

from allinone.made import Made


def test_it_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "dot" / "made.json"
    Made(path).add("packages", ["docker.io"])
    Made(path).add("packages", ["iptables", "docker.io"])
    assert Made(path).get("packages") == ["docker.io", "iptables"]


def test_what_is_known_costs_no_write(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    made = Made(path)
    made.put("ports", {"publish": 1})
    before = path.stat().st_ino
    made.put("ports", {"publish": 1})
    assert path.stat().st_ino == before


def test_a_broken_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    path.write_text("{")
    assert Made(path).get("ports", "none") == "none"


def test_forgotten_is_forgotten(tmp_path: Path) -> None:
    made = Made(tmp_path / "made.json")
    made.put("engine", {"pid": 1})
    made.drop("engine")
    assert Made(tmp_path / "made.json").get("engine") is None
