"""The toolbox program's actions on the cloud itself, with its services in memory."""

import importlib
import io
import json
import stat
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from saltern_toolbox import keys, main, parts

from saltern.contract.errors import ToolboxFailed
from saltern.host import first_cloud as host_side
from saltern.model import first_cloud as model
from unit.toolbox import fakes, openstack

SECRET = "s3cr3t-password"
KEY = "ssh-ed25519 AAAAkey saltern@ctl1"
EXTERNAL = {
    "name": "public", "provider": "physnet1", "vlan": None, "cidr": "172.29.0.0/24", "gateway": "172.29.0.1",
    "floating": ["172.29.0.100", "172.29.0.150"],
}  # fmt: skip
WANT = {
    "flavors": [
        {"name": "tiny", "vcpus": 1, "ram": 128, "disk": 1},
        {"name": "small", "vcpus": 1, "ram": 512, "disk": 5},
    ],
    "image": {"name": "tiny"},
    "external": EXTERNAL,
    "network": {"name": "first", "cidr": "10.9.0.0/24", "dns": []},
    "router": "first",
    "security_group": "first",
    "ingress": model.INGRESS,
    "key_pair": "first",
    "public_key": KEY,
    "instance": {"name": "first", "flavor": "tiny"},
    "agents": ["neutron-openvswitch-agent", "neutron-l3-agent"],
    "wait": 30,
}
MADE = [
    "flavor tiny", "flavor small", "image tiny-kernel", "image tiny-initrd", "image tiny", "external network public",
    "external subnet public", "network first", "subnet first", "router first", "router interface first",
    "security group first", "rule first: icmp", "rule first: tcp 22", "key pair first", "instance first",
    "floating address first",
]  # fmt: skip


@pytest.fixture
def cloud() -> openstack.Cloud:
    return openstack.Cloud()


