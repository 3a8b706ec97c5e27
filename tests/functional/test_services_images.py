"""Images of services started as they are deployed: by kolla_start, their user, on a read-only root, no rights."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.users import UIDS
from saltern.host.engine import Conflict, Engine
from saltern.host.spec import CONFIG_TARGET

from . import bench

pytestmark = pytest.mark.engine


class Started:
    """One container of an image of ours."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name

    def run(self, *argv: str, limit: float = 60, **options: Any) -> tuple[int, str]:
        """Run a command in it: exit code, and what it wrote."""
        try:
            code, out, err = self.engine.exec(self.name, list(argv), timeout=limit, **options)
        except Conflict:
            raise AssertionError(f"{self.name} has ended: {self.log()}") from None
        return code, (out + err).decode(errors="replace")

    def log(self) -> str:
        return "\n".join(self.engine.logs(self.name, 200))

    def until(self, what: Callable[[], bool], limit: float = 30) -> None:
        """Wait until something holds while the container runs; its log is the failure's text."""
        end = time.monotonic() + limit
        while not what():
            found = self.engine.inspect(self.name)
            assert found and found["State"]["Running"], self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.1)


Start = Callable[..., Started]


def entry(source: str, dest: str, perm: str, owner: str) -> dict[str, str]:
    """An entry of config_files."""
    return {"source": f"{CONFIG_TARGET}/{source}", "dest": dest, "owner": owner, "perm": perm}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts containers; they and their volumes are gone at the end."""
    made: list[tuple[str, list[str]]] = []
    with Engine() as engine:

        def start(image: str, config: Mapping[str, Any], files: Mapping[str, str], **host: Any) -> Started:
            reference = host.pop("images", bench.IMAGES).reference(image)
            found = engine.inspect_image(reference) or {}
            if not found:
                bench.cannot(f"{reference} is not built here")
            name = f"image_{image.replace('-', '_')}_{uuid.uuid4().hex[:8]}"
            folder = tmp_path / name
            folder.mkdir(mode=0o755)
            for path, text in {**files, "config.json": json.dumps(config)}.items():
                (folder / path).write_text(text)
                (folder / path).chmod(0o644)
            volumes = {f"{name}_{number}": path for number, path in enumerate(host.pop("volumes", ()))}
            uid = UIDS[str(found["Config"]["User"])] if found["Config"]["User"] else 0
            own = f"rw,nosuid,nodev,mode=0750,uid={uid},gid={uid}"
            made.append((name, list(volumes)))
            mounts = [{"Type": "bind", "Source": str(folder), "Target": CONFIG_TARGET, "ReadOnly": True}]
            mounts += [{"Type": "volume", "Source": source, "Target": path} for source, path in volumes.items()]
            body = {
                "Image": reference,
                "Hostname": "here",
                "Env": ["KOLLA_CONFIG_STRATEGY=COPY_ALWAYS", *host.pop("env", ())],
                "HostConfig": {
                    "ReadonlyRootfs": True,
                    "Tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777", **dict.fromkeys(host.pop("writable", ()), own)},
                    "CapDrop": ["ALL"],
                    "SecurityOpt": ["no-new-privileges"],
                    "NetworkMode": "none",
                    "Mounts": mounts,
                    **host,
                },
            }
            engine.create(name, body)
            engine.start(name)
            return Started(engine, name)

        try:
            yield start
        finally:
            for name, volumes in made:
                engine.remove(name, force=True)
                for volume in volumes:
                    engine.remove_volume(volume)


def test_placement_serves_its_api_from_a_database_of_its_own(start: Start) -> None:
    placement_serves(start)


def placement_serves(start: Start, **host: Any) -> None:
    conf = "[placement_database]\nconnection = sqlite:////tmp/placement.db\n[api]\nauth_strategy = noauth2\n"
    uwsgi = "uwsgi --http-socket 127.0.0.1:8778 --module placement.wsgi.api:application --need-app --die-on-term"
    config = {
        "command": f"sh -c 'placement-manage db sync && exec {uwsgi}'",
        "config_files": [entry("placement.conf", "/etc/placement/placement.conf", "0600", "placement")],
    }
    placement = start("placement-api", config, {"placement.conf": conf}, writable=["/etc/placement"], **host)
    ask = (
        "from urllib.request import Request, urlopen as ask\n"
        "headers = {'X-Auth-Token': 'admin', 'OpenStack-API-Version': 'placement 1.2'}\n"
        "print(ask(Request('http://127.0.0.1:8778/resource_classes', headers=headers)).read().decode())"
    )
    placement.until(lambda: placement.run("python3", "-c", ask)[0] == 0)
    assert "VCPU" in placement.run("python3", "-c", ask)[1]
    assert placement.run("id", "-un") == (0, "placement\n")


def test_nova_compute_may_start_the_privileged_half_of_its_libraries_and_nothing_else(start: Start) -> None:
    helper = "sudo -n privsep-helper --config-file /etc/nova/nova.conf"
    compute = start(
        "nova-compute",
        {"command": "sleep 600", "config_files": [entry("nova.conf", "/etc/nova/nova.conf", "0600", "nova")]},
        {"nova.conf": f"[nova_sys_admin]\nhelper_command = {helper}\n"},
        writable=["/etc/nova"],
        env=["KOLLA_SKIP_EXTEND_START=1"],
        CapAdd=["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "NET_ADMIN", "SYS_ADMIN", "SETUID", "SETGID"],
        SecurityOpt=[],
    )
    compute.until(lambda: compute.run("test", "-s", "/etc/nova/nova.conf")[0] == 0)
    assert compute.run("id", "-un") == (0, "nova\n")
    for command in (
        "id",
        f"{helper.removeprefix('sudo -n ')} --privsep_context os.system --privsep_sock_path /tmp/a/s",
    ):
        code, text = compute.run("sudo", "-n", *command.split())
        assert code != 0 and "password is required" in text, text
    call = """
