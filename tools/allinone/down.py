"""``./saltern down``: stop the cloud; with ``--purge`` remove all that ``up`` made, and say which packages stay.

A Salt or a Docker Engine that was there before is not touched, nor is any container without this cloud's label.
"""

from __future__ import annotations

import shutil
import sys

from allinone import cloud, daemons, engine, leftovers, objects, pillar
from allinone.console import Console, Stop
from allinone.layout import STATE_ROOT, Layout
from allinone.made import Made


def run(layout: Layout, console: Console, *, purge: bool, yes: bool) -> int:
    """Stop, and with ``purge`` remove; the exit code."""
    made = Made(layout.dot / "made.json")
    name = pillar.cloud(layout)
    # Containers of another checkout's cloud, or of a host in a larger one, may bear the same name.
    ours = cloud.owner() == str(layout.checkout)
    if purge:
        confirm(console, name, yes)
        if ours:
            # Nothing can be removed from an engine that does not run; an earlier down may have stopped ours.
            with console.phase("Docker Engine") as phase:
                engine.ensure(layout, made, phase)
    elif ours:
        with console.phase("Containers") as phase:
            phase.detail = stop_containers(layout, console, name)
    with console.phase("Salt") as phase:
        stopped = [f"salt-{kind}" for kind in reversed(daemons.KINDS) if daemons.stop(layout, kind)]
        phase.detail = f"{' and '.join(stopped)} stopped" if stopped else "was not running"
    if ours:
        volumes = objects.volumes(name, STATE_ROOT)
        running = leftovers.instances(volumes)
        if running:
            with console.phase("Instances") as phase:
                phase.detail = f"{leftovers.end(running)} switched off"
        if purge:
            leftovers.remove_bridges()
        # What the planned way did not reach; no minion heals any more.
        objects.stop(objects.containers(name))
    if purge and ours:
        remove(layout, console, name)
    with console.phase("Docker Engine") as phase:
        phase.detail = stop_engine(layout, made)
    if purge:
        farewell(layout, console, made)
    else:
        console.say("\nStopped; data, images and configuration are kept. Start again: ./saltern up")
    return 0


def confirm(console: Console, name: str, yes: bool) -> None:
    """Let the operator type the cloud's name. Raises ``Stop`` when it is another, or nobody can type."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Stop(
            "--purge asks for the cloud's name, and nobody can type here", advice="./saltern down --purge --yes", code=4
        )
    console.say(
        f"This removes the cloud {name!r} and all its data: containers, volumes, images, {STATE_ROOT}, pillar, .saltern"
    )
    if input("Type the cloud's name to go on: ").strip() != name:
        raise Stop("That is not its name; nothing was removed", advice="./saltern down --purge", code=4)


def stop_containers(layout: Layout, console: Console, name: str) -> str:
    """Stop them in the planned way, where Salt runs."""
    found = [each for each in objects.containers(name) if each["State"] == "running"]
    if not found:
        return "none running"
    if all(daemons.pid(layout, kind) for kind in daemons.KINDS):
        try:
            cloud.stop(layout, console)
        except Stop as error:
            console.say(f"  {error.cause} ({error.log}): stopping containers by the engine")
    return f"{len(found)} stopped"


def plural(number: int, what: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def remove(layout: Layout, console: Console, name: str) -> None:
    """Containers, volumes, images, networks of the cloud; what it left on the machine; its state and pillar."""
    with console.phase("Removed") as phase:
        volumes = objects.volumes(name, STATE_ROOT)
        counts = {
            "container": objects.remove_containers(name),
            "volume": objects.remove_volumes(volumes),
            "image": objects.remove_images(),
            "network": objects.remove_networks(name),
            "namespace": leftovers.remove_namespaces(),
        }
        leftovers.remove_taps(leftovers.bridges(STATE_ROOT))
        leftovers.remove_directories(leftovers.made_below_run(STATE_ROOT))
        leftovers.remove_settings()
        shutil.rmtree(STATE_ROOT, ignore_errors=True)
        pillar.remove(layout)
        phase.detail = ", ".join(plural(n, kind) for kind, n in counts.items() if n) or "nothing was left"
        kept = objects.images()
        if kept:
            phase.detail += f"; {plural(len(kept), 'image')} kept: containers of others use them"


def stop_engine(layout: Layout, made: Made) -> str:
    """Stop an engine that ``up`` runs in the background and that nobody else uses."""
    if not engine.running(layout):
        return "left as it is" if engine.version() else "was not running"
    others = objects.running()
    if others:
        return f"left running for {plural(len(others), 'container')} of others (pid {engine.running(layout)})"
    engine.stop(layout, made)
    return "stopped (up had started it)"


def farewell(layout: Layout, console: Console, made: Made) -> None:
    """Remove ``.saltern`` as the last thing, and name what stays."""
    packages = made.get("packages", [])
    if layout.root != layout.dot:
        layout.root.unlink(missing_ok=True)
    shutil.rmtree(layout.dot, ignore_errors=True)
    console.say("\nRemoved. The checkout is as it was cloned.")
    if packages:
        console.say(f"Packages that up installed and that stay: {' '.join(packages)}")
        console.say(f"Remove them too: apt-get purge --autoremove {' '.join(packages)}")
