"""Directories for bind mounts: made when missing, shared once, before whatever creates or starts a container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.host import heal, mounts
from saltern.host.converge import converge, failed
from unit.saltern.host.fake_engine import FakeEngine, Killed, make_host, web

INFO = """\
22 27 0:21 / /run rw,relatime shared:5 - tmpfs tmpfs rw
23 22 0:21 /netns {path} rw,relatime - tmpfs tmpfs rw
{more}"""


def spec(path: Path, create: str = "directory", **more: Any) -> dict[str, Any]:
    return web(mounts=[{"type": "bind", "source": str(path), "target": "/x", "create": create}], **more)


class Kernel:
    """What is mounted, by mount(2)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mounted: dict[str, bool] = {}
        self.calls: list[tuple[str | None, str]] = []
        monkeypatch.setattr(mounts, "shared", lambda path: self.mounted.get(str(path)))
        monkeypatch.setattr(mounts, "_mount", self.mount)

    def mount(self, source: Path | None, target: Path, flags: int) -> None:
        self.calls.append((str(source) if source else None, str(target)))
        self.mounted[str(target)] = bool(flags & mounts._SHARED)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def test_missing_directories_are_made_for_everybody_to_pass_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a"
    before = os.umask(0o077)
    try:
        mounts.prepare(tmp_path / "locks", spec(path))
    finally:
        os.umask(before)
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent)] == [0o755, 0o755]
    path.chmod(0o700)
    mounts.prepare(tmp_path / "locks", spec(path))
    assert path.stat().st_mode & 0o777 == 0o700, "what is there stays as it is"


def test_only_mounts_that_ask_for_it(tmp_path: Path) -> None:
    mount = {"type": "bind", "source": str(tmp_path / "a"), "target": "/x", "create": None}
    mounts.prepare(tmp_path / "locks", web(mounts=[mount, {"type": "volume", "source": "v", "target": "/v"}]))
    mounts.prepare(tmp_path / "locks", web())
    assert list(tmp_path.iterdir()) == []


def test_shared_once(tmp_path: Path, kernel: Kernel) -> None:
    path = tmp_path / "netns"
    for _ in range(2):
        mounts.prepare(tmp_path / "locks", spec(path, "shared"))
    assert kernel.calls == [(str(path), str(path)), (None, str(path))]


def test_a_mount_that_is_there_is_only_shared(tmp_path: Path, kernel: Kernel) -> None:
    path = tmp_path / "netns"
    kernel.mounted[str(path)] = False
    mounts.prepare(tmp_path / "locks", spec(path, "shared"))
    assert kernel.calls == [(None, str(path))]


@pytest.mark.parametrize(
    ("path", "more", "expected"),
    [
        ("/run", "", True),
        ("/run/other", "", None),
        ("/run/netns", "", False),
        ("/run/netns", "24 23 0:21 /netns /run/netns rw,relatime shared:6 master:1 - tmpfs tmpfs rw\n", True),
        ("/run/a b", "24 23 0:21 /netns /run/a\\040b rw,relatime shared:6 - tmpfs tmpfs rw\n", True),
    ],
)
def test_reading_what_is_mounted(tmp_path: Path, path: str, more: str, expected: bool | None) -> None:
    (tmp_path / "info").write_text(INFO.format(path="/run/netns", more=more))
    assert mounts.shared(Path(path), tmp_path / "info") is expected


def test_errors_name_container_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SalternError, match=rf"web: cannot make {tmp_path}/file a directory: File exists"):
        mounts.prepare(tmp_path / "locks", spec(tmp_path / "file"))

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(mounts, "_mount", refused)
    with pytest.raises(SalternError, match=rf"web: cannot make {tmp_path}/a a shared mount: Operation not permitted"):
        mounts.prepare(tmp_path / "locks", spec(tmp_path / "a", "shared"))


class StrictEngine(FakeEngine):
    """Like the engine: a bind mount's source must be there when a container is created and when it starts."""

    def create(self, name: str, body: dict[str, Any]) -> str:
        self._check(body["HostConfig"])
        return super().create(name, body)

    def start(self, name: str) -> None:
        self._check(self.get(name)["HostConfig"])
        super().start(name)

    def _check(self, host: dict[str, Any]) -> None:
        for mount in host["Mounts"]:
            if mount["Target"] == "/x" and not Path(mount["Source"]).is_dir():
                raise SalternError(f"bind source path does not exist: {mount['Source']}")


@pytest.fixture
def engine() -> StrictEngine:
    return StrictEngine()


@pytest.fixture
def host(tmp_path: Path, engine: StrictEngine) -> Any:
    return make_host(tmp_path / "state", engine)


def test_made_before_create_swap_and_start(tmp_path: Path, host: Any, engine: StrictEngine) -> None:
    path = tmp_path / "run"
    assert failed(converge(host, [spec(path)])) == []
    path.rmdir()
    assert failed(converge(host, [spec(path, environment={"A": "1"})])) == []
    assert path.is_dir()
    path.rmdir()
    engine.stop("web")
    assert failed(converge(host, [spec(path, environment={"A": "1"})], mode="start")) == []
    assert path.is_dir()


def test_a_place_that_cannot_be_made_changes_nothing(tmp_path: Path, host: Any, engine: StrictEngine) -> None:
    converge(host, [spec(tmp_path / "run")])
    (tmp_path / "file").write_text("")
    changes = converge(host, [spec(tmp_path / "file")])
    assert f"cannot make {tmp_path}/file a directory" in changes["web"]["failure"]["message"]
    assert engine.names() == {"web": "running"}
    assert len(engine.log) == 1


def test_the_way_back_of_a_swap_makes_them_too(
    tmp_path: Path, host: Any, engine: StrictEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    converge(host, [spec(path)])

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(engine, "start", killed)
        with pytest.raises(Killed):
            converge(host, [spec(path, environment={"A": "1"})])
    path.rmdir()  # a boot
    assert heal.heal(host, "web")["result"] == "healed"
    assert (engine.names(), path.is_dir()) == ({"web": "running"}, True)


@pytest.mark.parametrize("status", ["exited", "created", "dead", None])
def test_healing_after_a_boot_makes_what_the_engine_missed(
    tmp_path: Path, host: Any, engine: StrictEngine, status: str | None
) -> None:
    path = tmp_path / "run"
    converge(host, [spec(path)])
    path.rmdir()
    if status is None:
        engine.remove("web")
    else:
        engine.get("web")["State"].update(Status=status, Running=False, ExitCode=128)
    outcome = heal.heal(host, "web")
    assert outcome["result"] == "healed", outcome
    assert (engine.names(), path.is_dir()) == ({"web": "running"}, True)


def test_healing_that_cannot_make_them_says_so(tmp_path: Path, host: Any, engine: StrictEngine) -> None:
    path = tmp_path / "run"
    converge(host, [spec(path)])
    engine.stop("web")
    path.rmdir()
    path.write_text("")
    outcome = heal.heal(host, "web")
    assert outcome["result"] == "failed"
    assert f"cannot make {path} a directory" in outcome["why"]


def test_a_directory_belongs_to_whom_the_mount_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((path, uid, gid)))
    wanted = spec(tmp_path / "a")
    mounts.prepare(tmp_path / "locks", wanted)
    assert given == []
    wanted["mounts"][0]["owner"] = 42476
    mounts.prepare(tmp_path / "locks", wanted)
    assert given == [(tmp_path / "a", 42476, 42476)]
