"""The master's and the minion's files: own ports, own directories, nothing accepted unseen."""

import random
import socket
from pathlib import Path
from typing import Any

import pytest
import salt.config
import yaml
from allinone import saltconf
from allinone.layout import Layout
from allinone.made import Made


@pytest.fixture
def written(layout: Layout) -> dict[str, Any]:
    saltconf.write(layout, Made(layout.dot / "made.json"))
    return {kind: yaml.safe_load((layout.config / kind).read_text()) for kind in ("master", "minion")}


def test_no_key_is_accepted_unseen_and_nothing_listens_outside(written: dict[str, Any]) -> None:
    assert written["master"]["auto_accept"] is False
    assert written["master"]["interface"] == written["minion"]["master"] == "127.0.0.1"


def test_both_use_the_same_ports_and_none_of_salts(written: dict[str, Any]) -> None:
    master, minion = written["master"], written["minion"]
    assert (master["publish_port"], master["ret_port"]) == (minion["publish_port"], minion["master_port"])
    assert not {master["publish_port"], master["ret_port"]} & {4505, 4506}


def test_only_states_and_salt_are_published(layout: Layout, written: dict[str, Any]) -> None:
    roots = [path for paths in written["master"]["file_roots"].values() for path in paths]
    assert roots == [str(layout.checkout / "states"), str(layout.checkout / "salt")]


def test_salt_reads_every_path_as_it_is_written(layout: Layout, written: dict[str, Any]) -> None:
    opts = salt.config.master_config(str(layout.config / "master"))
    for key in ("pki_dir", "cachedir", "sock_dir", "pidfile", "log_file", "extension_modules"):
        assert opts[key] == written["master"][key]
        assert Path(opts[key]).is_relative_to(layout.root)


def test_a_second_write_changes_nothing(layout: Layout) -> None:
    made = Made(layout.dot / "made.json")
    assert saltconf.write(layout, made) == ["master", "minion"]
    assert saltconf.write(layout, made) == []


def test_ports_are_remembered_and_a_taken_one_is_not_chosen(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        busy = taken.getsockname()[1]

        class Chooser(random.Random):
            offers = [busy, busy - 1, busy + 7]

            def randrange(self, *args: Any) -> int:
                return self.offers.pop(0)

        made = Made(tmp_path / "made.json")
        chosen = saltconf.ports(made, Chooser())
    assert busy not in chosen.values()
    assert saltconf.ports(Made(tmp_path / "made.json")) == chosen


@pytest.mark.parametrize(
    ("hostname", "name"),
    [("ctl1", "ctl1"), ("CTL1.example.org", "ctl1"), ("localhost", "aio"), ("1st", "aio"), ("", "aio"), ("a_b", "aio")],
)
def test_the_minions_id_is_the_short_name_where_it_is_usable(hostname: str, name: str) -> None:
    assert saltconf.minion_id(hostname) == name
