"""Facts: written whole, read by everybody, and no trust in what a container may have left there."""

from pathlib import Path

from saltern.host import facts


def test_they_are_for_everybody_to_read_in_a_place_that_only_root_enters(tmp_path: Path) -> None:
    root = tmp_path / "saltern"
    facts.write("openvswitch", "datapath", "netdev", "no module", root, now=lambda: 5.0, kernel="6")
    assert facts.read("openvswitch", "datapath", root) == {
        "value": "netdev", "reason": "no module", "at": 5.0, "kernel": "6",
    }  # fmt: skip
    place = facts.directory("openvswitch", root)
    modes = [oct(path.stat().st_mode & 0o777) for path in (root, place, place / "datapath.json")]
    assert modes == ["0o700", "0o755", "0o644"]
    facts.write("libvirt", "acceleration", "kvm", "booted", root, now=lambda: 6.0)
    assert {topic: list(found) for topic, found in facts.every(root).items()} == {
        "libvirt": ["acceleration"],
        "openvswitch": ["datapath"],
    }


def test_what_is_no_fact_is_passed_over(tmp_path: Path) -> None:
    place = facts.directory("libvirt", tmp_path)
    place.mkdir(parents=True)
    for name, text in {"a.json": "{", "b.json": "[]", "c.json": "{}", "d.txt": "x", "e.json": "[" * 70000}.items():
        (place / name).write_text(text)
    (place / "f.json").mkdir()
    assert facts.every(tmp_path) == {} == facts.every(tmp_path / "nothing")
    assert facts.read("libvirt", "a", tmp_path) is None
