"""Each rule of the rooms catches its fault, planted into a small tree, and nothing else."""

from pathlib import Path

import check_adapters
import pytest

GOOD = """
import salt.utils.event
from saltern.contract import errors

try:
    import docker
    from saltern.host.engine import Engine
except ImportError:
    Engine = None


def do():
    return __pillar__["saltern"], __salt__["cmd.run"]
"""


def findings(tree: Path) -> list[str]:
    return [f"{path.relative_to(tree)}:{line}: {text}" for path, line, text in check_adapters.check(tree)]


def write(tree: Path, name: str, text: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def test_a_good_tree_has_no_findings(tmp_path: Path) -> None:
    write(tmp_path, "salt/_modules/a.py", GOOD)
    write(tmp_path, "salt/_engines/openstack_health.py", "def start():\n    from saltern.host import watch\n")
    write(tmp_path, "salt/_utils/saltern/host/a.py", "import docker\n")
    write(tmp_path, "states/openstack/a.sls", "x: {{ pillar.get('saltern_step', {}) }}\n")
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    "name,text,where,words",
    [
        ("salt/_modules/a.py", 'x = __salt__["pillar.get"]("a")\n', ":1:", "masks values"),
        ("salt/_states/a.py", "def f():\n    from saltern.host import engine\n", ":2:", "module top level"),
        ("salt/_states/a.py", "class A:\n    def f(self):\n        import saltern.host\n", ":3:", "module top level"),
        ("salt/_engines/openstack_health.py", "import saltern.host\n", ":1:", "inside start()"),
        ("salt/_modules/a.py", "import docker\n", ":1:", "no import of docker"),
        ("salt/_modules/a.py", "def f():\n    import docker.errors\n", ":2:", "no import of docker"),
        ("salt/_runners/a.py", "def f():\n    import salt.client\n", ":2:", "makes `salt` local"),
        ("salt/_runners/a.py", "def f():\n    def g():\n        import salt.client\n", ":3:", "inside f makes"),
        ("salt/_utils/saltern/host/a.py", "x = __opts__\n", ":1:", "knows no __opts__"),
        ("salt/_utils/saltern/plan/a.py", "from salt.utils import event\n", ":1:", "nothing of Salt"),
        ("salt/_utils/saltern/plan/a.py", "\n" * 401, ":400:", "401 lines"),
        ("states/openstack/a.sls", "a: 1\nx: {{ salt['pillar.get']('a') }}\n", ":2:", "may mask"),
        ("salt/__init__.py", "", ":1:", "hides Salt"),
        ("salt/_modules/__init__.py", "", ":1:", "hides Salt"),
        ("tests/salt/test_a.py", "", ":1:", "hides Salt"),
        ("pyproject.toml", 'addopts = ["--import-mode=importlib"]\n', ":1:", "importlib mode"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, name: str, text: str, where: str, words: str) -> None:
    write(tmp_path, name, text)
    (finding,) = findings(tmp_path)
    assert where in finding and words in finding


def test_the_command_says_where_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "salt/_modules/a.py", "import docker\n")
    assert check_adapters.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("salt/_modules/a.py:1: ")
