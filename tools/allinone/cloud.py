"""The cloud itself, by the operator's own commands: secrets, images, deploy, stop; and what came of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from allinone import shell
from allinone.console import Console, Phase, Stop
from allinone.layout import STATE_ROOT, Layout
from allinone.salts import command

MASTER_STATE = STATE_ROOT / "master"
OWNER = STATE_ROOT / "owner"
STATES_FAILED = re.compile(r"^Failed:\s+[1-9]", re.M)  # Salt's summary of an orchestration


def owner() -> str:
    """The checkout whose cloud this machine's state is; empty when it is nobody's."""
    try:
        return OWNER.read_text().strip()
    except FileNotFoundError:
        return ""


def claim(layout: Layout) -> None:
    """Mark this machine's state as ours. Raises ``Stop`` when it is another checkout's or another cloud's."""
    mine = owner()
    if mine and mine != str(layout.checkout) and Path(mine, ".saltern", "made.json").exists():
        raise Stop(
            f"This machine already has a cloud: the one of {mine}",
            advice=f"{mine}/saltern down --purge, or use that one",
            code=4,
        )
    if not mine and STATE_ROOT.is_dir() and any(STATE_ROOT.iterdir()):
        raise Stop(
            f"{STATE_ROOT} is there and not ours: this machine is a host of another Saltern cloud",
            advice="use another machine for an all-in-one cloud",
            code=4,
        )
    STATE_ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
    OWNER.write_text(f"{layout.checkout}\n")


def secrets(layout: Layout) -> None:
    """``salt-run openstack.secrets_generate``: makes what is missing, changes nothing that is there."""
    shell.run(
        [*command(layout, "salt-run"), "openstack.secrets_generate"],
        layout.log / "salt.log",
        what="The secrets could not be made",
        advice=". .saltern/env && salt-run openstack.secrets_generate",
    )


def build(layout: Layout, console: Console, phase: Phase) -> None:
    """``salt-run openstack.build profile=enabled``, its live lines shown."""
    phase.step("salt-run openstack.build profile=enabled")
    try:
        text = shell.show(
            [*command(layout, "salt-run"), "--out=json", "openstack.build", "profile=enabled"],
            layout.log / "build.log",
            console,
            what="Images could not be built",
            advice="mend the cause, then ./saltern up (what is built stays)",
            why=why,
        )
    except Stop as error:
        if "the model has errors" in error.tail:
            error.tail = shell.output([*command(layout, "salt-run"), "openstack.validate"])[1].strip()
        raise
    data = _json(text)
    if data.get("kind") != "build":
        raise Stop("salt-run openstack.build gave no answer", log=str(layout.log / "build.log"), advice="./saltern up")
    phase.detail = built(data)


def built(data: dict[str, Any]) -> str:
    """``9 built, 0 unchanged · 812 MB unique``."""
    counts = data.get("counts") or {}
    parts = [f"{counts.get('built', 0) + counts.get('tagged', 0)} built, {counts.get('unchanged', 0)} unchanged"]
    if data.get("unique"):
        parts.append(f"{data['unique'] / 1e6:.0f} MB unique")
    return " · ".join(parts)


def deploy(layout: Layout, console: Console, phase: Phase) -> None:
    """``salt-run state.orch openstack.deploy``, its live lines shown."""
    phase.step("salt-run state.orch openstack.deploy")
    shell.show(
        [*command(layout, "salt-run"), "state.orch", "openstack.deploy"],
        layout.log / "deploy.log",
        console,
        what="The deploy failed; what it had done stays, and the next run goes on from there",
        advice="mend the cause, then ./saltern up (or: . .saltern/env && salt-run state.orch openstack.deploy)",
        # States that failed have said in the live lines what failed, where and why.
        why=lambda text: "" if STATES_FAILED.search(text) else shell.tail(text),
    )
    phase.detail = summary()


def wants_first(state: Path = MASTER_STATE) -> bool:
    """Whether the model in force has what an instance needs, and an external network to reach it by."""
    current = state / "compiled" / "current"
    try:
        host = json.loads((current / "plan.json").read_text())["toolbox_host"]
        want = json.loads((current / "hosts" / f"{host}.json").read_text()).get("first_cloud") or {}
    except (OSError, ValueError, KeyError):
        return False
    return bool(want.get("external"))


