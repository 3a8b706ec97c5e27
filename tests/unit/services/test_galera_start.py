"""How a Galera member decides to start: founding a second cluster or serving old data must not be possible."""

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from unit.services import cloud

PROGRAM = cloud.CHECKOUT / "images/mariadb/galera_start.py"
ONE, THREE = ("10.0.0.11",), ("10.0.0.11", "10.0.0.12", "10.0.0.13")
GRASTATE = "# GALERA saved state\nversion: 2.1\nuuid:    5c3\nseqno:   -1\nsafe_to_bootstrap: 0\n"


def load() -> Any:
    made = importlib.util.spec_from_file_location("galera_start", PROGRAM)
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    sys.modules["galera_start"] = module
    made.loader.exec_module(module)
    return module


galera = load()


def start(members: tuple[str, ...] = ONE, **more: Any) -> Any:
    return galera.decide(galera.Evidence(members=members, me=members[0], **{"empty": False, **more}))


def test_a_first_single_member_installs_and_founds() -> None:
    decision = start(empty=True)
    assert decision.found and decision.install


def test_a_single_member_founds_again_after_any_death() -> None:
    for view, safe in itertools.product((0, 1), (False, True)):
        assert start(last=ONE, view=view, safe=safe).found


def test_an_empty_member_of_several_waits_for_a_donor() -> None:
    decision = start(THREE, empty=True)
    assert not decision.found and not decision.install


def test_a_member_of_several_never_founds_by_itself() -> None:
    for view, safe, empty in itertools.product((0, 1, 2, 3), (False, True), (False, True)):
        assert not start(THREE, last=THREE, view=view, safe=safe, empty=empty).found


def test_nobody_founds_beside_a_primary_component() -> None:
    flags = itertools.product((ONE, THREE), (None, ONE, THREE), (0, 1, 3), (False, True), (False, True), (False, True))
    for members, last, view, safe, empty, asked in flags:
        decision = start(members, last=last, view=view, safe=safe, empty=empty, asked=asked, primary=True)
        assert not decision.found and not decision.install


def test_the_last_view_is_forgotten_only_where_a_peer_is_primary_or_a_cluster_is_founded() -> None:
    assert start(THREE, last=THREE, view=3, primary=True).forget_view
    assert not start(THREE, last=THREE, view=3).forget_view


def test_a_cluster_of_one_grows() -> None:
    assert start(THREE, last=ONE).found


def test_a_cluster_of_three_does_not_shrink_to_one_on_a_guess() -> None:
    with pytest.raises(galera.Refused, match="safe_to_bootstrap"):
        start(ONE, last=THREE, view=3)
    with pytest.raises(galera.Refused):
        start(ONE, last=None)
    assert start(ONE, last=THREE, safe=True).found
    assert start(ONE, last=THREE, view=1).found


def test_asked_for_it_founds_and_installs_only_on_an_empty_directory() -> None:
    assert start(THREE, asked=True, empty=True).install
    decision = start(THREE, asked=True, last=THREE)
    assert decision.found and not decision.install


def test_settings_are_read_from_the_rendered_configuration() -> None:
    config = cloud.file(cloud.spec(cloud.compiled(cloud.THREE), "ctl2", "mariadb"), "saltern.cnf")
    assert galera.members_of(galera.setting(config, "wsrep_cluster_address")) == THREE
    assert galera.setting(config, "wsrep-node-address") == "10.0.0.12"
    assert (galera.setting(config, "port"), galera.setting(config, "absent", "x")) == ("13306", "x")


def test_cluster_addresses_may_have_ports_and_options() -> None:
    assert galera.members_of("gcomm://a:4567,b?pc.wait_prim=no") == ("a", "b")
    assert galera.members_of("gcomm://") == ()


def test_states_on_disk_are_understood() -> None:
    assert galera.is_safe(galera.made_safe(GRASTATE)) and not galera.is_safe(GRASTATE)
    assert galera.view_size("my_uuid: a\n#vwbeg\nview_id: 3 a 1\nmember: a 0\nmember: b 0\n#vwend\n") == 2
    log = "x WSREP: Recovered position: u:1\ny WSREP: Recovered position:  u:42\n"
    assert (galera.position(log), galera.position("nothing")) == ("u:42", "")


def test_evidence_comes_from_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOLLA_BOOTSTRAP", raising=False)
    config = "wsrep_cluster_address = gcomm://a\nwsrep_node_address = a\n"
    assert galera.gather(config, str(tmp_path)).empty
    (tmp_path / "mysql").mkdir()
    (tmp_path / galera.MEMBERS).write_text("a\n")
    (tmp_path / "grastate.dat").write_text(GRASTATE)
    found = galera.gather(config, str(tmp_path))
    assert (found.empty, found.last, found.safe, found.view, found.primary) == (False, ("a",), False, 0, False)
    (tmp_path / galera.INSTALLING).write_text("")
    assert galera.gather(config, str(tmp_path)).empty, "an installation that was killed starts again"


def test_an_error_of_the_accounts_does_not_quote_a_password() -> None:
    line = "ERROR: 1064  You have an error near 'ALTER USER 'saltern' IDENTIFIED BY 'hush'' at line 4"
    assert galera.without_statement(line) == "ERROR: 1064  You have an error near"


def test_the_image_carries_the_program_and_calls_it() -> None:
    folder = PROGRAM.parent
    assert "galera_start.py /usr/local/bin/saltern-galera-start" in (folder / "Dockerfile.j2").read_text()
    assert "/usr/local/bin/saltern-galera-start" in (folder / "extend_start.sh").read_text()
    assert PROGRAM.stat().st_mode & 0o111
