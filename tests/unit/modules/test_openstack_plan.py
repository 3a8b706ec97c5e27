"""The adapter as the master loads it: Salt's own renderers, its loader, and the services of this checkout."""

import json
from pathlib import Path
from typing import Any

import pytest
import salt.config
import salt.loader
import yaml
from salt.exceptions import CommandExecutionError

CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = "[control, database, messaging, loadbalancer, network, compute, storage]"
PILLAR = f"""
{{% set address = '10.0.0.' ~ 11 %}}
openstack:
  hosts:
    ctl1: {{address: {{{{ address }}}}, roles: {ROLES}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pillar/openstack"
    path.mkdir(parents=True)
    (path / "init.sls").write_text(PILLAR)
    return path


@pytest.fixture
def functions(tmp_path: Path, folder: Path) -> Any:
    config = {
        "root_dir": str(tmp_path),
        "cachedir": str(tmp_path / "cache"),
        "pki_dir": str(tmp_path / "pki"),
        "sock_dir": str(tmp_path / "sock"),
        "log_file": str(tmp_path / "log"),
        "pillar_roots": {"base": [str(folder.parent)]},
        "module_dirs": [str(CHECKOUT / "salt")],
        "saltern_checkout": str(CHECKOUT),
        "saltern_state_dir": str(tmp_path / "state"),
    }
    (tmp_path / "master").write_text(yaml.safe_dump(config))
    path = str(tmp_path / "master")
    return salt.loader.minion_mods(salt.config.mminion_config(path, salt.config.master_config(path)), context={})


@pytest.fixture
def ready(functions: Any) -> Any:
    assert functions["openstack_plan.secrets_generate"]()["made"]
    return functions


def test_jinja_is_rendered_and_secrets_are_all_that_is_missing(functions: Any) -> None:
    made = functions["openstack_plan.compile"]()
    assert made["errors"]
    assert {problem["key"].rpartition(":")[0] for problem in made["errors"]} == {"openstack:secrets"}
    answer = functions["openstack_plan.secrets_generate"]()
    assert functions["openstack_plan.compile"]()["errors"] == []
    assert functions["openstack_plan.secrets_generate"]()["made"] == []
    assert Path(answer["file"]).name == "secrets.sls"


def test_an_unchanged_model_is_found_again_and_not_written(ready: Any, tmp_path: Path) -> None:
    first = ready["openstack_plan.compile"]()
    path = tmp_path / "state/compiled" / first["digest"] / "plan.json"
    path.write_text(json.dumps({**first["plan"], "cloud": "as-it-was-found"}))
    again = ready["openstack_plan.compile"]()
    assert (again["digest"], again["plan"]["cloud"]) == (first["digest"], "as-it-was-found")


def test_an_edit_makes_another_model_and_says_what_changed(ready: Any, folder: Path) -> None:
    first = ready["openstack_plan.compile"]()
    (folder / "more.sls").write_text("openstack:\n  config:\n    global: {keystone.conf: {DEFAULT: {debug: true}}}\n")
    second = ready["openstack_plan.compile"]()
    (change,) = ready["openstack_plan.changes"](first["digest"], second["digest"])
    assert change["key"] == "openstack:config:global:keystone.conf:DEFAULT:debug"
    assert (change["file"], change["line"]) == (str(folder / "more.sls"), 3)
    assert (change["old"], change["new"]) == ("unset", "True")
    found = ready["openstack_plan.explain"]("keystone.conf", "DEFAULT.debug")
    assert found["containers"]["keystone"][-1]["where"] == f"{folder}/more.sls:3"


def test_validate_counts_what_the_model_holds(ready: Any) -> None:
    found = ready["openstack_plan.validate"]()
    assert found["errors"] == []
    assert found["hosts"] == 1
    assert found["containers"] >= found["services"] >= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("openstack: {{ nothing.at.all }}\n", "undefined"),
        ("{% if %}\n", "Expected an expression"),
        ("#!nonsense\nopenstack: {}\n", "names no renderer"),
        ("#!py\ndef run():\n    raise RuntimeError('no such thing')\n", "no such thing"),
        ("#!py\ndef run():\n    return {'openstack': {'region': object()}}\n", "object"),
        ("openstack:\n  secrets:\n   keystone_admin_password: hunter22\n  : - [\n", ""),
        ("openstack: {a: 1, a: 2}{# jinja #}\n", "conflicting ID"),
    ],
)
def test_a_file_that_does_not_render_is_a_problem_with_its_name(
    ready: Any, folder: Path, text: str, words: str
) -> None:
    (folder / "broken.sls").write_text(text)
    made = ready["openstack_plan.compile"]()
    assert made["plan"] is None
    named = [p for p in made["errors"] if p["file"] == str(folder / "broken.sls")]
    assert named, made["errors"]
    assert words in f"{named[0]['expected']} {named[0]['found']}"
    assert "hunter22" not in str(made)


def test_it_never_raises_in_jinja(functions: Any, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way of a directory")
    made = functions["openstack_plan.compile"]()
    assert made["plan"] is None
    assert "state" in made["errors"][0]["found"]


def test_explain_of_a_wrong_model_says_so(functions: Any) -> None:
    with pytest.raises(CommandExecutionError, match=r"openstack\.validate"):
        functions["openstack_plan.explain"]("keystone.conf", "DEFAULT.debug")
