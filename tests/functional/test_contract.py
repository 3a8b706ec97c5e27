"""The start contract in real images: one of ours, and one with the layout of Kolla's, under an operator's own SLS."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.host.engine import Engine
from saltern.images.builders import LocalBuilder
from saltern.images.options import Options
from saltern.images.run import build_all

from .test_containers_salt import apply  # noqa: F401  # a fixture

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CHECKOUT = Path(__file__).resolve().parents[2]
OPTIONS = Options(namespace="contract-test")
NAME = "contract_test"
USER = 42457  # memcached's
CHECK = ["kolla_set_configs", "--check"]

DOCUMENT = {
    "command": "sleep '1000'",
    "config_files": [
        {"source": "/etc/hostname", "dest": "/etc/mine/a.conf", "owner": "memcached", "perm": "0640"},
        {"source": "/etc/default", "dest": "/etc/mine/tree", "owner": "memcached", "perm": "600"},
    ],
    "directories": [{"path": "/etc/mine/made", "owner": "memcached", "perm": "0750"}],
    "files": [{"path": "/etc/mine/made/log", "owner": "memcached", "perm": "0640"}],
    "permissions": [{"path": "/etc/mine/made", "owner": "memcached", "perm": "0660", "recurse": True}],
}
CHANGES = [
    "echo more >> /etc/mine/a.conf",
    "chmod 0600 /etc/mine/a.conf",
    "mv /etc/mine/a.conf /etc/mine/b.conf; ln -s b.conf /etc/mine/a.conf",
    "rm /etc/mine/a.conf",
    "touch /etc/mine/tree/stray",
    "chmod 0755 /etc/mine/tree",
    "rm /etc/mine/made/log",
    "chmod 0750 /etc/mine/made",
    "chmod 0600 /etc/mine/made/log",
    "echo sleep 1 > /tmp/run_command",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with our memcached and with an image made elsewhere, built from this checkout."""
    root = tmp_path_factory.mktemp("contract")
    for name in ("_build", "base", "python-base", "memcached"):
        shutil.copytree(CHECKOUT / "images" / name, root / "images" / name)
    shutil.copytree(Path(__file__).with_name("elsewhere"), root / "images/elsewhere")
    with Engine() as engine:
        before = {tag for image in engine.images() for tag in image.get("RepoTags") or ()}
        try:
            data = build_all(
                LocalBuilder(engine, suite="trixie", root=root), root / "images", OPTIONS, state=root / "s"
            )
            assert data["retcode"] == 0, data
            yield engine
        finally:
            ours = {tag for image in engine.images() for tag in image.get("RepoTags") or ()} - before
            for tag in sorted(tag for tag in ours if tag.startswith(f"{OPTIONS.namespace}/")):
                engine.api.remove_image(tag)


@pytest.fixture
def engine(images: Engine) -> Iterator[Engine]:
    images.remove(NAME, force=True)
    yield images
    images.remove(NAME, force=True)


def start(engine: Engine, image: str, document: dict[str, Any] = DOCUMENT, **host: Any) -> None:
    engine.create(
        NAME,
        {
            "Image": OPTIONS.reference(image),
            "Env": [f"KOLLA_CONFIG={json.dumps(document)}"],
            "HostConfig": {"CapDrop": ["ALL"], "NetworkMode": "none", **host},
        },
    )
    engine.start(NAME)


AWAIT = """
for n in $(seq 1000); do
    for process in /proc/[0-9]*; do
        command=$(tr '\\0' ' ' 2>&- < "$process/cmdline")
        [ "$command" != "sleep 1000 " ] || exec stat -c %u "$process"
    done
    sleep 0.02
done
exit 1
"""


def await_process(engine: Engine) -> str:
    """Wait until the container's service, sleep, runs; its user."""
    code, out, err = engine.exec(NAME, ["sh", "-c", AWAIT], timeout=90)
    assert code == 0, (err, engine.logs(NAME))
    return out.decode().strip()


def say(engine: Engine, script: str, user: str = "") -> tuple[int, str]:
    code, out, err = engine.exec(NAME, ["sh", "-c", script], timeout=60, **({"user": user} if user else {}))
    return code, (out + err).decode().strip()


