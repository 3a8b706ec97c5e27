"""What differs between two images, and how it is said."""

from __future__ import annotations

import copy
from typing import Any

from saltern import terminal
from saltern.host.inside import files_between
from saltern.images.difference import difference, reference
from saltern.images.options import Options

A: dict[str, Any] = {
    "id": "sha256:" + "a" * 64,
    "size": 257_000_000,
    "created": "2025-01-01",
    "config": {"user": "keystone", "env": ["PATH=/bin", "OLD=1"], "cmd": ["kolla_start"], "entrypoint": None,
               "labels": {"saltern.inputs": "1"}},
    "distribution": {"libc6": {"version": "2.41-1", "license": "x"}, "gone": {"version": "1", "license": "x"}},
    "python": {"keystone": {"version": "28.0.0", "license": "x"}},
}  # fmt: skip
FILES = {
    "/same": ["file", 0o644, 0, 0, 5, "x"],
    "/conf": ["file", 0o644, 0, 0, 5, "x"],
    "/link": ["link", 0o777, 0, 0, 0, "a"],
    "/kind": ["dir", 0o755, 0, 0, 0, ""],
    "/gone": ["file", 0o644, 0, 0, 12, "x"],
}


def other() -> dict[str, Any]:
    b = copy.deepcopy(A)
    b |= {"id": "sha256:" + "b" * 64, "size": 258_000_000, "created": "2026-01-01"}
    return b


def show(compared: dict[str, Any]) -> str:
    data = {"kind": "images_diff", "references": ["x/a:1", "x/b:1"], **difference(compared)}
    return terminal.render(data, width=120)


def test_equal_content_is_said_to_be_equal() -> None:
    compared = {"a": A, "b": other(), "files": files_between(FILES, FILES)}
    assert difference(compared)["same"]
    assert show(compared).endswith("● equal content; only times and ids differ")
    assert show({**compared, "b": A}).endswith("● the same image")


def test_packages_configuration_and_files() -> None:
    b = other()
    b["distribution"] = {"libc6": {"version": "2.41-2", "license": "x"}, "new": {"version": "3", "license": "x"}}
    b["python"]["keystone"]["version"] = "28.0.1"
    b["config"] |= {
        "env": ["PATH=/usr/bin"],
        "user": "",
        "labels": {"saltern.inputs": "2", "more": "y"},
        "workdir": "/w",
    }
    files = copy.deepcopy(FILES)
    del files["/gone"]
    files["/conf"] = ["file", 0o600, 1, 2, 4000, "y"]
    files["/link"][5] = "b"
    files["/kind"] = ["file", 0o755, 0, 0, 0, "y"]
    files["/new"] = ["file", 0o644, 0, 0, 34_000, "y"]
    compared = {"a": A, "b": b, "files": files_between(FILES, files)}
    found = difference(compared)
    assert not found["same"]
    assert found["packages"]["distribution"] == {
        "added": [["new", "3"]], "removed": [["gone", "1"]], "changed": [["libc6", "2.41-1", "2.41-2"]],
    }  # fmt: skip
    assert found["config"] == [
        ["env OLD", "1", None], ["env PATH", "/bin", "/usr/bin"], ["label more", None, "y"],
        ["label saltern.inputs", "1", "2"], ["user", "keystone", ""], ["workdir", None, "/w"],
    ]  # fmt: skip
    assert show(compared).splitlines() == [
        "-  x/a:1  aaaaaaaaaaaa  257 MB",
        "+  x/b:1  bbbbbbbbbbbb  258 MB",
        "",
        "Packages of the distribution: 1 added, 1 removed, 1 changed",
        "  ~  libc6  2.41-1  →  2.41-2",
        "  +  new    3",
        "  -  gone   1",
        "",
        "Packages of Python: 1 changed",
        "  ~  keystone  28.0.0  →  28.0.1",
        "",
        "Configuration",
        "  env OLD               1         →  nothing",
        "  env PATH              /bin      →  /usr/bin",
        "  label more            nothing   →  y",
        "  label saltern.inputs  1         →  2",
        "  user                  keystone  →  nothing",
        "  workdir               nothing   →  /w",
        "",
        "Files: 1 added, 1 removed, 3 changed; the biggest",
        "  ~  mode 0644 → 0600, owner 0:0 → 1:2, 5 B → 4 kB  /conf",
        "  ~  dir → file                                     /kind",
        "  ~  a → b                                          /link",
        "  +  34 kB                                          /new",
        "  -  12 B                                           /gone",
    ]


def test_an_image_may_be_named_in_three_ways() -> None:
    options = Options(release="2025.2", namespace="acme")
    assert reference("keystone", options) == "acme/keystone:2025.2"
    for text in ("acme/keystone:2026.1", "sha256:" + "a" * 64, "5762348048d9", "registry.example/a/b"):
        assert reference(text, options) == text
