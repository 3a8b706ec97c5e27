"""The smoke test of an image: it starts as its own user and does a little work before it may bear its name.

One container of the image, as narrow as those that are deployed and narrower (no network, no capability, a read-only
root, a ``/tmp`` and a ``/run`` in memory), runs one command after the other. A command is a piece of ``sh`` that ends
at the first line that fails; beside the image's own programs it may use

``retry COMMAND…``
    runs a command until it succeeds, for ten seconds at most;
``ask SOCKET TEXT EXPECTED``
    sends a text to a unix socket and succeeds when the answer holds the expected one (needs the image's Python).

What a command leaves running in the background ends with it. Between commands ``/tmp`` is emptied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from saltern.host.engine import Engine

LIMIT = 180.0  # seconds for all commands of an image
LINES = 20  # of a failing command's output
MARK = "saltern smoke test: command "

SCRIPT = f"""\
export KOLLA_CONFIG_STRATEGY=COPY_ALWAYS
retry() {{
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || {{ "$@"; return; }}
        sleep 0.1
    done
}}
ask() {{
    python3 -c '
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.settimeout(10)
link.connect(sys.argv[1])
link.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
text = b""
while sys.argv[3].encode() not in text:
    more = link.recv(4096)
    if not more:
        sys.exit(sys.argv[1] + " answers " + repr(text.decode()) + ", not " + sys.argv[3])
    text += more
' "$@"
}}
number=0
for command do
    number=$((number + 1))
    echo "{MARK}$number"
    # not before ||, where a shell does not end at what fails
    ( set -e; trap 'kill $! 2>/dev/null || :' EXIT; eval "$command" ) </dev/null
    [ $? = 0 ] || exit 1
    rm -rf /tmp/* 2>/dev/null || :
done
echo "{MARK}none"
"""

_FILE = (
    '{"source": "/usr/local/bin/kolla_start", "dest": "/tmp/to/file", "owner": "\'$(id -u):$(id -g)\'", "perm": "0640"}'
)
# The start contract: a configuration is put in place, its check tells same from different, the command is started.
CONTRACT = (
    'test "$(id -u)" != 0',
    f'export KOLLA_CONFIG=\'{{"command": "true", "config_files": [{_FILE}]}}\'; '
    "kolla_set_configs && kolla_set_configs --check && chmod 0600 /tmp/to/file && ! kolla_set_configs --check",
    'export KOLLA_SKIP_EXTEND_START=1 KOLLA_CONFIG=\'{"command": "echo a start of kolla_start"}\'; '
    'kolla_start | grep "a start of kolla_start"',
)


@dataclass(frozen=True)
class Failure:
    """The command that did not succeed (its first line), why in one line, and its last lines."""

    command: str
    cause: str
    log: list[str] = field(default_factory=list)


def run(engine: Engine, image: str, commands: Sequence[str], *, limit: float = LIMIT) -> Failure | None:
    """Run commands in a container of an image, as the image's user; None when all succeed.

    engine
        The Docker Engine that has the image.
    image
        Its id.
    commands
        Pieces of ``sh``.
    limit
        Seconds for all of them.
    """
    if not commands:
        return None
    container = str(
        engine.call("create", lambda api: api.create_container_from_config(_body(image, commands), None))["Id"]
    )
    try:
        engine.start(container)
        code = engine.wait(container, limit)
        lines = [] if code == 0 else engine.logs(container, 2000)
    finally:
        engine.remove(container, force=True)
    return None if code == 0 else _failure(code, lines, commands, limit)


def _body(image: str, commands: Sequence[str]) -> dict[str, Any]:
    return {
        "Image": image,
        "Entrypoint": ["/bin/sh", "-c", SCRIPT, "smoke"],
        "Cmd": list(commands),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": dict.fromkeys(("/tmp", "/run"), "mode=1777,size=1g"),
            "Init": True,
            "PidsLimit": 512,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        },
    }


def _failure(code: int | None, lines: list[str], commands: Sequence[str], limit: float) -> Failure:
    marks = [index for index, line in enumerate(lines) if line.startswith(MARK)]
    number = lines[marks[-1]].removeprefix(MARK) if marks else ""
    command = commands[int(number) - 1] if number.isdigit() and int(number) <= len(commands) else commands[0]
    command = next((line for line in command.splitlines() if not line.startswith("#")), command)
    said = [line for line in lines[marks[-1] + 1 if marks else 0 :] if line.strip()][-LINES:]
    if code is None:
        return Failure(command, f"it did not end within {limit:g} seconds", said)
    return Failure(command, said[-1] if said else "it failed without a word", said)