@pytest.fixture
def ask(cloud: openstack.Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Send a request to the program; the answer. Its clock runs a second at each look."""
    for name in ("vmlinuz", "initrd"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(parts, "GUEST", tmp_path)
    ticks = iter(range(10**6))
    work = main.Work

    def hurried(request: Any, connect: Any) -> Any:
        return work(request, connect, sleep=lambda _s: None, clock=lambda: next(ticks))

    monkeypatch.setattr(main, "Work", hurried)

    def send(action: str = "first_cloud", **more: Any) -> dict[str, Any]:
        request = {"action": action, "identity": {"auth_url": "http://v:5000/v3", "password": SECRET},
                   "want": WANT, "remove": False, "dry_run": False, "wait": 0, **more}  # fmt: skip
        out = io.StringIO()
        assert main.main(io.StringIO(json.dumps(request)), out, {"cloud": lambda _where, _seconds: cloud}) == 0
        return dict(json.loads(out.getvalue()))

    return send


def titles(answer: dict[str, Any], what: str | None = None) -> list[str]:
    return [f"{c['kind']} {c['name']}" for c in answer["changes"] if what in (None, c["what"])]


def test_from_nothing_to_an_instance_and_then_nothing_is_to_do(ask: Any, cloud: openstack.Cloud) -> None:
    answer = ask()
    assert answer["errors"] == [] and titles(answer, "create") == MADE
    assert answer["instance"] == {
        "id": cloud.things["servers"][0]["id"], "name": "first", "fixed": "10.9.0.5", "floating": "172.29.0.100",
        "host": "cmp1", "status": "ACTIVE",
    }  # fmt: skip
    cloud.writes.clear()
    again = ask()
    assert (again["changes"], again["errors"], cloud.writes) == ([], [], [])
    assert again["instance"] == answer["instance"]


def test_the_instance_boots_from_the_guests_kernel(ask: Any, cloud: openstack.Cloud) -> None:
    ask()
    (kernel,), (initrd,), (image,) = (cloud.all("images", name=n) for n in ("tiny-kernel", "tiny-initrd", "tiny"))
    assert (image["kernel_id"], image["ramdisk_id"]) == (kernel["id"], initrd["id"])
    assert [i["disk_format"] for i in (kernel, initrd, image)] == ["aki", "ari", "ami"]
    (server,) = cloud.things["servers"]
    assert server["imageRef"] == image["id"] and server["key_name"] == "first"


def test_a_dry_run_says_the_same_and_writes_nothing(ask: Any, cloud: openstack.Cloud) -> None:
    answer = ask(dry_run=True)
    assert titles(answer, "create") == MADE and answer["instance"] is None and cloud.writes == []
    ask()
    cloud.writes.clear()
    assert ask(dry_run=True)["changes"] == [] and cloud.writes == []
    assert titles(ask(dry_run=True, remove=True), "delete") and cloud.writes == []


def test_removal_takes_what_was_made_and_nothing_else(ask: Any, cloud: openstack.Cloud) -> None:
    others = [
        cloud.add("networks", name="first", project_id="p2"),
        cloud.add("flavors", name="big", vcpus=8, ram=8192, disk=80),
        cloud.add("servers", name="theirs", status="ACTIVE"),
        cloud.add("os-keypairs", name="other", public_key="ssh-rsa x"),
    ]
    ask()
    answer = ask(remove=True)
    assert answer["errors"] == [] and answer["instance"] is None
    assert titles(answer, "delete") == [
        "floating address 172.29.0.100", "instance first", "router first", "network first", "external network public",
        "security group first", "key pair first", "image tiny-kernel", "image tiny-initrd", "image tiny",
        "flavor tiny", "flavor small",
    ]  # fmt: skip
    left = [t["id"] for kind, things in cloud.things.items() if kind != "subnets" for t in things]
    assert sorted(left) == sorted(t["id"] for t in others)
    assert ask(remove=True)["changes"] == []


def test_what_others_use_stays_and_is_named(ask: Any, cloud: openstack.Cloud) -> None:
    ask()
    cloud.all("networks", name="public")[0]["in use"] = True
    answer = ask(remove=True)
    assert len(answer["errors"]) == 1
    assert answer["errors"][0].startswith("external network public stays: network: networks-")
    assert "flavor tiny" in titles(answer, "delete")


def test_flavors_images_and_the_external_network_of_others_are_used_as_they_are(
    ask: Any, cloud: openstack.Cloud
) -> None:
    cloud.add("flavors", name="tiny", vcpus=4, ram=4096, disk=1)
    image = cloud.add("images", name="tiny", status="active")
    public = cloud.add("networks", name="public", **{"router:external": True})
    answer = ask()
    assert answer["errors"] == []
    assert not {"flavor tiny", "image tiny", "external network public"} & set(titles(answer))
    assert cloud.things["servers"][0]["imageRef"] == image["id"]
    assert cloud.things["routers"][0]["external_gateway_info"] == {"network_id": public["id"]}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("servers", {"name": "first", "status": "ACTIVE"}, "instance first is there and not ours"),
        ("networks", {"name": "first"}, "network first is there and not ours"),
        ("routers", {"name": "first"}, "router first is there and not ours"),
        ("security-groups", {"name": "first"}, "security group first is there and not ours"),
        ("networks", {"name": "public"}, "network public is there and not external"),
        ("os-keypairs", {"name": "first", "public_key": "ssh-rsa other"}, "key pair first holds another key"),
        ("images", {"name": "tiny-kernel", "status": "queued"}, "image tiny-kernel is there, not ours and queued"),
    ],
)
def test_a_name_that_another_has_is_refused(
    ask: Any, cloud: openstack.Cloud, kind: str, fields: dict[str, Any], expected: str
) -> None:
    cloud.add(kind, **fields)
    before = [dict(t) for t in cloud.things[kind]]
    answer = ask()
    assert len(answer["errors"]) == 1 and expected in answer["errors"][0]
    assert [t for t in cloud.things[kind] if t["id"] == before[0]["id"]] == before


def test_an_instance_that_fails_is_told_in_novas_words_and_made_anew_the_next_time(
    ask: Any, cloud: openstack.Cloud
) -> None:
    cloud.instance_becomes = ["BUILD", "ERROR"]
    answer = ask()
    assert answer["errors"] == ["instance first is ERROR: No valid host was found."]
    assert "instance first" in titles(answer)
    cloud.instance_becomes = ["ACTIVE"]
    again = ask()
    assert titles(again) == ["instance first", "floating address first"] and again["errors"] == []
    assert again["changes"][0]["field"] == "it was in ERROR: No valid host was found."
    assert len(cloud.things["servers"]) == 1


def test_an_instance_that_does_not_come_is_told_in_time(ask: Any, cloud: openstack.Cloud) -> None:
    cloud.instance_becomes = []
    assert ask()["errors"] == ["instance first is BUILD (no task) after 30 s"]


def test_an_instance_that_was_stopped_is_started(ask: Any, cloud: openstack.Cloud) -> None:
    ask()
    cloud.things["servers"][0]["status"] = "SHUTOFF"
    answer = ask()
    assert [(c["kind"], c["what"], c["field"]) for c in answer["changes"]] == [("instance", "update", "it was SHUTOFF")]
    assert answer["instance"]["status"] == "ACTIVE"


def test_what_was_changed_by_hand_is_put_right(ask: Any, cloud: openstack.Cloud) -> None:
    ask()
    cloud.all("flavors", name="tiny")[0]["ram"] = 64
    cloud.all("subnets", name="public")[0]["allocation_pools"] = []
    cloud.all("subnets", name="first")[0]["dns_nameservers"] = ["192.0.2.1"]
    cloud.things["routers"][0]["external_gateway_info"] = None
    cloud.things["security-groups"][0]["security_group_rules"].pop()
    cloud.all("images", name="tiny-initrd")[0]["status"] = "queued"
    cloud.things["floatingips"][0]["port_id"] = None
    answer = ask()
    assert answer["errors"] == []
    assert titles(answer) == [
        "flavor tiny", "image tiny-initrd", "image tiny", "external subnet public", "subnet first", "router first",
        "rule first: tcp 22", "floating address first",
    ]  # fmt: skip
    assert len(cloud.things["floatingips"]) == 1
    assert ask()["changes"] == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("external", {**EXTERNAL, "provider": "physnet2"}, "external network public differs in provider:physical"),
        ("network", {"name": "first", "cidr": "10.8.0.0/24", "dns": []}, "subnet first is 10.9.0.0/24 and not 10.8"),
    ],
)
def test_what_cannot_be_changed_is_said(ask: Any, field: str, value: Any, expected: str) -> None:
    ask()
    (error,) = ask(want={**WANT, field: value})["errors"]
    assert error.startswith(expected) and error.endswith(parts.ANEW)


def test_without_an_external_network_there_is_an_instance_and_a_note(ask: Any) -> None:
    answer = ask(want={**WANT, "external": None})
    assert answer["instance"]["floating"] is None and answer["errors"] == []
    assert "No external network (openstack:networks:external)" in answer["notes"][0]
    assert not [title for title in titles(answer) if "router" in title or "floating" in title]


def test_a_provider_network_with_a_vlan(ask: Any, cloud: openstack.Cloud) -> None:
    ask(want={**WANT, "external": {**EXTERNAL, "vlan": 7}})
    (network,) = cloud.all("networks", name="public")
    assert (network["provider:network_type"], network["provider:segmentation_id"]) == ("vlan", 7)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"agents": ["neutron-openvswitch-agent"]}, "no neutron-l3-agent is alive after 120 s"),
        ({"room": False}, "no hypervisor has room for it after 120 s"),
    ],
)
def test_no_instance_is_asked_for_before_there_is_a_place_for_it(
    ask: Any, cloud: openstack.Cloud, fault: dict[str, Any], expected: str
) -> None:
    vars(cloud).update(fault)
    (error,) = ask()["errors"]
    assert expected in error and "openstack.status" in error and cloud.things["servers"] == []


def test_a_service_that_is_away_is_named_before_anything_is_changed(ask: Any, cloud: openstack.Cloud) -> None:
    cloud.away = {"compute"}
    answer = ask()
    assert answer["errors"] == ["compute: Service Unavailable (503)"] and cloud.writes == []
    assert (answer["changes"], answer["instance"], answer["notes"]) == ([], None, [])


def test_a_toolbox_without_the_guest_says_so(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").unlink()
    (error,) = ask()["errors"]
    assert error.startswith("image tiny-kernel: this toolbox has no guest (No such file or directory")


def test_the_overview_tells_what_there_is(ask: Any, cloud: openstack.Cloud) -> None:
    ask()
    answer = ask("overview")
    assert answer["errors"] == [] and cloud.writes
    assert {(a["binary"], a["alive"]) for a in answer["agents"]} >= {("neutron-l3-agent", True)}
    assert answer["services"] == [{"host": "cmp1", "binary": "nova-compute", "up": True, "enabled": True}]
    assert answer["hypervisors"] == [
        {"host": "cmp1", "type": "QEMU", "vcpus": 2, "vcpus_used": 1, "memory_mb": 2048, "memory_mb_used": 640,
         "running": 1}
    ]  # fmt: skip
    (instance,) = answer["instances"]
    assert (instance["name"], instance["host"], instance["status"]) == ("first", "cmp1", "ACTIVE")
    assert instance["addresses"] == ["10.9.0.5", "172.29.0.100"]


def test_an_overview_shows_what_it_can_and_names_who_is_away_once(ask: Any, cloud: openstack.Cloud) -> None:
    cloud.away = {"compute"}
    answer = ask("overview")
    assert answer["agents"] and answer["errors"] == ["compute: Service Unavailable (503)"]


def test_no_secret_comes_back(ask: Any, cloud: openstack.Cloud) -> None:
    cloud.instance_becomes, cloud.fault = ["ERROR"], {"message": f"wrong {SECRET}"}
    assert SECRET not in json.dumps(ask())


# -- clients -----------------------------------------------------------------------------------------------------------


class Session:
    """Answers requests from a table; records them."""

    def __init__(self, answer: Any, url: str | None = "http://v:9696") -> None:
        self.answer, self.calls, self.auth, self._url = answer, [], self, url  # type: ignore[var-annotated]

    def get_access(self, _session: Any) -> Any:
        return self

    @property
    def service_catalog(self) -> Any:
        return self

    def get_endpoints(self, **_where: Any) -> Any:
        return {"x": []} if self._url else {}

    def url_for(self, **_where: Any) -> Any:
        return self._url

    def request(self, url: str, verb: str, **options: Any) -> Any:
        self.calls.append((verb, url, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class HttpError(Exception):
    def __init__(self, message: str, http_status: int = 0, body: Any = None) -> None:
        super().__init__(message)
        self.message, self.http_status = message, http_status
        self.response = SimpleNamespace(json=lambda: body)


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of clients; the client's library is in the image only, its errors are made here."""
    errors = ModuleType("keystoneauth1.exceptions")
    vars(errors).update(
        ClientException=Exception, HttpError=HttpError, Unauthorized=type("Unauthorized", (HttpError,), {})
    )
    session, v3 = ModuleType("session"), ModuleType("v3")
    vars(session)["Session"] = vars(v3)["Password"] = None
    library = ModuleType("keystoneauth1")
    vars(library).update(exceptions=errors, session=session)
    for name, module in {"": library, ".identity": ModuleType("identity"), ".identity.v3": v3}.items():
        monkeypatch.setitem(sys.modules, f"keystoneauth1{name}", module)
    yield importlib.import_module("saltern_toolbox.apis")
    sys.modules.pop("saltern_toolbox.apis")


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("network", "http://v:9696", "http://v:9696/v2.0/x"),
        ("network", "http://v:9696/v2.0/", "http://v:9696/v2.0/x"),
        ("image", "http://v:9292", "http://v:9292/v2/x"),
        ("compute", "http://v:8774/v2.1", "http://v:8774/v2.1/x"),
    ],
)
def test_a_service_is_called_below_its_version(apis: Any, name: str, url: str, expected: str) -> None:
    session = Session(answer=SimpleNamespace(json=dict), url=url)
    getattr(apis.Apis(session, "RegionOne"), name).get("/x", limit=1)
    ((verb, called, options),) = session.calls
    assert (verb, called, options["params"], options["log"]) == ("GET", expected, {"limit": 1}, False)


