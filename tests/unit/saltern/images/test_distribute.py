"""Which images go where, and how the verbs sum up."""

from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import SalternError
from saltern.images import distribute
from saltern.images.record import Record, read_record, write_record

APP = "reg.local:5000/saltern/app:1"


def test_what_the_master_knows() -> None:
    record = Record(builds={APP: {"id": "sha256:1", "digest": "sha256:d", "inputs": "i"}, "x:1": {"id": "sha256:2"}})
    assert distribute.known(record, [APP, "x:1", "new:1"]) == {
        APP: {"id": "sha256:1", "digest": "sha256:d"}, "x:1": {"id": "sha256:2"}, "new:1": {},
    }  # fmt: skip


def test_hosts_by_name() -> None:
    assert distribute.hosts_of("", ["a", "b"]) == ["a", "b"]
    assert distribute.hosts_of("b, a", ["a", "b"]) == ["b", "a"]
    with pytest.raises(SalternError, match="no host c"):
        distribute.hosts_of("c", ["a", "b"])


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"a": {APP: {"result": "pulled", "seconds": 2.0}}}, 0),
        ({"a": {APP: {"result": "failed", "error": "x", "hint": ""}}}, 1),
        ({"a": "ERROR: no engine answers"}, 1),
        ({"a": None, "b": {}}, 5),
        ({"a": None, "b": {APP: {"result": "failed", "error": "x", "hint": ""}}}, 1),
    ],
)
def test_exit_codes(answers: dict[str, Any], code: int) -> None:
    found = distribute.report("pull", answers, release="2025.2", seconds=3.0)
    assert found["retcode"] == code
    assert not found["hosts"]["a"]["error"].startswith("ERROR")


def test_digests_are_written_down_beside_the_ids_they_belong_to(tmp_path: Path) -> None:
    write_record(tmp_path, Record(builds={APP: {"id": "sha256:1", "inputs": "i"}}))
    answer = {"result": "pulled", "id": "sha256:1", "digest": "sha256:d"}
    distribute.remember_digests(tmp_path, {"a": {APP: answer | {"id": "sha256:2"}, "new:1": answer}, "b": None})
    assert read_record(tmp_path).builds == {APP: {"id": "sha256:1", "inputs": "i"}}
    distribute.remember_digests(tmp_path, {"a": {APP: answer}})
    assert read_record(tmp_path).builds[APP]["digest"] == "sha256:d"


def test_sums_of_a_prune() -> None:
    good = {"images": [], "kept": 1, "unique": 0, "freed": None}
    assert distribute.pruned({"a": good}, applied=False)["retcode"] == 0
    assert distribute.pruned({"a": good, "b": "ERROR: busy"}, applied=True)["retcode"] == 1
    assert distribute.pruned({"a": good, "b": None}, applied=True)["retcode"] == 5
