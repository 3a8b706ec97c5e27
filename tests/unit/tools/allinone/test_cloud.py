"""What is read from the answers of the operator's own commands."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from allinone import cloud
from allinone.console import Console, Stop
from allinone.layout import Layout

HELPERS = Path(__file__).resolve().parents[4] / "tools" / "allinone" / "helpers"
PLAN = {"endpoints": {"keystone": "http://10.0.0.9:5000/v3"}, "region": "RegionTwo", "release": "2025.2"}


@pytest.fixture
def clouds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("clouds_helper", HELPERS / "clouds.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cloud_files(tmp_path: Path) -> Path:
    compiled = tmp_path / "compiled" / "0123456789abcdef"
    compiled.mkdir(parents=True)
    (compiled / "plan.json").write_text(json.dumps(PLAN))
    (tmp_path / "compiled" / "current").symlink_to(compiled.name)
    (tmp_path / "pillar").mkdir()
    (tmp_path / "pillar" / "init.sls").write_text("openstack: {cloud: saltern}\n")
    (tmp_path / "pillar" / "templated.sls").write_text("{% if x %}")
    secrets = {"openstack": {"secrets": {"keystone_admin_password": "s3cret: #"}}}
    (tmp_path / "pillar" / "secrets.sls").write_text(yaml.safe_dump(secrets))
    return tmp_path


def test_clouds_yaml_is_private_and_complete(
    clouds: ModuleType, cloud_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = cloud_files / "clouds.yaml"
    assert clouds.main([str(cloud_files), str(cloud_files / "pillar"), str(target)]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    made = yaml.safe_load(target.read_text())["clouds"]["saltern"]
    assert made["auth"]["auth_url"] == "http://10.0.0.9:5000/v3" and made["auth"]["password"] == "s3cret: #"
    assert made["region_name"] == "RegionTwo"
    said = capsys.readouterr()
    assert json.loads(said.out)["endpoints"] == PLAN["endpoints"]
    assert "s3cret" not in said.out + said.err


def test_a_cloud_without_keystone_has_none(clouds: ModuleType, cloud_files: Path) -> None:
    (cloud_files / "compiled" / "current" / "plan.json").write_text(json.dumps({"endpoints": {}}))
    assert clouds.main([str(cloud_files), str(cloud_files / "pillar"), str(cloud_files / "clouds.yaml")]) == 3
    assert not (cloud_files / "clouds.yaml").exists()


def test_the_build_in_one_line() -> None:
    data = {"counts": {"built": 7, "tagged": 2, "unchanged": 0}, "unique": 812_300_000}
    assert cloud.built(data) == "9 built, 0 unchanged · 812 MB unique"


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"kind": "build"}}',
        'No minions matched the target.\n{\n  "data": {"kind": "build"}\n}\n',
        '{"kind": "build"}',
    ],
)
def test_json_is_found_behind_what_salt_prints_before_it(text: str) -> None:
    assert cloud._json(text) == {"kind": "build"}


def test_the_last_runs_own_summary(tmp_path: Path) -> None:
    for run, summary in (
        ("20260101-000000-aaaa", "old"),
        ("20260102-000000-bbbb", "Deployed in 47 s: 8 started. Next: x"),
    ):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        lines = [{"event": "begin"}, {"event": "end", "summary": summary}]
        (folder / "journal.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"event": "no')
    assert cloud.summary(tmp_path) == "8 started"
    assert cloud.summary(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("said", "kept"),
    [("Result: False\nSummary for vm_master\nFailed:     1\nTotal states run:     1", False), ("Traceback: no", True)],
)
def test_what_states_have_told_is_not_told_again(
    layout: Layout, console: Console, monkeypatch: pytest.MonkeyPatch, said: str, kept: bool
) -> None:
    monkeypatch.setattr(cloud, "command", lambda layout, name: ["sh", "-c", f"echo '{said}'; exit 1"])
    with pytest.raises(Stop) as caught, console.phase("Deploy") as phase:
        cloud.deploy(layout, console, phase)
    assert bool(caught.value.tail) is kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"data": {"kind": "error", "where": "init.sls:3", "message": "no such key"}, "retcode": 2}',
            "init.sls:3 no such key",
        ),
        ('{"data": {"kind": "build", "images": [{"image": "base", "result": "failed"}]}}', ""),
        ('{"vm_master": {"one": {"comment": "no valid host", "result": false}}}', "no valid host"),
        ("Traceback\n\nKeyError: 1", "Traceback\nKeyError: 1"),
    ],
)
def test_an_answer_says_why_in_words(text: str, said: str) -> None:
    assert cloud.why(text) == said


def test_errors_of_the_model_are_shown_as_validate_shows_them(
    layout: Layout, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.dumps({"kind": "error", "where": "", "message": "not known: the model has errors"})
    program = f"case $* in *validate*) echo init.sls:3; exit 2;; *) echo '{answer}'; exit 2;; esac"
    monkeypatch.setattr(cloud, "command", lambda layout, name: ["sh", "-c", program, name])
    with pytest.raises(Stop) as caught, console.phase("Images") as phase:
        cloud.build(layout, console, phase)
    assert caught.value.tail == "init.sls:3"


TOLD = """instance first ACTIVE on vm: 10.9.0.5, 172.29.0.100
172.29.0.100 answers a ping (1.2 ms, after 3.0 s) and greets "SSH-2.0-saltern-guest_first" (after 4.5 s)"""
ORCHESTRATION = {"vm_master": {"openstack_step_|-Make_|-Make_|-first_cloud": {"comment": TOLD, "result": True}}}


def test_the_first_instance_in_one_line() -> None:
    assert cloud.instance("\n".join(cloud.comments(ORCHESTRATION))) == {
        "name": "first",
        "status": "ACTIVE",
        "address": "172.29.0.100",
        "ping": "1.2 ms",
        "banner": "SSH-2.0-saltern-guest_first",
    }
    assert set(cloud.instance("Nothing to do").values()) == {""}
    assert cloud.comments({"retcode": 0}) == []


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"first_cloud": {"external": {"name": "public"}}}, True),
        ({"first_cloud": {"external": None}}, False),
        ({"first_cloud": None}, False),
        ({}, False),
    ],
)
def test_an_instance_is_made_where_the_model_has_compute_and_a_network(
    tmp_path: Path, part: dict[str, object], wanted: bool
) -> None:
    assert cloud.wants_first(tmp_path) is False
    current = tmp_path / "compiled" / "current"
    (current / "hosts").mkdir(parents=True)
    (current / "plan.json").write_text(json.dumps({"toolbox_host": "vm"}))
    (current / "hosts" / "vm.json").write_text(json.dumps(part))
    assert cloud.wants_first(tmp_path) is wanted
