"""The programs in Nova's images, by what they decide without Nova: cells' addresses, waiting, acceleration."""

from __future__ import annotations

import json
import runpy
import socket
from pathlib import Path
from typing import Any

import pytest

IMAGES = Path(__file__).resolve().parents[3] / "images"


def program(path: str) -> dict[str, Any]:
    return runpy.run_path(str(IMAGES / path))


CELLS = program("nova-base/saltern-nova-cells")
DISCOVER = program("nova-base/saltern-nova-discover")
HYPERVISOR = program("nova-compute/saltern-nova-hypervisor")


@pytest.mark.parametrize(
    "url, path, expected",
    [
        (
            "mysql+pymysql://nova:pa%40ss@10.0.0.9:3306/nova?charset=utf8mb4",
            "{path}",
            "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}",
        ),
        (
            "mysql+pymysql://nova:pass@[fd00::9]:3306/nova",
            "nova_cell0",
            "{scheme}://{username}:{password}@[{hostname}]:{port}/nova_cell0",
        ),
        (
            "rabbit://openstack:pass@10.0.0.1:5672,openstack:pass@10.0.0.2:5672/openstack",
            "{path}",
            "{scheme}://{username1}:{password1}@{hostname1}:{port1},{username2}:{password2}@{hostname2}:{port2}/{path}",
        ),
    ],
)
def test_addresses_of_cells_hold_no_secret(url: str, path: str, expected: str) -> None:
    assert CELLS["template"](url, path) == expected


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def test_hosts_that_register_are_waited_for() -> None:
    time, asked, looks = Time(), [], iter([set(), {"cmp1"}, {"cmp2"}])

    def look(hosts: set[str]) -> set[str]:
        asked.append(sorted(hosts))
        return next(looks)

    assert DISCOVER["missing"](["cmp2", "cmp1"], look, 60, time.clock, time.sleep) == []
    assert asked == [["cmp1", "cmp2"], ["cmp1", "cmp2"], ["cmp2"]], "who is found is not asked about again"


def test_those_that_do_not_are_named() -> None:
    time = Time()
    assert DISCOVER["missing"](["cmp2", "cmp1"], lambda _: {"cmp1"}, 60, time.clock, time.sleep) == ["cmp2"]
    assert 60 <= time.now < 70


def test_without_a_wait_it_looks_once() -> None:
    looks: list[int] = []
    assert DISCOVER["missing"](["cmp1"], lambda _: looks.append(1) or set(), 0) == ["cmp1"]
    assert looks == [1]


class Placement:
    """It answers this about every resource provider's inventory."""

    def __init__(self, status: int, inventories: dict[str, Any] | None = None) -> None:
        self.status_code, self.inventories, self.text = status, inventories, "no reason"

    def get(self, url: str) -> Placement:
        assert url == "/resource_providers/u1/inventories"
        return self

    def json(self) -> dict[str, Any]:
        return {"inventories": self.inventories}


@pytest.mark.parametrize(
    "answer, expected",
    [(Placement(200, {"VCPU": {"total": 2}}), True), (Placement(200, {}), False), (Placement(404), False)],
)
def test_a_host_without_an_inventory_offers_nothing(answer: Placement, expected: bool) -> None:
    assert DISCOVER["offers"](answer, "u1") is expected


def test_a_placement_that_is_broken_is_told() -> None:
    with pytest.raises(SystemExit, match="Placement answers 503 about resource provider u1: no reason"):
        DISCOVER["offers"](Placement(503), "u1")


@pytest.mark.parametrize("kind, mode", [("kvm", "host-model"), ("qemu", "none")])
def test_what_was_found_becomes_configuration(tmp_path: Path, kind: str, mode: str) -> None:
    fact = tmp_path / "acceleration.json"
    fact.write_text(json.dumps({"value": kind, "reason": "a guest was booted", "at": 1.5}))
    found = HYPERVISOR["section"](HYPERVISOR["found"](str(fact)))
    assert found == f"[libvirt]\nvirt_type = {kind}\ncpu_mode = {mode}\n"


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"value": "xen"}'])
def test_a_fact_that_is_none_says_who_writes_it(tmp_path: Path, text: str | None) -> None:
    fact = tmp_path / "acceleration.json"
    if text is not None:
        fact.write_text(text)
    with pytest.raises(ValueError, match=r"acceleration\.json: .*(nova_libvirt|neither kvm nor qemu)"):
        HYPERVISOR["found"](str(fact))


def test_libvirt_listens_when_a_connection_is_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    assert HYPERVISOR["listens"](path) is False
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert HYPERVISOR["listens"](path) is False, "a socket of a process that is gone, or does not listen yet"
        server.listen()
        assert HYPERVISOR["listens"](path) is True


def test_it_is_given_up_in_the_end() -> None:
    time = Time()
    assert HYPERVISOR["waited"](lambda: False, 10, time.clock, time.sleep) is False
    assert HYPERVISOR["waited"](lambda: time.now > 5, 20, time.clock, time.sleep) is True