@pytest.mark.parametrize(
    ("error", "expected", "kind"),
    [
        (HttpError("Quota exceeded", 403), "network: Quota exceeded (403)", "Refused"),
        (HttpError("busy", 503), "network: busy (503)", "Unreachable"),
        (HttpError("?", 400, {"badRequest": {"message": "No such key"}}), "network: No such key (400)", "Refused"),
        (Exception("no route"), "network unreachable: no route", "Unreachable"),
    ],
)
def test_errors_are_in_words(apis: Any, error: Exception, expected: str, kind: str) -> None:
    with pytest.raises(Exception, match="network") as caught:
        apis.Apis(Session(error), "RegionOne").network.get("/x")
    assert (str(caught.value), type(caught.value).__name__) == (expected, kind)


def test_a_service_that_the_catalogue_lacks_is_named(apis: Any) -> None:
    with pytest.raises(Exception, match="network: not in the catalogue"):
        apis.Apis(Session(None, url=None), "RegionOne").network.get("/x")


def test_a_delete_of_what_is_gone_is_no_error(apis: Any) -> None:
    assert apis.Apis(Session(HttpError("gone", 404)), "RegionOne").network.delete("/x") is False


# -- the host's side ---------------------------------------------------------------------------------------------------

PART = {**fakes.PART, "first_cloud": {k: v for k, v in WANT.items() if k != "public_key"}}


