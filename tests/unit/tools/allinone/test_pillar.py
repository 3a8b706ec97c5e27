"""The operator's pillar is copied once and then theirs."""

from pathlib import Path

import pytest
import yaml
from allinone import pillar
from allinone.layout import Layout
from allinone.made import Made

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def copied(layout: Layout) -> Layout:
    target = layout.checkout / pillar.EXAMPLE
    target.mkdir(parents=True)
    for source in (CHECKOUT / pillar.EXAMPLE).glob("*.sls"):
        (target / source.name).write_text(source.read_text())
    assert pillar.ensure(layout, Made(layout.dot / "made.json"))
    return layout


def test_the_example_gets_this_machines_id_and_address(copied: Layout) -> None:
    tree: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for path in copied.pillar.glob("*.sls"):
        tree |= yaml.safe_load(path.read_text())
    hosts = tree["openstack"]["hosts"]
    assert list(hosts) == [pillar.minion_id()]
    assert hosts[pillar.minion_id()]["address"] == pillar.address()


def test_what_the_operator_wrote_stays(copied: Layout) -> None:
    own = copied.pillar / "init.sls"
    own.write_text("openstack: {cloud: mine}\n")
    assert not pillar.ensure(copied, Made(copied.dot / "made.json"))
    assert own.read_text() == "openstack: {cloud: mine}\n"


def test_nobody_else_reads_it(copied: Layout) -> None:
    assert copied.pillar.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in copied.pillar.iterdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctl1:\n  address: 192.0.2.11\n", "vm:\n  address: 10.1.2.3\n"),
        ("ctl10: x-ctl1 192.0.2.110", "ctl10: x-ctl1 192.0.2.110"),
    ],
)
def test_whole_names_and_addresses_only(text: str, expected: str) -> None:
    assert pillar.filled(text, "vm", "10.1.2.3") == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [("openstack:\n  cloud: blue\n", "blue"), ('openstack:\n  cloud: "b-2"\n', "b-2"), ("{}", "saltern")],
)
def test_the_clouds_name_is_read_from_it(layout: Layout, text: str, name: str) -> None:
    layout.pillar.mkdir(parents=True)
    (layout.pillar / "init.sls").write_text(text)
    assert pillar.cloud(layout) == name


def test_the_mtu_of_this_machine_is_that_of_the_interface_with_its_address(tmp_path: Path) -> None:
    example = (Path(__file__).resolve().parents[4] / pillar.EXAMPLE / "init.sls").read_text()
    assert "tunnel: {mtu: 1450}" in pillar.filled(example, "vm", "10.1.2.3", 1450)
    (tmp_path / "lo").mkdir()
    for there, told in (("1400", 1400), ("65536", 1500), ("?", 1500)):
        (tmp_path / "lo" / "mtu").write_text(there)
        assert pillar.mtu("127.0.0.1", tmp_path) == told
    assert pillar.mtu("203.0.113.250", tmp_path) == 1500
