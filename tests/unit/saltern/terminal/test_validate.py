"""Faults of a model as an operator reads them."""

import pytest

from saltern.terminal.validate import render

FILE = "pillar/openstack/init.sls"
ERRORS = [
    {
        "file": FILE,
        "line": 9,
        "key": "openstack:hosts:ctl2:adress",
        "expected": "one of address, roles",
        "found": "unknown key",
        "hint": 'did you mean "address"?',
    },
    {"file": FILE, "key": "openstack:vip", "expected": "an IP address", "found": 'text "10.0.1.999"', "hint": ""},
]


def test_each_fault_has_place_key_and_sentence() -> None:
    assert render({"errors": ERRORS}, width=200).splitlines() == [
        "✗ 2 errors, nothing was changed",
        'pillar/openstack/init.sls:9  openstack:hosts:ctl2:adress  unknown key; did you mean "address"?',
        'pillar/openstack/init.sls    openstack:vip                expected an IP address, found text "10.0.1.999"',
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_what_is_wrong_never_leaves_the_terminal(width: int) -> None:
    lines = render({"errors": ERRORS}, width=width).splitlines()
    assert all(len(line) <= width or line.startswith("pillar/") for line in lines)
    assert "unknown key; did you mean" in " ".join(line.strip() for line in lines)


def test_a_good_model_says_what_it_holds_and_what_to_type_next() -> None:
    data = {
        "errors": [],
        "digest": "7be210aa01c2d3e4",
        "cloud": "x",
        "release": "2025.2",
        "hosts": 3,
        "services": 1,
        "containers": 12,
    }
    first, last = render(data).splitlines()
    assert first == "● No errors: cloud x, OpenStack 2025.2 · model 7be210 · 3 hosts, 1 service, 12 containers"
    assert last.endswith("salt-run openstack.plan")