def answering(request: dict[str, Any]) -> dict[str, Any]:
    if request["action"] == "key_pair":
        return {"key_pair": {"private": "PRIVATE\n", "public": KEY}, "errors": []}
    return {"changes": [], "instance": None, "notes": [], "errors": []}


def test_the_private_key_is_made_once_and_stays_on_the_host(tmp_path: Path) -> None:
    engine = fakes.Engine(answering)
    for _ in range(2):
        answer = host_side.first_cloud(fakes.host(engine, tmp_path), PART)
        assert "PRIVATE" not in json.dumps(answer)
    assert engine.calls == ["key_pair", "first_cloud", "first_cloud"]
    assert {r["want"]["public_key"] for r in engine.requests if "want" in r} == {KEY}
    path = tmp_path / "first_cloud" / "id_ed25519"
    assert path.read_text() == "PRIVATE\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    host_side.first_cloud(fakes.host(engine, tmp_path), PART, remove=True)
    assert not path.exists()


def test_a_dry_run_makes_no_key(tmp_path: Path) -> None:
    engine = fakes.Engine(answering)
    host_side.first_cloud(fakes.host(engine, tmp_path), PART, dry_run=True)
    assert engine.calls == ["first_cloud"] and not (tmp_path / "first_cloud").exists()


def test_a_model_without_compute_is_refused(tmp_path: Path) -> None:
    engine = fakes.Engine(answering)
    with pytest.raises(ToolboxFailed, match=r"no services for an instance.*glance, placement, neutron and nova"):
        host_side.first_cloud(fakes.host(engine, tmp_path), {**PART, "first_cloud": None})
    with pytest.raises(ToolboxFailed, match="not the toolbox host"):
        host_side.overview(fakes.host(engine, tmp_path), {**PART, "batch": None})
    assert engine.calls == []


def test_a_pair_of_keys_that_openssh_understands() -> None:
    pair = keys.pair("saltern@ctl1")
    private = serialization.load_ssh_private_key(pair["private"].encode(), password=None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert pair["public"] == f"{public.decode()} saltern@ctl1"
