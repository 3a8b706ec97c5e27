"""The course of a run, with real Salt and pretended containers."""

from __future__ import annotations

from .conftest import Cloud

ONE, TWO = "1" * 16, "2" * 16


def test_first_deploy_in_the_order_of_the_plan(cloud: Cloud) -> None:
    cloud.model(ONE)
    done = cloud.run("state.orch", "openstack.deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.containers("ctl1") == {"mariadb": "one", "kolla_toolbox": "one", "keystone": "one"}
    ended = [line["step"] for line in cloud.journal() if line["event"] == "step_end"]
    assert ended[0] == "compare"
    assert ended.index("prepare keystone") > ended.index("start mariadb")
    assert ended[-3:] == ["start keystone", "register keystone", "remove"]
    assert "Deployed in" in done.stderr
