"""The environment of Salt and docker-py has nothing else, and an import of more is named."""

import shutil
import subprocess
from pathlib import Path

import check_minion_imports
from rig.rig import CHECKOUT


def test_the_environment_has_salt_and_docker_only(tmp_path: Path) -> None:
    python = check_minion_imports.environment(tmp_path, ["salt", "docker"])
    good = subprocess.run(
        [python, "-Ic", "import salt, docker, yaml; print(salt.__file__)"], capture_output=True, text=True
    )
    assert good.stdout.startswith(str(tmp_path)), good.stderr
    for absent in ("jsonschema", "tenacity", "pytest"):
        assert subprocess.run([python, "-Ic", f"import {absent}"], capture_output=True).returncode == 1, absent


def test_the_library_alone_needs_docker_only(tmp_path: Path) -> None:
    python = check_minion_imports.environment(tmp_path, ["docker"])
    assert subprocess.run([python, "-Ic", "import docker"], capture_output=True).returncode == 0
    assert subprocess.run([python, "-Ic", "import salt"], capture_output=True).returncode == 1


def test_an_import_of_more_is_found(tmp_path: Path) -> None:
    library = tmp_path / "salt/_utils/saltern"
    for room in ("contract", "host"):
        (library / room).mkdir(parents=True)
        shutil.copy(CHECKOUT / "salt/_utils/saltern/contract/__init__.py", library / room / "__init__.py")
    (library / "__init__.py").write_text("")
    (library / "host/bad.py").write_text("import jsonschema\n")
    (tmp_path / "salt/_modules").mkdir()
    (tmp_path / "salt/_modules/openstack_x.py").write_text("import tenacity\n")
    (tmp_path / "salt/_modules/openstack_plan.py").write_text("import jsonschema  # the master's own\n")
    text = "\n".join(check_minion_imports.check(tmp_path))
    assert "with salt and docker only: saltern.host.bad: ModuleNotFoundError: No module named 'jsonschema'" in text
    assert "with docker only: saltern.host.bad" in text
    assert "openstack_x.py: ModuleNotFoundError: No module named 'tenacity'" in text
    assert "openstack_plan" not in text
