"""docs/add-a-service.md without engines and daemons: its files make a valid model, its commands exist."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from saltern.images.options import Options
from saltern.images.tree import load
from unit.services import cloud, walkthrough
from unit.services.walkthrough import Command, File

STEPS = walkthrough.steps()
FILES = [step for step in STEPS if isinstance(step, File)]
COMMANDS = [step for step in STEPS if isinstance(step, Command)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the folders, with the page's own added."""
    for name in ("images", "states/openstack/services"):
        shutil.copytree(cloud.CHECKOUT / name, tmp_path / name)
    for file in FILES:
        file.write(tmp_path, tmp_path / "pillar")
    return tmp_path


def compiled(checkout: Path, hosts: Any, **more: Any) -> Any:
    return cloud.compiled(hosts, checkout / "states/openstack/services", **more)


def test_the_page_adds_one_folder_of_each_kind_and_nothing_else() -> None:
    folders = {file.path.split("greeter")[0] for file in FILES}
    assert folders == {"images/", "states/openstack/services/", "$PILLAR/"}


@pytest.mark.parametrize("hosts", [cloud.AIO, cloud.THREE], ids=["one host", "three hosts"])
def test_its_service_is_planned_and_balanced_on_every_control_host(checkout: Path, hosts: Any) -> None:
    made = compiled(checkout, hosts)
    assert "start greeter" in [step["id"] for step in made.plan["steps"]]
    for host, part in made.slices.items():
        assert f"address = {part['address']}\n" in cloud.file(cloud.spec(made, host, "greeter"), "greeter.conf")
        balanced = cloud.file(cloud.spec(made, host, "haproxy"), "haproxy.cfg")
        assert f"server {host} {part['address']}:18900 check" in balanced


def test_its_service_changes_nothing_of_the_others(checkout: Path) -> None:
    before, after = cloud.compiled(cloud.AIO).slices["aio"], compiled(checkout, cloud.AIO).slices["aio"]
    kept = {entry["name"]: entry for entry in after["containers"]}
    changed = [entry["name"] for entry in before["containers"] if kept[entry["name"]] != entry]
    assert changed == ["haproxy"]
    assert before["jobs"] == after["jobs"]


def test_the_pillar_of_the_page_sets_the_greeting(checkout: Path) -> None:
    import yaml

    tree = yaml.safe_load((checkout / "pillar/greeter.sls").read_text(encoding="utf-8"))["openstack"]
    made = compiled(checkout, cloud.AIO, **tree)
    assert "greeting = Good morning\n" in cloud.file(cloud.spec(made, "aio", "greeter"), "greeter.conf")


def test_its_image_joins_the_tree(checkout: Path) -> None:
    image = load(checkout / "images", Options()).images["greeter"]
    assert image.base == "python-base" and not image.build_only


def test_its_program_is_python() -> None:
    (text,) = [file.text for file in FILES if file.path == "images/greeter/greeter"]
    compile(text, "greeter", "exec")


def test_its_commands_exist() -> None:
    runner = "".join(
        path.read_text(encoding="utf-8") for path in (cloud.CHECKOUT / "salt/_runners").glob("openstack*.py")
    )
    for command in COMMANDS:
        if found := re.match(r"salt-run openstack\.(\w+)", command.line):
            assert re.search(rf"^def {found[1]}\(", runner, re.M), command.line
        elif found := re.match(r"salt-run state\.orch openstack\.(\w+)", command.line):
            assert (cloud.CHECKOUT / f"states/openstack/{found[1]}.sls").exists(), command.line
        else:
            assert command.line.startswith(("curl ", "rm -r ")), command.line
