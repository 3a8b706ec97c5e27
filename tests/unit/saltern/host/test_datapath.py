"""Which datapath: the kernel's where it is, explicit wishes, and why a host does not change its mind by itself."""

from pathlib import Path

import pytest

from saltern.contract.errors import SalternError
from saltern.host import datapath, facts


class Kernel:
    """Has the family at once, after its module was loaded, or never."""

    def __init__(self, has: bool, module: bool) -> None:
        self.has, self.module, self.asked = has, module, 0

    def family(self) -> bool:
        return self.has

    def load(self) -> str:
        self.asked += 1
        self.has = self.module
        return "" if self.module else "modprobe: FATAL: Module openvswitch not found"


@pytest.mark.parametrize(
    "wanted,has,module,value,words",
    [
        ("auto", True, True, "system", "the kernel has"),
        ("auto", False, True, "system", "the kernel has"),
        ("auto", False, False, "netdev", "Module openvswitch not found"),
        ("netdev", True, True, "netdev", "openstack:networks:datapath"),
        ("system", False, True, "system", "openstack:networks:datapath"),
    ],
)
def test_it_is_found_out_and_written_down(
    tmp_path: Path, wanted: str, has: bool, module: bool, value: str, words: str
) -> None:
    kernel = Kernel(has, module)
    assert (
        datapath.settle(wanted, tmp_path, family=kernel.family, load=kernel.load) == value == datapath.known(tmp_path)
    )
    fact = facts.read("openvswitch", "datapath", tmp_path)
    assert fact and words in fact["reason"] and fact["kernel"]
    assert kernel.asked == (not has and wanted != "netdev")


def test_auto_stays_with_what_it_took_but_not_with_what_is_gone(tmp_path: Path) -> None:
    without, with_it = Kernel(False, False), Kernel(True, True)
    assert datapath.settle("auto", tmp_path, family=without.family, load=without.load) == "netdev"
    assert datapath.settle("auto", tmp_path, family=with_it.family, load=with_it.load) == "netdev"
    assert datapath.settle("system", tmp_path, family=with_it.family, load=with_it.load) == "system"
    assert datapath.settle("auto", tmp_path, family=with_it.family, load=with_it.load) == "system"
    assert datapath.settle("auto", tmp_path, family=without.family, load=without.load) == "netdev"


def test_the_kernels_where_there_is_none_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    kernel = Kernel(False, False)
    with pytest.raises(SalternError) as caught:
        datapath.settle("system", tmp_path, family=kernel.family, load=kernel.load)
    assert "not found" in str(caught.value) and "netdev" in caught.value.hint
    assert datapath.known(tmp_path) is None


def test_the_kernel_is_asked_by_netlink() -> None:
    assert datapath.kernel_has_it("nlctrl"), "the family that every kernel has"
    assert not datapath.kernel_has_it("no_such_family")
