"""``.saltern/env`` and the commands it puts first in PATH: Salt's on our master, ``openstack`` on our cloud.

Paths in it are absolute, so that it works from any directory; the password is in ``clouds.yaml`` (0600), not in the
environment.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from allinone.layout import Layout
from allinone.salts import QUIET

SALT = ("salt", "salt-run", "salt-call", "salt-key")
# Set for another cloud, they would win over clouds.yaml.
UNSET = (
    "OS_AUTH_TYPE OS_AUTH_URL OS_USERNAME OS_USER_ID OS_PASSWORD OS_TOKEN OS_PROJECT_NAME OS_PROJECT_ID OS_TENANT_NAME "
    "OS_USER_DOMAIN_NAME OS_USER_DOMAIN_ID OS_PROJECT_DOMAIN_NAME OS_PROJECT_DOMAIN_ID OS_SYSTEM_SCOPE OS_REGION_NAME"
)


def write(layout: Layout) -> None:
    """Write the file and its commands; the same again changes nothing."""
    layout.bin.mkdir(parents=True, exist_ok=True)
    config = shlex.quote(str(layout.config))
    for name in SALT:
        program = shlex.quote(str(layout.venv / "bin" / name))
        _script(layout.bin / name, f'exec {program} -c {config} {QUIET} "$@"')
    _script(layout.bin / "openstack", f'exec {shlex.quote(str(layout.client_venv / "bin" / "openstack"))} "$@"')
    _replace(layout.env, text(layout), 0o644)


def text(layout: Layout) -> str:
    """Of ``.saltern/env``: plain POSIX shell, for sh, bash and zsh."""
    quoted = shlex.quote(str(layout.bin))
    return f"""\
# The all-in-one cloud of {layout.checkout}: . {layout.env}
case ":$PATH:" in
    *:{quoted}:*) ;;
    *) PATH={quoted}:$PATH ;;
esac
unset {UNSET}
OS_CLIENT_CONFIG_FILE={shlex.quote(str(layout.clouds))}
OS_CLOUD=saltern
export PATH OS_CLIENT_CONFIG_FILE OS_CLOUD
"""


def _script(path: Path, line: str) -> None:
    _replace(path, f"#!/bin/sh\n{line}\n", 0o755)


def _replace(path: Path, content: str, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(content)
    temporary.chmod(mode)
    os.replace(temporary, path)
