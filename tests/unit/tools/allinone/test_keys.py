"""Only the very key of the minion beside it is accepted."""

from pathlib import Path

import pytest
import salt.utils.crypt
from allinone import keys, shell
from allinone.console import Stop
from allinone.layout import Layout
from allinone.saltconf import minion_id

MINE = "-----BEGIN PUBLIC KEY-----\nTUlORQ==\nTUlORTI=\n-----END PUBLIC KEY-----\n"
OTHER = MINE.replace("TUlORQ==", "T1RIRVI=")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def accepted(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    put(layout.pki / "minion" / "minion.pub", MINE)
    calls: list[list[str]] = []
    master = layout.pki / "master"

    def salt_key(command: list[object], *_: object, **__: object) -> str:
        calls.append([str(part) for part in command])
        # The first time it comes too early, and says so with exit code 0.
        if len(calls) > 1:
            put(master / "minions" / minion_id(), (master / "minions_pre" / minion_id()).read_text())
        return ""

    monkeypatch.setattr(shell, "run", salt_key)
    return calls


def test_the_fingerprint_is_salts_own(tmp_path: Path) -> None:
    put(tmp_path / "key.pub", MINE)
    assert keys.fingerprint(tmp_path / "key.pub") == salt.utils.crypt.pem_finger(str(tmp_path / "key.pub"))


def test_a_key_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert keys.fingerprint(tmp_path / "key.pub") == ""


def test_the_minions_own_key_is_accepted_and_seen_to_be(layout: Layout, accepted: list[list[str]]) -> None:
    put(layout.pki / "master" / "minions_pre" / minion_id(), MINE)
    assert keys.accept(layout, layout.log / "x.log")
    assert [call[-2:] for call in accepted] == [["--accept", minion_id()]] * 2


def test_it_is_accepted_once(layout: Layout, accepted: list[list[str]]) -> None:
    put(layout.pki / "master" / "minions" / minion_id(), MINE)
    assert not keys.accept(layout, layout.log / "x.log")
    assert accepted == []


@pytest.mark.parametrize("folder", ["minions", "minions_pre"])
def test_a_strangers_key_is_refused(layout: Layout, accepted: list[list[str]], folder: str) -> None:
    put(layout.pki / "master" / folder / minion_id(), OTHER)
    with pytest.raises(Stop, match="is not this machine's minion") as caught:
        keys.accept(layout, layout.log / "x.log")
    assert caught.value.code == 4 and accepted == []


def test_no_key_is_an_error_with_the_minions_log(layout: Layout, accepted: list[list[str]]) -> None:
    with pytest.raises(Stop, match="No key of the minion") as caught:
        keys.accept(layout, layout.log / "x.log", timeout=0.01)
    assert caught.value.log.endswith("salt-minion.log")
