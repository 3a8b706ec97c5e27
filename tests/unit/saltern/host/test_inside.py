"""A file system read out of the engine's tar, and two of them beside each other."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from saltern.contract.errors import ImageMissing
from saltern.host import inside

from .tars import tar

TREE = {
    "usr": {"dir": True, "mode": 0o755},
    "usr/bin/tool": {"text": "#!tool", "mode": 0o4755, "uid": 5},
    "usr/bin/same": {"hard": "usr/bin/tool", "mode": 0o4755, "uid": 5},
    "bin": {"link": "usr/bin", "mode": 0o700},
    "run/pipe": {"fifo": True},
    "etc/pip.conf": "[global]\n",
    "usr/share/big": b"\0" * 100_000,
    # the engine's own
    ".dockerenv": "",
    "etc/hosts": "",
    "dev/console": "",
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("piece", [1, 512, 10_000, 10_000_000])
def test_every_file_has_its_type_mode_owner_size_and_digest(piece: int) -> None:
    data = tar(TREE)
    found = inside.walk((data[i : i + piece] for i in range(0, len(data), piece)), hashes=True)
    assert found.files == {
        "/usr": ["dir", 0o755, 0, 0, 0, ""],
        "/usr/bin/tool": ["file", 0o4755, 5, 5, 6, digest(b"#!tool")],
        "/usr/bin/same": ["file", 0o4755, 5, 5, 6, digest(b"#!tool")],
        "/bin": ["link", 0o777, 0, 0, 0, "usr/bin"],
        "/run/pipe": ["fifo", 0o644, 0, 0, 0, ""],
        "/etc/pip.conf": ["file", 0o644, 0, 0, 9, digest(b"[global]\n")],
        "/usr/share/big": ["file", 0o644, 0, 0, 100_000, digest(b"\0" * 100_000)],
    }
    assert found.texts == {"/etc/pip.conf": b"[global]\n"}


def test_without_digests_only_what_tells_something_is_read() -> None:
    found = inside.walk([tar(TREE)], hashes=False)
    assert found.files["/usr/share/big"] == ["file", 0o644, 0, 0, 100_000, ""]
    assert found.texts == {"/etc/pip.conf": b"[global]\n"}


def test_what_differs_is_counted_and_the_biggest_named() -> None:
    a = {"/same": ["file", 1, 0, 0, 5, "x"], "/gone": ["file", 1, 0, 0, 7, "x"], "/mode": ["file", 1, 0, 0, 5, "x"]}
    b = {"/same": ["file", 1, 0, 0, 5, "x"], "/mode": ["file", 2, 0, 0, 8, "y"]}
    b |= {f"/new{number:02}": ["file", 1, 0, 0, number, "x"] for number in range(30)}
    found = inside.files_between(a, b)
    assert found["removed"] == {"count": 1, "bytes": 7, "biggest": [["/gone", a["/gone"], None]]}
    assert found["changed"] == {"count": 1, "bytes": 3, "biggest": [["/mode", a["/mode"], b["/mode"]]]}
    assert (found["added"]["count"], found["added"]["bytes"]) == (30, sum(range(30)))
    assert len(found["added"]["biggest"]) == inside.BIGGEST
    assert found["added"]["biggest"][0] == ["/new29", None, b["/new29"]]
    assert inside.files_between(b, b)["changed"]["count"] == 0


class Engine:
    """An engine with one image."""

    def __init__(self, data: bytes) -> None:
        self.data, self.removed = data, 0

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        config = {"User": "app", "Env": ["B=2", "A=1"], "Cmd": ["run"], "Labels": {"x": "y"}, "StopSignal": "SIGINT"}
        return {"Id": "sha256:1", "Size": 9, "Config": config} if reference == "x/app:1" else None

    def call(self, what: str, do: Any) -> Any:
        return do(self)

    def create_container_from_config(self, body: dict[str, Any], name: None) -> dict[str, str]:
        assert body["Image"] == "sha256:1"
        return {"Id": "c1"}

    def export(self, container: str, chunk_size: int) -> list[bytes]:
        return [self.data]

    def remove(self, name: str, *, force: bool) -> None:
        self.removed += 1


def test_contents_of_an_image() -> None:
    engine: Any = Engine(tar({"usr/share/saltern/packages/app": "tool 1.0-1\nnone \n"}))
    found = inside.contents(engine, "x/app:1")
    assert found["config"] == {
        "user": "app", "env": ["A=1", "B=2"], "cmd": ["run"], "entrypoint": None, "labels": {"x": "y"},
        "stop_signal": "SIGINT",
    }  # fmt: skip
    assert (found["id"], found["size"], found["python"]) == ("sha256:1", 9, {})
    assert found["distribution"] == {"tool": {"version": "1.0-1", "license": "unknown"}}
    assert list(found["files"]) == ["/usr/share/saltern/packages/app"]
    assert inside.contents(engine, "x/app:1", files=False)["files"] == {}
    both = inside.compared(engine, "x/app:1", "x/app:1")
    assert "files" not in both["a"] and both["files"]["added"]["count"] == 0
    assert engine.removed == 4, "every container is gone"


def test_an_image_that_is_not_there_is_named() -> None:
    with pytest.raises(ImageMissing, match="x/other:1"):
        inside.contents(Engine(b""), "x/other:1")  # type: ignore[arg-type]


def test_a_broken_stream_leaves_no_container() -> None:
    engine: Any = Engine(b"no tar at all" * 1000)
    with pytest.raises(Exception, match="header"):
        inside.contents(engine, "x/app:1")
    assert engine.removed == 1