import os
from nova import config
config.CONF([], project="nova", default_config_files=["/etc/nova/nova.conf"])
from nova.privsep import path
open("/tmp/file", "w").close()
path.chown("/tmp/file", uid=0)
print("owner", os.stat("/tmp/file").st_uid)
"""
    code, text = compute.run("python3", "-c", call)
    assert "owner 0" in text, text


def test_agents_of_neutron_may_start_their_privileged_halves_and_rootwrap_and_nothing_else(start: Start) -> None:
    helper = "sudo -n privsep-helper --config-file /etc/neutron/neutron.conf"
    rootwrap = "neutron-rootwrap /usr/local/etc/neutron/rootwrap.conf"
    agents = start(
        "neutron-agents",
        {
            "command": "sleep 600",
            "config_files": [entry("neutron.conf", "/etc/neutron/neutron.conf", "0600", "neutron")],
        },
        {"neutron.conf": f"[privsep]\nhelper_command = {helper}\n[agent]\nroot_helper = sudo -n {rootwrap}\n"},
        writable=["/etc/neutron"],
        CapAdd=["SYS_ADMIN", "NET_ADMIN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "SYS_PTRACE", "SETUID", "SETGID"],
        SecurityOpt=[],
    )
    agents.until(lambda: agents.run("test", "-s", "/etc/neutron/neutron.conf")[0] == 0)
    assert agents.run("id", "-un") == (0, "neutron\n")
    for command in (
        "id",
        f"{helper.removeprefix('sudo -n ')} --privsep_context os.system --privsep_sock_path /tmp/a/s",
        "neutron-rootwrap /etc/neutron/neutron.conf id",
    ):
        code, text = agents.run("sudo", "-n", *command.split())
        assert code != 0 and "password is required" in text, text
    code, text = agents.run("sudo", "-n", *rootwrap.split(), "id")
    assert code == 99 and "no filter matched" in text, text
    code, text = agents.run("sudo", "-n", *rootwrap.split(), "ovs-ofctl", "--version")
    assert code == 0 and "Open vSwitch" in text, text
    call = """