def test_our_image_passes_its_check_sees_each_change_and_mends_it(engine: Engine) -> None:
    start(
        engine, "memcached", ReadonlyRootfs=True, Tmpfs={"/tmp": "mode=1777", "/etc/mine": f"uid={USER},gid={USER}"}
    )  # fmt: skip
    assert await_process(engine) == str(USER)
    assert say(engine, "kolla_set_configs --check") == (0, "")
    for change in CHANGES:
        assert say(engine, change)[0] == 0, change
        code, text = say(engine, "kolla_set_configs --check")
        assert (code, len(text.splitlines())) == (1, 1), (change, text)
        assert say(engine, "kolla_set_configs && kolla_set_configs --check") == (0, ""), change


def test_a_restart_of_a_writable_container_gives_the_image_s_own_file_back(engine: Engine) -> None:
    """The document lies on a volume here, so it can change while the container stays."""
    entry = {"source": "/etc/hostname", "dest": "/var/tmp/of-the-image/x", "owner": "memcached", "perm": "0640"}
    start(engine, "memcached", {"command": "sleep 1000"})
    await_process(engine)
    prepared = "mkdir /var/tmp/of-the-image; echo image > /var/tmp/of-the-image/x"
    assert say(engine, prepared)[0] == 0
    full, empty = (json.dumps({"command": "sleep 1000", "config_files": e}) for e in ([entry], []))
    assert say(engine, f"KOLLA_CONFIG='{full}' kolla_set_configs")[0] == 0
    assert say(engine, "cat /var/tmp/of-the-image/x; kolla_set_configs --check")[0] == 1
    engine.stop(NAME, 0)
    engine.start(NAME)
    await_process(engine)
    assert say(engine, "cat /var/tmp/of-the-image/x") == (0, "image")
    assert say(engine, f"KOLLA_CONFIG='{empty}' kolla_set_configs --check") == (0, "")


def test_our_start_uses_sudo_where_an_image_has_it(engine: Engine) -> None:
    entry = {"source": "/etc/hostname", "dest": "/etc/app/app.conf", "owner": "root:memcached", "perm": "0640"}
    ours = ("kolla_start", "kolla_set_configs", "kolla_copy_cacerts", "kolla_extend_start")
    start(
        engine,
        "elsewhere",
        {"command": "sleep 1000", "config_files": [entry]},
        CapAdd=["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        Mounts=[
            {"Type": "bind", "Source": f"{CHECKOUT}/images/base/{n}", "Target": f"/usr/local/bin/{n}", "ReadOnly": True}
            for n in ours
        ],
    )
    assert await_process(engine) == str(USER)
    assert say(engine, "stat -c '%U:%G %a' /etc/app/app.conf; ls /etc/kolla") == (0, "root:memcached 640\ndefaults")
    assert say(engine, "sudo -E kolla_set_configs --check")[0] == 0  # sudo may complain of the name of the host


SLS = """
    {name}:
      openstack_container.running:
        - image: {image}
        - layout: kolla
        - uid: {user}
        - gid: {user}
        - process: sleep
        - stop_timeout: 1
        - files:
          - name: app.conf
            dest: /etc/app/app.conf
            owner: memcached:kolla
            mode: '0640'
            content: {content}
"""


def test_an_image_built_by_kolla_s_contract_elsewhere_runs_unchanged(engine: Engine, apply: Any) -> None:  # noqa: F811
    def sls(content: str) -> str:
        return SLS.format(name=NAME, image=OPTIONS.reference("elsewhere"), user=USER, content=content)

    state = apply(sls("one"))["openstack_container"]
    assert state["result"] is True, state
    assert await_process(engine) == str(USER)
    assert say(engine, "stat -c '%U:%G %a' /etc/app/app.conf; cat /etc/app/app.conf /run_command") == (
        0,
        "memcached:kolla 640\nonesleep",
    )
    assert engine.exec(NAME, ["sudo", "-E", *CHECK], timeout=60)[0] == 0
    assert apply(sls("one"))["openstack_container"]["changes"] == {}
    changed = apply(sls("two"))["openstack_container"]
    assert changed["changes"][NAME]["action"] == "replace", changed
    await_process(engine)
    assert say(engine, "cat /etc/app/app.conf") == (0, "two")
