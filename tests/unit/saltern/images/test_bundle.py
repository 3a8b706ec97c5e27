"""A bundle is refused for one wrong byte, and served only while it is imported."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host.bundle import checksum
from saltern.images import bundle
from saltern.images.record import Record, read_record, write_record

REFERENCE = "reg.local:5000/saltern/app:2025.2"


def make(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "images.tar").write_bytes(b"archive" * 100)
    manifest = {
        "format": 1, "release": "2025.2", "made": 7,
        "images": [{"reference": REFERENCE, "image": "app", "id": "sha256:1", "inputs": "i", "size": 9}],
        "files": {"images.tar": {"sha256": checksum(folder / "images.tar"), "size": 700}},
        "records": {REFERENCE: {"id": "sha256:1", "inputs": "i", "parts": {"x": "y"}, "digest": "sha256:d"}},
        "packages": {"base": {"libc6": "2"}}, **changes,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sums = [f"{checksum(folder / name)}  {name}\n" for name in ("manifest.json", "images.tar")]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


@pytest.mark.parametrize("name", ["images.tar", "manifest.json"])
def test_one_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / "b")
    assert bundle.open_bundle(folder).release == "2025.2"
    content = bytearray((folder / name).read_bytes())
    content[5] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(SalternError, match=f"{name}: is not what was exported"):
        bundle.open_bundle(folder)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(SalternError, match="is no bundle"):
        bundle.open_bundle(tmp_path)
    folder = make(tmp_path / "b", format=2)
    with pytest.raises(SalternError, match="format 2"):
        bundle.open_bundle(folder)
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../escape\n")
    with pytest.raises(SalternError, match="no checksum"):
        bundle.open_bundle(folder)
    (folder / "SHA256SUMS").write_text(f"{checksum(folder / 'images.tar')}  images.tar\n")
    with pytest.raises(SalternError, match=r"does not list manifest\.json"):
        bundle.open_bundle(folder)
    with pytest.raises(SalternError, match="does not fit"):
        bundle.open_bundle(make(tmp_path / "c", files={}))


def test_published_then_withdrawn(tmp_path: Path) -> None:
    opened, state = bundle.open_bundle(make(tmp_path / "b")), tmp_path / "state"
    name = bundle.publish(opened, state)
    served = state / "bundles-served" / name
    assert served.read_bytes() == opened.archive.read_bytes()
    bundle.withdraw(name, state)
    assert not served.exists()
    opened.archive.write_bytes(b"changed meanwhile")
    with pytest.raises(SalternError, match="changed while"):
        bundle.publish(opened, state)
    assert list(served.parent.iterdir()) == []


def test_names_are_this_clouds_and_hosts_get_what_they_need(tmp_path: Path) -> None:
    opened = bundle.open_bundle(make(tmp_path / "b"))
    there = bundle.names_here(opened, lambda image: f"mine/{image}:2025.2")
    assert there == {"mine/app:2025.2": "sha256:1"}
    assert bundle.needed_by(there, ["mine/app:2024.1", "mine/db:1"]) == there, "whatever the tag"
    assert bundle.needed_by(there, ["mine/db:2025.2"]) == {}


def test_the_next_build_knows_the_images(tmp_path: Path) -> None:
    opened, state = bundle.open_bundle(make(tmp_path / "b")), tmp_path / "state"
    write_record(state, Record(packages={"base": {"libc6": "1"}}))
    bundle.remember(opened, state, lambda image: f"mine/{image}:2025.2")
    record = read_record(state)
    assert record.builds["mine/app:2025.2"] == {
        "inputs": "i", "parts": {"x": "y"}, "id": "sha256:1", "size": 9, "at": 7,
    }  # fmt: skip
    assert record.packages == {"base": {"libc6": "1"}}, "its own refresh counts"
    assert bundle.extra(state, ["mine/app:2025.2", "mine/x:1"])["records"] == record.builds


def test_a_proof_is_there_for_the_time_of_the_question(tmp_path: Path) -> None:
    with bundle.Proof(tmp_path) as proof:
        content = Path(proof["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == proof["sha256"]
        assert Path(proof["path"]).stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []
