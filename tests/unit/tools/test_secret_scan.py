"""The scan finds every form of a secret, names it without showing it, and lets pass only what is allowed and closed."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import docker
import pytest
import secret_scan
from rig import tinyimage
from rig.rig import ENGINE_URL
from secret_scan import Scanner

SECRET = 'p/ss"w+rd %41 long'


@pytest.fixture
def scanner() -> Scanner:
    return Scanner({"keystone_database_password": SECRET, "other": "another-secret-value"})


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"mysql://keystone:{quote(SECRET, safe='')}@db",
        json.dumps({"p": SECRET}),
        b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form_is_found_and_never_shown(scanner: Scanner, text: str) -> None:
    (finding,) = scanner.data("here", f"before {text} after".encode())
    assert str(finding) == "here: has the value of keystone_database_password"


def test_a_secret_across_two_chunks(scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_scan, "CHUNK", 64)
    (tmp_path / "log").write_text("x" * 60 + SECRET + "y" * 60)
    assert len(scanner.directory(tmp_path)) == 1


def test_an_allowed_file_must_be_closed(scanner: Scanner, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:-2]:
        if os.stat(parent).st_uid == os.getuid() and parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    slice_ = tmp_path / "compiled/0/hosts/ctl1.json"
    slice_.parent.mkdir(parents=True)
    slice_.write_text(SECRET)
    slice_.chmod(0o600)
    assert scanner.directory(tmp_path) == []
    slice_.chmod(0o644)
    assert [finding.what for finding in scanner.directory(tmp_path)] == [
        "may hold secrets, but not readable for others (0644)"
    ]
    (tmp_path / "jobs").write_text("another-secret-value")
    assert f"{tmp_path}/jobs: has the value of other" in map(str, scanner.directory(tmp_path))


@pytest.mark.parametrize("place", ["cmdline", "environ"])
def test_processes(scanner: Scanner, place: str) -> None:
    arguments = [SECRET] if place == "cmdline" else []
    child = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()", *arguments],
        env={**os.environ, **({"P": SECRET} if place == "environ" else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None and child.stdout.readline()
        found = [str(f) for f in scanner.processes()]
        assert any(
            f"process {child.pid} (" in text and text.endswith(f"{place}: has the value of keystone_database_password")
            for text in found
        )
    finally:
        child.communicate(b"\n")


@pytest.mark.engine
def test_containers_and_images(scanner: Scanner) -> None:
    engine = docker.DockerClient(base_url=ENGINE_URL, version="1.41")
    tinyimage.make(engine, "g-test/secret:1")
    container = engine.containers.create(
        "g-test/secret:1", ["/usr/bin/sleep", "1"], environment={"P": SECRET}, name="g-test-secret"
    )
    try:
        container.commit("g-test/secret", "2", changes=f"LABEL p={b64encode(SECRET.encode()).decode()}")
        found = [str(f) for f in scanner.engine(ENGINE_URL)]
        assert "docker inspect g-test-secret: has the value of keystone_database_password" in found
        assert "docker history g-test/secret:2: has the value of keystone_database_password" in found
    finally:
        container.remove(force=True)
        for tag in ("2", "1"):
            engine.images.remove(f"g-test/secret:{tag}", force=True)


def test_short_values_are_named_not_looked_for() -> None:
    scanner = Scanner({"short": "abc"})
    assert scanner.skipped == ["short"] and scanner.data("here", b"abc") == []


def test_leaves_have_paths_for_names() -> None:
    assert secret_scan.leaves({"a": {"b": ["x", "y"]}, "c": True, "d": 5}) == {"a:b:0": "x", "a:b:1": "y", "d": "5"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secrets.sls").write_text(f"openstack: {{secrets: {{admin: {json.dumps(SECRET)}}}}}\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/x").write_text(SECRET)
    arguments = ["--secrets", str(tmp_path / "secrets.sls"), "--directory", str(tmp_path / "logs")]
    assert secret_scan.main(arguments) == 1
    out = capsys.readouterr().out
    assert "openstack:secrets:admin" in out and SECRET not in out
    (tmp_path / "logs/x").write_text("nothing")
    assert secret_scan.main(arguments) == 0
