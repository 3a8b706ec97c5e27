"""The program in the agents' image that becomes the Open vSwitch agent: which agent, and what is changed in it."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[3] / "images/neutron-agents/saltern-neutron-openvswitch-agent"


@pytest.fixture
def program() -> dict[str, Any]:
    return runpy.run_path(str(PATH))


def test_the_agent_is_run_by_its_own_interpreter(
    program: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, fact = tmp_path / "neutron-openvswitch-agent", tmp_path / "datapath.json"
    agent.write_text("#!/somewhere/bin/python -I\n")
    agent.chmod(0o755)
    fact.write_text(json.dumps({"value": "netdev"}))
    ran: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda path, argv: ran.append([path, *argv]))
    monkeypatch.setenv("PATH", str(tmp_path))
    program["main"](str(fact), str(tmp_path / "datapath.ini"), "--debug")
    assert (tmp_path / "datapath.ini").read_text() == "[ovs]\ndatapath_type = netdev\n"
    python = ["/somewhere/bin/python", "/somewhere/bin/python", "-I"]
    assert ran == [
        [*python, str(PATH), "--become", str(agent), "--debug", "--config-file", str(tmp_path / "datapath.ini")]
    ]


def test_requests_are_not_repeated(program: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mixin = type("OpenFlowSwitchMixin", (), {"_send_msg_retry": None})
    native = "neutron.plugins.ml2.drivers.openvswitch.agent.openflow.native"
    modules = {
        native: SimpleNamespace(ovs_oskenapp="the application"),
        f"{native}.ofswitch": SimpleNamespace(OpenFlowSwitchMixin=mixin),
        "os_ken": SimpleNamespace(),
        "os_ken.app": SimpleNamespace(),
        "os_ken.app.ofctl": SimpleNamespace(api=SimpleNamespace(send_msg="sent once")),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    entry = SimpleNamespace(load=lambda: lambda: list(sys.argv))
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **wanted: [entry])
    monkeypatch.setattr(sys, "argv", ["x"])
    assert program["become"]("/bin/agent", "--debug") == ["/bin/agent", "--debug"]
    assert mixin._send_msg_retry == "sent once"  # type: ignore[attr-defined]