def first(layout: Layout, console: Console, phase: Phase) -> dict[str, str]:
    """``salt-run state.orch openstack.first_cloud``; what :func:`instance` gives."""
    phase.step("salt-run state.orch openstack.first_cloud")
    text = shell.show(
        [*command(layout, "salt-run"), "--out=json", "state.orch", "openstack.first_cloud"],
        layout.log / "first_cloud.log",
        console,
        what="There is no instance that answers; the cloud itself is deployed",
        advice="salt-run openstack.status, then ./saltern up (or: salt-run state.orch openstack.first_cloud)",
        why=why,
    )
    found = instance("\n".join(comments(_json(text))))
    phase.detail = " · ".join(
        filter(None, (f"{found['name']} {found['status']}", f"ping {found['ping']}", found["banner"]))
    )
    return found


def why(text: str) -> str:
    """What the answer to a command with ``--out=json`` says about its failure, beyond what the live lines have said."""
    answer = _json(text)
    if not answer:
        return shell.tail(text)
    if answer.get("kind") == "error":
        return " ".join(filter(None, (answer.get("where"), answer.get("message"))))
    return "\n".join(comments(answer))


def comments(answer: dict[str, Any]) -> list[str]:
    """Comments of an orchestration's states."""
    states = [state for found in answer.values() if isinstance(found, dict) for state in found.values()]
    return [str(state["comment"]) for state in states if isinstance(state, dict) and state.get("comment")]


def instance(text: str) -> dict[str, str]:
    """What the comments of ``openstack_cloud``'s states tell of the instance; empty where they do not."""
    patterns = {
        "name": r"^instance (\S+) ",
        "status": r"^instance \S+ (\S+)",
        "address": r"^(\S+) answers a ping",
        "ping": r"answers a ping \(([0-9.]+ ms)",
        "banner": r'greets "([^"]*)"',
    }
    found = {key: re.search(pattern, text, re.MULTILINE) for key, pattern in patterns.items()}
    return {key: match.group(1) if match else "" for key, match in found.items()}


def journal(state: Path = MASTER_STATE) -> Path | None:
    """The last run's journal."""
    return max((state / "runs").glob("*/journal.jsonl"), default=None)


def summary(state: Path = MASTER_STATE) -> str:
    """The last run's own summary out of its journal; empty when there is none."""
    last = journal(state)
    for line in reversed(last.read_text().splitlines() if last else []):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("event") == "end":
            # The phase's own line has the seconds, and the farewell says what is next.
            text = re.split(r"\.?\s*Next:", str(entry.get("summary") or ""))[0].strip().rstrip(".")
            return re.sub(r"^Deployed in [^:]+: | \(compared in [^)]*\)", "", text)
    return ""


def stop(layout: Layout, console: Console) -> None:
    """``salt-run state.orch openstack.stop``: the planned way, which healing respects."""
    shell.show(
        [*command(layout, "salt-run"), "state.orch", "openstack.stop"],
        layout.log / "stop.log",
        console,
        what="openstack.stop failed",
        advice="./saltern down",
    )


def clouds(layout: Layout) -> dict[str, str]:
    """Write ``clouds.yaml`` and return the endpoints by service."""
    helper = layout.checkout / "tools" / "allinone" / "helpers" / "clouds.py"
    done = subprocess.run(
        [str(layout.venv / "bin" / "python"), str(helper), str(MASTER_STATE), str(layout.pillar), str(layout.clouds)],
        capture_output=True,
        text=True,
        check=False,
        env=shell.environment(),
    )
    if done.returncode == 3:
        return {}
    if done.returncode:
        raise Stop("clouds.yaml could not be written", tail=done.stderr, advice="./saltern up")
    return dict(json.loads(done.stdout)["endpoints"])


def _json(text: str) -> dict[str, Any]:
    """The answer of a runner's ``--out=json``; Salt may print lines before it."""
    for at, character in enumerate(text):
        if character == "{" and (at == 0 or text[at - 1] == "\n"):
            try:
                data = json.loads(text[at:])
            except ValueError:
                continue
            return dict(data.get("data", data)) if isinstance(data, dict) else {}
    return {}
