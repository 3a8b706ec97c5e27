"""Environments out of locks."""

import io
from pathlib import Path

import pytest
from allinone import shell, venvs
from allinone.console import Console, Phase

CHECKOUT = Path(__file__).resolve().parents[4]
LOCKS = ["salt", "build", "test", "openstack-client"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(command: list[object], *_: object, **__: object) -> str:
        words = [str(part) for part in command]
        calls.append(words)
        if "venv" in words:
            (Path(words[-1]) / "bin").mkdir(parents=True)
            (Path(words[-1]) / "bin" / "python").touch()
        return ""

    monkeypatch.setattr(shell, "run", run)
    monkeypatch.setattr(venvs.platform, "python_version_tuple", lambda: ("3", "11", "2"))
    return calls


def test_the_second_time_costs_nothing_and_a_new_lock_starts_anew(tmp_path: Path, commands: list[list[str]]) -> None:
    lock, phase = tmp_path / "x.txt", Phase(Console(io.StringIO()), "x")
    lock.write_text("docker==7.2.0 \\\n    --hash=sha256:00\n")
    assert venvs.ensure(tmp_path / "venv", [lock], phase, tmp_path / "log")
    pip = commands[-1]
    assert "--require-hashes" in pip and "--no-deps" in pip and "--no-build-isolation" in pip
    assert not venvs.ensure(tmp_path / "venv", [lock], phase, tmp_path / "log")
    lock.write_text("docker==7.2.1 \\\n    --hash=sha256:00\n")
    assert venvs.ensure(tmp_path / "venv", [lock], phase, tmp_path / "log")


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes_and_no_address(name: str) -> None:
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text()
    assert venvs.count(CHECKOUT / "requirements" / f"{name}.txt") > 0
    for block in text.split("\n    # via")[0].split("\n\n"):
        assert "--hash=sha256:" in block
    assert "://" not in text and "index-url" not in text and "find-links" not in text


def test_tests_run_on_what_production_runs_on() -> None:
    salt, test = (CHECKOUT / "requirements" / f"{name}.txt" for name in ("salt", "test"))
    names = [line.partition("==")[0] for line in salt.read_text().splitlines() if "==" in line and line[0].isalnum()]
    assert {n: venvs.locked(test, n) for n in names} == {n: venvs.locked(salt, n) for n in names}


def test_a_version_is_found_by_the_whole_name(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("salt-ssh==1 \\\nsalt==3008.3 \\\n")
    assert venvs.locked(tmp_path / "x.txt", "salt") == "3008.3"
