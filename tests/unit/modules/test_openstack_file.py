"""Own files: written where they differ, private, inside their directory, and no secret in a diff. Module and state."""

import os
from pathlib import Path
from typing import Any

import pytest
from salt.exceptions import CommandExecutionError

from unit.adapters import load


@pytest.fixture
def module(tmp_path: Path) -> Any:
    pillar = {"saltern": {"secrets": ["hunter22"]}}
    return load("modules", "openstack_file", opts={"saltern_root": str(tmp_path)}, pillar=pillar)


def state(module: Any, *, test: bool) -> Any:
    functions = {f"openstack_file.{name}": getattr(module, name) for name in ("write", "remove", "path")}
    return load("states", "openstack_file", salt=functions, opts={"test": test})


def own() -> dict[str, int]:
    return {"uid": os.geteuid(), "gid": os.getegid()}


def test_written_where_it_differs(module: Any, tmp_path: Path) -> None:
    path = Path(module.path("cache/a.conf"))
    assert path == tmp_path / "files" / "cache" / "a.conf"
    assert module.write("cache/a.conf", "p = hunter22\n", mode="0640", **own()) == {"diff": ["+ p = ********"]}
    assert path.read_text() == "p = hunter22\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o755  # a container's user has to get in
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700
    assert module.write("cache/a.conf", "p = hunter22\n", mode="0640", **own()) == {}
    assert module.write("cache/a.conf", "p = hunter22\n", mode="0600", **own()) == {"mode": "0640 → 0600"}


def test_former_lines_are_never_shown(module: Any) -> None:
    module.write("a", "p = formersecret\n", **own())
    assert module.write("a", "p = 1\n", **own())["diff"] == ["- (not shown)", "+ p = 1"]
    assert module.write("a", "p = 2\n", show_diff=False, **own())["diff"] == ["~ differs (not shown)"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "a/../../b"])
def test_a_name_stays_below_the_directory(module: Any, name: str) -> None:
    for function, args in ((module.path, ()), (module.write, ("x",)), (module.remove, ())):
        with pytest.raises(CommandExecutionError, match="is not a path below"):
            function(name, *args)


def test_a_mode_that_is_none(module: Any) -> None:
    with pytest.raises(CommandExecutionError, match="is not an octal number"):
        module.write("a", "x", mode="rw")


@pytest.mark.parametrize("test", [True, False])
def test_state_present_and_absent(module: Any, test: bool) -> None:
    path = Path(module.path("d/a"))
    ret = state(module, test=test).present("d/a", "x = 1\n", **own())
    assert ret["result"] is (None if test else True)
    assert ret["changes"] == {"diff": ["+ x = 1"]}
    assert path.exists() is not test
    module.write("d/a", "x = 1\n", **own())
    assert state(module, test=test).present("d/a", "x = 1\n", **own())["changes"] == {}
    ret = state(module, test=test).absent("d/a")
    assert ret["result"] is (None if test else True)
    assert path.exists() is test
    module.remove("d/a")
    assert state(module, test=test).absent("d/a")["result"] is True
    assert not path.parent.exists()


def test_state_red(module: Any) -> None:
    ret = state(module, test=False).present("../x", "y")
    assert ret["result"] is False
    assert "is not a path below" in ret["comment"]