from oslo_config import cfg
cfg.CONF([], project="neutron", default_config_files=["/etc/neutron/neutron.conf"])
from neutron.privileged.agent.linux import ip_lib
ip_lib.create_interface("test0", None, "veth", peer={"ifname": "test1"})
print("made", ip_lib.get_link_id("test0", None, raise_exception=False) is not None)
"""
    code, text = agents.run("python3", "-c", call)
    assert "made True" in text, text


def test_rabbitmq_answers_and_comes_back_on_its_data_after_a_kill(start: Start) -> None:
    conf = "listeners.tcp.1 = 127.0.0.1:5672\nmanagement.tcp.ip = 127.0.0.1\nlog.console = true\nlog.file = false\n"
    files = {
        "rabbitmq.conf": conf,
        "enabled_plugins": "[rabbitmq_management,rabbitmq_prometheus].\n",
        "erlang.cookie": "a-cookie-of-this-test",
    }
    places = {"erlang.cookie": ("/var/lib/rabbitmq/.erlang.cookie", "0400")}
    config = {
        "command": "rabbitmq-server",
        "config_files": [
            entry(file, *places.get(file, (f"/etc/rabbitmq/{file}", "0600")), "rabbitmq") for file in files
        ],
    }
    rabbitmq = start(
        "rabbitmq",
        config,
        files,
        writable=["/etc/rabbitmq"],
        volumes=["/var/lib/rabbitmq"],
        env=["RABBITMQ_NODENAME=rabbit@localhost"],
    )
    healthy = (
        "from urllib.request import Request, urlopen as ask\n"
        "headers = {'Authorization': 'Basic Z3Vlc3Q6Z3Vlc3Q='}\n"
        "for check in ('local-alarms', 'port-listener/5672', 'virtual-hosts', 'node-is-quorum-critical'):\n"
        "    print(ask(Request(f'http://127.0.0.1:15672/api/health/checks/{check}', headers=headers)).read().decode())"
    )
    rabbitmq.until(lambda: rabbitmq.run("python3", "-c", healthy)[0] == 0)
    assert rabbitmq.run("python3", "-c", healthy)[1].count('"status":"ok"') == 4
    assert rabbitmq.run("rabbitmqctl", "-q", "add_vhost", "kept")[0] == 0
    assert rabbitmq.run("stat", "-c", "%U %a", "/var/lib/rabbitmq/.erlang.cookie") == (0, "rabbitmq 400\n")
    assert rabbitmq.run("id", "-un") == (0, "rabbitmq\n")
    rabbitmq.engine.kill(rabbitmq.name)
    assert rabbitmq.engine.wait(rabbitmq.name, 10) == 137
    rabbitmq.engine.start(rabbitmq.name)
    rabbitmq.until(lambda: rabbitmq.run("rabbitmq-diagnostics", "-q", "ping")[0] == 0)
    rabbitmq.until(lambda: rabbitmq.run("python3", "-c", healthy)[0] == 0)
    assert "kept" in rabbitmq.run("rabbitmqctl", "-q", "list_vhosts")[1]
    rabbitmq.engine.stop(rabbitmq.name, 30)
    assert rabbitmq.engine.wait(rabbitmq.name, 5) == 0, "it was told to stop, and did"


KEEPALIVED = """
global_defs {
  router_id @name@
  script_user haproxy
  enable_script_security
}
vrrp_script check {
  script "/bin/sh -c ': > /tmp/who'"
  interval 1
}
vrrp_instance vip {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority @priority@
  advert_int 1
  virtual_ipaddress {
    198.51.100.7/32 dev eth0
  }
  track_script {
    check
  }
}
"""


@pytest.fixture
def network() -> Iterator[str]:
    """A network of its own; an internal one would drop VRRP's multicast."""
    name = f"image_network_{uuid.uuid4().hex[:8]}"
    with Engine() as engine:
        engine.call("create network", lambda api: api.create_network(name))
        yield name
        engine.call("remove network", lambda api: api.remove_network(name))


def test_keepalived_holds_an_address_and_takes_it_over(network: str, start: Start) -> None:
    def member(name: str, priority: int) -> Started:
        config = {
            "command": "keepalived -n -l -D -f /etc/keepalived/keepalived.conf",
            "config_files": [entry("keepalived.conf", "/etc/keepalived/keepalived.conf", "0600", "root")],
        }
        text = KEEPALIVED.replace("@name@", name).replace("@priority@", str(priority))
        return start(
            "keepalived",
            config,
            {"keepalived.conf": text},
            writable=["/etc/keepalived"],
            volumes=["/run"],  # so that the killed one's files are still there
            NetworkMode=network,
            CapAdd=["NET_ADMIN", "NET_RAW", "NET_BROADCAST", "SETUID", "SETGID"],
        )

    def holds(one: Started) -> bool:
        return one.run("grep", "-q", "198.51.100.7", "/proc/net/fib_trie")[0] == 0

    first = member("first", 100)
    first.until(lambda: holds(first))
    assert first.run("stat", "-c", "%U", "/tmp/who") == (0, "haproxy\n")
    second = member("second", 90)
    second.until(lambda: "Entering BACKUP STATE" in second.log())
    assert not holds(second)
    assert holds(first)
    first.engine.kill(first.name)
    second.until(lambda: holds(second))
    first.engine.start(first.name)
    first.until(lambda: holds(first))
    second.until(lambda: not holds(second))


CRONTABS = "/var/spool/cron/crontabs"


def crond(start: Start, files: Mapping[str, str]) -> Started:
    config = {
        "command": "sh -c 'echo a line > /var/log/services/api.log && exec busybox crond -f -L /dev/stderr'",
        "config_files": [
            entry(name, "/etc/logrotate.d/services" if name == "services" else f"{CRONTABS}/{name}", "0600", "root")
            for name in files
        ],
    }
    writable = [CRONTABS, "/run", "/etc/logrotate.d", "/var/log/services", "/var/lib/logrotate"]
    return start("cron", config, files, writable=writable, CapAdd=["SETUID", "SETGID"])


@pytest.mark.slow
def test_cron_runs_jobs_as_their_users_and_rotates_a_log(start: Start) -> None:
    files = {
        "root": "* * * * * logrotate -f -s /var/lib/logrotate/status /etc/logrotate.d/services && "
        "gzip -dc /var/log/services/api.log.1.gz\n",
        "keystone": "* * * * * id -un\n",
        "services": "/var/log/services/*.log {\n  rotate 3\n  compress\n  create 0644 root root\n}\n",
    }
    cron = crond(start, files)
    cron.until(lambda: {"keystone", "a line"} <= set(cron.log().splitlines()), limit=90)


def test_cron_refuses_what_its_crond_dies_of(start: Start) -> None:
    cron = crond(start, {"keystone": "@daily true\n"})
    assert cron.engine.wait(cron.name, 30) == 1
    assert f"{CRONTABS}/keystone:1:@daily true" in cron.log()
