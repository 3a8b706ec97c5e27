"""Facts about processes, from a /proc of our own and from the real one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saltern.host import processes


def process(proc: Path, pid: int, words: list[str], *, parent: int = 1, cgroup: str = "/") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    (folder / "stat").write_text(f"{pid} (salt (x) minion) S {parent} " + "0 " * 17 + "500 0")
    (folder / "cgroup").write_text(f"1:name=systemd:{cgroup}\n")


def test_a_pid_that_belongs_to_another_program_does_not_count(tmp_path: Path) -> None:
    process(tmp_path, 7, ["python", "/usr/bin/salt-minion"])
    process(tmp_path, 8, ["postgres"])
    for pid in (7, 8, 9):
        (tmp_path / f"{pid}.pid").write_text(f"{pid}\n")
    found = [processes.from_pid_file(str(tmp_path / f"{pid}.pid"), "salt-minion", tmp_path) for pid in (7, 8, 9)]
    assert found == [7, 0, 0]
    assert processes.from_pid_file(str(tmp_path / "none.pid"), "salt-minion", tmp_path) == 0


def test_a_process_began_between_before_and_after() -> None:
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        # The kernel counts in hundredths, and uptime is cut to them.
        assert before - 0.03 <= processes.started(child.pid) <= time.time() + 0.03
    finally:
        child.communicate()
    assert processes.started(2**22 + 1) == 0.0


def test_the_leader_is_the_launcher_that_starts_the_rest(tmp_path: Path) -> None:
    process(tmp_path, 5, ["sh"])
    process(tmp_path, 6, ["python", "salt-minion", "-c", "/x y"], parent=5)
    process(tmp_path, 7, ["python salt-minion -c /x y MinionProcess"], parent=6)
    assert processes.leader(7, "salt-minion", tmp_path) == 6
    assert processes.leader(6, "salt-minion", tmp_path) == 6


@pytest.mark.parametrize(
    "cgroup", ["/system.slice/ssh.service", "/system.slice/ci-runner.service/job", "/user.slice/user-0.slice", "/"]
)
def test_what_no_minion_service_runs_has_none(tmp_path: Path, cgroup: str) -> None:
    process(tmp_path, 7, ["salt-minion"], cgroup=cgroup)
    assert processes.systemd_unit(7, tmp_path) == ""


def test_a_service_is_known_where_systemd_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process(tmp_path, 7, ["salt-minion"], cgroup="/system.slice/salt-minion.service")
    monkeypatch.setattr(Path, "is_dir", lambda self: True)
    assert processes.systemd_unit(7, tmp_path) == "salt-minion.service"


def test_the_new_one_starts_when_the_old_one_is_gone(tmp_path: Path) -> None:
    """For real: the second process finds that the first has written its last word."""
    mark = tmp_path / "mark"
    program = tmp_path / "daemon.py"
    program.write_text(
        "import os, signal, sys, time\n"
        "mark = sys.argv[1]\n"
        "say = lambda word: open(mark, 'a').write(word + '\\n')\n"
        "def end(*_):\n    time.sleep(0.3); say('ended'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "say('started')\n"
        "if open(mark).read().count('started') == 2: sys.exit()\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    command = [sys.executable, str(program), str(mark)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "ready\n"
    restart = subprocess.Popen(["sh", "-c", processes.restart_script(first.pid)], env={**os.environ})
    first.wait()
    assert restart.wait() == 0
    assert mark.read_text().split() == ["started", "ended", "started"]
