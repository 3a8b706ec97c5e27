"""Whether a host accelerates guests, from what its files say."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from saltern.host import facts, virtual

IMAGES = Path(__file__).resolve().parents[4] / "images"
CPUINFO = "processor : 0\nmodel name : Xeon 6\ncpu family : 6\nmodel : 207\nstepping : 2\nflags : {}\n\nprocessor : 1\n"


def check(
    tmp_path: Path, acceleration: str | None, processors: str = "same", *, kvm: bool = True, flags: str = "fpu vmx"
) -> tuple[list[virtual.Check], dict[str, str]]:
    device, cpuinfo = tmp_path / "kvm", tmp_path / "cpuinfo"
    if kvm:
        device.touch()
    cpuinfo.write_text(CPUINFO.format(flags))
    needs = {} if acceleration is None else {"acceleration": acceleration, "processors": processors}
    specs: list[dict[str, Any]] = [{"name": "cache"}, {"name": "nova_libvirt", "service": "libvirt", "host": needs}]
    return virtual.check(specs, root=tmp_path, device=device, cpuinfo=cpuinfo)


def test_hosts_without_a_hypervisor_are_asked_nothing(tmp_path: Path) -> None:
    assert check(tmp_path, None) == ([], {})


def test_an_accelerated_host_tells_its_processor(tmp_path: Path) -> None:
    (found,), readings = check(tmp_path, "auto")
    assert found.ok and found.found == "KVM"
    assert readings == {"processor": "Xeon 6 (6-207-2)", "service": "libvirt"}
    assert check(tmp_path, "auto", "mixed")[1] == {}


def test_the_processor_is_told_as_the_container_tells_it() -> None:
    theirs = runpy.run_path(str(IMAGES / "nova-libvirt/libvirt_start.py"))["cpu_model"]
    for text in (CPUINFO, "processor : 0\n"):
        assert theirs(text) == virtual.processor(text)


@pytest.mark.parametrize(
    ("flags", "hint"), [("fpu vmx", "modprobe kvm_intel"), ("fpu svm", "modprobe"), ("fpu", "firm")]
)
def test_acceleration_that_is_wanted_and_not_there_is_a_fault(tmp_path: Path, flags: str, hint: str) -> None:
    (found,), readings = check(tmp_path, "kvm", kvm=False, flags=flags)
    assert not found.ok and found.name == "acceleration" and "/kvm" in found.found
    assert found.expected == "KVM, for nova_libvirt" and hint in found.hint
    assert "processor" not in readings


def test_emulation_is_no_fault_where_nobody_asked_for_more(tmp_path: Path) -> None:
    (found,), readings = check(tmp_path, "auto", kvm=False)
    assert found.ok and readings == {"emulated": f"the host has no {tmp_path / 'kvm'}"}
    (found,), readings = check(tmp_path, "qemu")
    assert found.ok and readings == {"emulated": "the pillar says so"}


def test_a_guest_that_did_not_boot_knows_better_than_the_device(tmp_path: Path) -> None:
    facts.write("libvirt", "acceleration", "qemu", "a guest with KVM did not boot", tmp_path)
    (found,), readings = check(tmp_path, "auto")
    assert found.ok and readings == {"emulated": "a guest with KVM did not boot"}
    (found,), readings = check(tmp_path, "kvm")
    assert found.ok and "processor" in readings, "decided by the operator"
